"""likeness doctor: what is wrong around Likeness, and how to mend it."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from config import Settings, SettingsError, load_settings
from likeness.broker_asked import quiet_kafka
from likeness.console import out
from likeness.dead_letter_tables import printable
from likeness.doctor.discretion import masked
from likeness.doctor.examination import examine
from likeness.doctor.finding import Finding
from likeness.doctor.kafka_checks import kafka_checks
from likeness.doctor.machine_checks import machine_checks
from likeness.doctor.milvus_checks import milvus_checks
from likeness.doctor.model_checks import model_checks
from likeness.doctor.records_checks import records_checks

SECONDS, DEEP_SECONDS = 14.0, 25.0
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also try out transactions: writes to a topic of their own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per finding and line.")] = False,
) -> None:
    """Check settings, models, database, keys, broker, topics, disk and clock. Exit code 1 if anything fails."""
    findings = _findings(deep)
    if as_json:
        for finding in findings:
            print(json.dumps(asdict(finding), ensure_ascii=False))
    else:
        _print(findings)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _findings(deep: bool) -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding("settings", "fail", str(error), "Mend what it names; nothing else was checked.")]
    groups = {
        "machine": lambda: machine_checks(settings, os.environ),
        "models": lambda: model_checks(settings),
        "records": lambda: records_checks(settings),
        "milvus": lambda: milvus_checks(settings),
        "broker": lambda: kafka_checks(settings, deep=deep),
    }
    with quiet_kafka():
        found = examine(groups, DEEP_SECONDS if deep else SECONDS)
    return [_discreet(finding, settings) for finding in found]


def _discreet(finding: Finding, settings: Settings) -> Finding:
    said, mend = (printable(masked(text, settings)) for text in (finding.sentence, finding.mend))
    return replace(finding, sentence=said, mend=mend)


def _print(findings: Sequence[Finding]) -> None:
    table = Table("", "what", "how it stands")
    for finding in findings:
        table.add_row(Text(finding.state, COLOURS[finding.state]), finding.name, finding.sentence)
    out.print(table)
    for finding in findings:
        if finding.mend:
            out.print(
                Text(f"{finding.state}  ", COLOURS[finding.state]), f"{finding.name}: {finding.mend}", soft_wrap=True
            )
