"""The report of `likeness evaluate`: one HTML file that needs nothing else, holds no photograph and runs no script."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from detector.performance.cohorts import FMRS, Curve
from likeness import plots
from likeness.evaluation import TERMS, Evaluation, notable, show, summary

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #5b6570; --line: #d5dae0; --band: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #15181c; --soft: #a2abb5; --line: #353b43; --band: #1e2329; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
.scroll { overflow-x: auto; } .note { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding-bottom: .35rem; }
.scroll + .scroll { margin-top: 1.5rem; }
.interval { color: var(--soft); white-space: nowrap; } .rate { white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; } svg { width: 100%; height: auto; }
ul { padding-left: 1.25rem; } dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; color: var(--soft); }
.said { background: var(--band); padding: .75rem 1rem .75rem 2rem; border-radius: .5rem; }
@media (max-width: 40rem) {
  .cards thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .cards tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .cards th, .cards td { display: flex; gap: .75rem; justify-content: space-between; border: 0; padding: .1rem 0; }
  .cards th::before, .cards td::before { content: attr(data-of); color: var(--soft); font-weight: 400; }
}
"""
MEASURES = ("fmr", "fnmr", "fpir", "tpir")


def report(result: Evaluation, curves: Mapping[str | None, Curve]) -> str:
    """The page. Raises BadInput where matplotlib is missing."""
    said = "".join(f"<li>{escape(sentence)}</li>" for sentence in notable(result))
    parts = [
        f"<h1>Face recognition: {escape(result.pack)}</h1>",
        f"<p>{escape(summary(result))}</p>",
        f'<ul class="said">{said}</ul>' if said else "",
        _section("Open-set identification", _open_set(result), _verification(result)),
        _section("Rates at one threshold for all", *(_rates(result, place) for place in range(len(result.thresholds)))),
        _section("FNMR at a fixed FMR", _fnmr_at(result)),
        _section("Curves", _figures(curves)),
        _section("Terms of ISO/IEC 19795-1", _terms()),
        _section("How this was measured", _method()),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Face recognition: {escape(result.pack)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, *parts: str) -> str:
    inside = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>" if inside else ""


def _table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first cell of a row is its header; on a narrow screen each row becomes a card."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(
        f'<tr><th scope="row" data-of="{escape(headers[0])}"><span>{escape(row[0])}</span></th>'
        + "".join(
            f'<td data-of="{escape(header)}">{_cell(cell)}</td>'
            for header, cell in zip(headers[1:], row[1:], strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="cards"><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    """A rate with its interval set apart."""
    value, bracket, interval = text.partition(" (")
    if not bracket:
        return f"<span>{escape(text)}</span>"
    return f'<span><span class="rate">{escape(value)}</span> <span class="interval">({escape(interval)}</span></span>'


def _open_set(result: Evaluation) -> str:
    rows = []
    for point in result.open_set:
        asked = f"{100 * point.asked_fpir:g} %"
        if not point.resolved:
            rows.append((asked, "unresolved", "-", "-"))
            continue
        tpir = f"{point.tpir:.1%}"
        if point.tpir_low is not None and point.tpir_high is not None:
            tpir += f" ({100 * point.tpir_low:.1f} to {100 * point.tpir_high:.1f})"
        rows.append((asked, f"{point.fpir:.2%}", f"{point.threshold:.3f}", tpir))
    caption = f"A gallery of {result.references} identities, one reference each; 95 % intervals in brackets."
    return _table(caption, ("FPIR asked", "FPIR seen", "threshold", "TPIR"), rows)


def _verification(result: Evaluation) -> str:
    if not (found := result.verification):
        return ""
    return (
        f"<p>Verification accuracy: {found.accuracy:.2%} ± {found.deviation:.2%} over {found.folds} folds, "
        f"{found.pairs} pairs.</p>"
    )


def _rates(result: Evaluation, place: int) -> str:
    threshold = result.thresholds[place]
    rows = [
        (
            group.cohort or plots.ALL,
            f"{group.people:,}",
            f"{group.faces:,}",
            *(show(measured, getattr(group.at[place], measured)) for measured in MEASURES),
        )
        for group in result.groups
    ]
    caption = f"Cosine {threshold.cosine:.3f}: {threshold.name}."
    return _table(caption, ("group", "people", "faces", *(measured.upper() for measured in MEASURES)), rows)


def _fnmr_at(result: Evaluation) -> str:
    rows = []
    for group in result.groups:
        cells = [
            f"{show('fnmr', at.fnmr)[:-1]}; at {at.threshold:.3f})" if at.fnmr and at.threshold else "unresolved"
            for at in group.fnmr_at
        ]
        rows.append((group.cohort or plots.ALL, *cells))
    caption = "Each group at the threshold that gives it this FMR; the intervals hold the threshold's uncertainty, too."
    return _table(caption, ("group", *(f"FMR {100 * fmr:g} %" for fmr in FMRS)), rows)


def _figures(curves: Mapping[str | None, Curve]) -> str:
    if not curves:
        return '<p class="note">No curves: nobody has two faces here.</p>'
    left_out = len(curves) - plots.MOST_CURVES
    note = f'<p class="note">{left_out} more cohorts are only in the tables.</p>' if left_out > 0 else ""
    figures = (
        (plots.roc(curves), "ROC: the share of one person's pairs accepted, over the share of strangers' pairs."),
        (plots.det(curves), "DET, on normal-deviate axes: nearer to the lower left is better."),
    )
    drawn = "".join(f"<figure>{svg}<figcaption>{escape(text)}</figcaption></figure>" for svg, text in figures)
    return f'<div class="figures">{drawn}</div>{note}'


def _terms() -> str:
    lines = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}.</dd>" for term, text in TERMS.items())
    return f"<dl>{lines}</dl>"


def _method() -> str:
    return (
        "<p>FMR and FNMR are of pairs of faces within a group. FPIR and TPIR are of a group's strangers and probes, "
        "searched in the gallery of everybody. FMR of all people counts pairs across cohorts, too, which are easier: "
        "a cohort's own is often the higher, so compare cohorts with each other as well. A cohort stands out where "
        "its interval and that of all people have nothing in common.</p>"
        "<p>The intervals come from 200 resamples of the people, never of single photos; the gallery stays as it is. "
        "Where no error was seen among n people the bound is 3/n. The data's own label errors are in all figures.</p>"
    )
