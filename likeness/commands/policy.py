"""likeness policy: how the review budget becomes a cosine, and what another one would cost."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from config import load_settings
from config.settings import LEAST_BUDGET
from detector.policy import Policy, Thresholds
from likeness.console import out
from likeness.errors import BadInput
from likeness.explaining import BUDGETS, GALLERIES, Explanation, Price, explain, price_curves
from likeness.policies import policy_in_force
from likeness.workbench import open_records

app = typer.Typer(help="The policy: how the review budget becomes a threshold.", no_args_is_help=True)
PLOTTED = np.geomspace(0.03, 30, 61)
"""Budgets of the plot."""


@app.callback()
def _policy() -> None:
    """The policy: how the review budget becomes a threshold."""


@app.command("explain")
def explain_policy(
    references: Annotated[
        int | None, typer.Option(min=0, help="Active references, instead of those in the gallery.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="False alarms per 1,000 uploads, not the setting's.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a plot, SVG: the expected TPIR over the budget.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the chain from budget to FPIR, FMR and cosine, and what other budgets and galleries would give."""
    if budget is not None and not LEAST_BUDGET <= budget < 1000:
        raise BadInput(f"--budget must lie between {LEAST_BUDGET:g} and 1,000.")
    settings = load_settings()
    policy = policy_in_force(settings)
    if budget is not None:
        wanted = replace(policy.settings, review_budget=budget, threshold=None)
        policy = Policy(policy.calibration.pack if policy.calibration else "The pack", wanted, policy.calibration)
    if references is None:
        with open_records(settings) as records:
            references = sum(
                one.references + (one.references > 1)  # several references have a template beside them
                for one in records.list_identities()
                if one.status == "active"
            )
    explanation = explain(policy, references)
    if plot is not None:
        _plot(policy, plot)
    if as_json:
        print(json.dumps(asdict(explanation)))
    else:
        _print(explanation)


def _plot(policy: Policy, file: Path) -> None:
    from likeness import plots

    if policy.calibration is None or not policy.calibration.genuine:
        raise BadInput("There is nothing to plot: no calibration tells the detection rate; `likeness calibrate` does.")
    plots.need_matplotlib()
    svg = plots.standalone(plots.price(PLOTTED, price_curves(policy, PLOTTED)))
    file.write_text(svg, encoding="utf-8")


def _print(explanation: Explanation) -> None:
    at, settings = explanation.thresholds, explanation.settings
    table = Table("what", "value", "why", show_lines=True, title="From budget to threshold", title_justify="left")
    for row in _chain(explanation):
        table.add_row(*row)
    out.print(table)
    if explanation.data is None:
        out.print("Without a calibration no rate is known: `likeness calibrate` makes one.")
        return
    if at.extrapolated:
        out.print(
            "The calibration's data do not reach down to this FMR: the cosine is extrapolated, on the safe side. A "
            "calibration on more people supports more."
        )
    if settings.threshold is not None and explanation.on_average:
        out.print(f"Without policy.threshold the budget would ask for cosine {explanation.on_average.review:.3f}.")
    _print_prices(explanation)
    _print_cohorts(explanation)


def _chain(explanation: Explanation) -> list[tuple[str, str, str]]:
    at, settings = explanation.thresholds, explanation.settings
    fixed = settings.threshold is not None
    cosine = f"{at.review:.3f}"
    faces = f"{settings.faces_per_upload:g} face{'' if settings.faces_per_upload == 1 else 's'} each"
    met = f"a face meets {at.references:,} reference{'' if at.references == 1 else 's'}"
    if explanation.data is None:
        return [("cosine", cosine, "policy.threshold")]
    held = "the cohort where it is highest" if settings.worst_cohort else "all people"
    reach = "extrapolated" if at.extrapolated else "supported by its data"
    chain = [
        ("budget", f"{settings.review_budget:g}", "false alarms per 1,000 uploads that the team can look at"),
        ("FPIR", f"{at.fpir:.3%}", f"of uploads of nobody in the gallery, the share raised; {faces}"),
        ("FMR", f"{at.fmr:.2e}", f"of one comparison: {met}, and one false match raises it"),
        ("cosine", cosine, f"keeps that FMR for {held}, by the calibration on {explanation.data}; {reach}"),
    ]
    if fixed:
        chain = [
            ("cosine", cosine, "policy.threshold, whatever the budget and the gallery's size"),
            ("FMR", f"{at.fmr:.2e}", f"of one comparison, by the calibration on {explanation.data}; {reach}"),
            ("FPIR", f"{at.fpir:.3%}", f"of uploads of nobody in the gallery, the share raised: {met}; {faces}"),
            ("false alarms", f"{1000 * (at.fpir or 0):.3g}", f"per 1,000 uploads; budget {settings.review_budget:g}"),
        ]
    return [
        *chain,
        ("detection", _rate(at), "expected share of photos of a person with one reference that reach the cosine"),
        (
            "sure",
            f"{at.sure:.3f}",
            "the cosine from which a face of full quality is beyond doubt; below: look-alike risk",
        ),
        (
            "name claim",
            f"{at.name_claim:.3f}",
            f"enough where the profile claims the name: FMR {settings.name_claim_fmr:g}",
        ),
    ]


def _print_prices(explanation: Explanation) -> None:
    title = "Cosine and expected detection rate, by references and budget; * = extrapolated"
    table = Table("references", *(f"{budget:g} per 1,000" for budget in BUDGETS), title=title, title_justify="left")
    by_size = {(one.references, one.review_budget): one for one in explanation.prices}
    for size in GALLERIES:
        row = (by_size[size, budget] for budget in BUDGETS)
        table.add_row(f"{size:,}", *(f"{one.cosine:.3f} {_rate(one)}{'*' * one.extrapolated}" for one in row))
    out.print(table)


def _print_cohorts(explanation: Explanation) -> None:
    average, worst = explanation.on_average, explanation.worst_cohort
    if average is None or worst is None:
        out.print("The calibration has no cohorts: what the worst of them would cost is not known.")
        return
    title = f"False alarms per 1,000 uploads by cohort, at the average's cosine {average.review:.3f}; * = extrapolated"
    table = Table("cohort", "false alarms", "cosine that keeps the budget", title=title, title_justify="left")
    for one in explanation.cohorts:
        table.add_row(one.cohort, f"{one.false_alarms:.2g}", f"{one.cosine:.3f}{'*' * one.extrapolated}")
    out.print(table)
    out.print(
        f"Holding the budget in every cohort (policy.holds_for) takes cosine {worst.review:.3f} and is expected to "
        f"detect {_rate(worst)}, instead of {average.review:.3f} and {_rate(average)}."
    )


def _rate(at: Thresholds | Price) -> str:
    return "unknown" if at.detection_rate is None else f"{at.detection_rate:.1%}"
