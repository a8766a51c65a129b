"""The tables of the demo: what was uploaded and what became of it, and how one victim fared."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from demo.events import DemoEvent
from demo.uploads import Outcome
from demo.victim import Stage


def outcome_table(events: list[DemoEvent], outcomes: list[Outcome]) -> Table:
    """A row an upload; the last column says whether it ended as it should."""
    table = Table(
        title=f"{len(events)} uploads through Kafka", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for column in ("avatar", "verdict", "findings", "matched identity"):
        table.add_column(column)
    for column in ("priority", "similarity", "threshold", "time"):
        table.add_column(column, justify="right")
    table.add_column("as expected")
    for event, outcome in zip(events, outcomes, strict=True):
        finding = outcome.review["findings"][0] if outcome.review else None
        tone = {"review": "red", "clear": "green"}.get(outcome.verdict, "yellow")
        table.add_row(
            event.title,
            f"[{tone}]{outcome.verdict}[/]",
            ", ".join(one["kind"] for one in outcome.findings) or outcome.reason,
            finding["identity_name"] if finding else "",
            str(outcome.review["priority"]) if outcome.review else "",
            f"{finding['similarity']:.2f}" if finding else "",
            f"{outcome.review['threshold']:.2f}" if outcome.review else "",
            f"{outcome.milliseconds:.0f} ms",
            "yes" if outcome.matches(event) else f"[red]NO: {event.expected}[/]",
        )
    return table


def road_table(stages: list[Stage]) -> Table:
    """A row a stage of the victim's road."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("what happens", "what comes of it"):
        table.add_column(column)
    table.add_column("time", justify="right")
    table.add_column("as expected")
    for stage in stages:
        table.add_row(stage.title, stage.outcome, f"{stage.seconds:.1f} s", "yes" if stage.right else "[red]NO[/]")
    return table
