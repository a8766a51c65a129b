"""likeness screen: verdicts on files, without Kafka."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from config import load_settings
from detector import Upload, Verdict
from likeness.console import out
from likeness.errors import BadInput
from likeness.folders import read_picture
from likeness.workbench import open_workbench

BATCH = 32


def screen(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.", metavar="PICTURE")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture and line.")] = False,
    account: Annotated[str | None, typer.Option(help="The account that the pictures are for.")] = None,
    handle: Annotated[str | None, typer.Option(help="The account's handle.")] = None,
    display_name: Annotated[str | None, typer.Option(help="The name that the account shows.")] = None,
) -> None:
    """Screen picture files against the gallery. Exit code 2 if any could not be screened."""
    settings = load_settings()
    paths = _files(pictures)
    limit = settings.pictures.max_bytes
    unscreenable = 0
    with open_workbench(settings) as bench:
        table = Table("picture", "verdict", "findings", "identity", "similarity", "threshold", "faces", "ms")
        remaining = iter(paths)
        while batch := list(islice(remaining, BATCH)):
            verdicts = bench.detector.screen_batch(
                [Upload(read_picture(path, limit), account, display_name, handle) for path in batch]
            )
            for path, verdict in zip(batch, verdicts, strict=True):
                unscreenable += verdict.outcome == "unscreenable"
                if as_json:
                    print(json.dumps(line(str(path), verdict), ensure_ascii=False), flush=True)
                else:
                    table.add_row(*_row(path, verdict))
        if not as_json:
            out.print(table)
    if unscreenable:
        raise BadInput(f"Files that could not be screened: {unscreenable} of {len(paths)}.")


def line(picture: str, verdict: Verdict) -> dict[str, Any]:
    """The JSON object of one picture."""
    findings = [asdict(finding) for finding in verdict.findings]
    shown: dict[str, Any] = {
        "picture": picture,
        "verdict": verdict.outcome,
        "findings": findings,
        "silenced": [{**asdict(silenced.finding), "silenced_by": silenced.by} for silenced in verdict.silenced],
        "faces": [asdict(face) for face in verdict.faces],
        "faces_left_out": verdict.faces_left_out,
        "width": verdict.width,
        "height": verdict.height,
        "model_pack": verdict.pack,
        "threshold": verdict.threshold,
        "sure_threshold": verdict.sure,
        "gallery_version": verdict.gallery_version,
        "milliseconds": {stage: round(value, 3) for stage, value in verdict.milliseconds.items()},
    }
    if verdict.reason is not None:
        shown |= {"reason": verdict.reason, "detail": verdict.detail}
    return shown


def _files(pictures: list[Path]) -> list[Path]:
    paths = list(_expanded(pictures))
    if not paths:
        raise BadInput("There are no files in the folders named.")
    return paths


def _expanded(pictures: list[Path]) -> Iterator[Path]:
    for path in pictures:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("[!.]*") if file.is_file())
        elif path.is_file():
            yield path
        else:
            raise BadInput(f"There is no picture {path}.")


def _row(path: Path, verdict: Verdict) -> list[str]:
    found = verdict.findings[0] if verdict.findings else None
    return [
        path.name,
        verdict.outcome,
        ", ".join(dict.fromkeys(one.kind for one in verdict.findings))
        or verdict.reason
        or ", ".join(dict.fromkeys(one.by.replace("_", " ") for one in verdict.silenced)),
        found.identity_name or "" if found else ", ".join(one.finding.identity_name or "" for one in verdict.silenced),
        f"{found.similarity:.3f}" if found and found.similarity is not None else "",
        f"{verdict.threshold:.3f}",
        str(len(verdict.faces)),
        f"{sum(verdict.milliseconds.values()):.1f}",
    ]
