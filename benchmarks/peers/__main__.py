"""`make bench-peers`: Likeness beside what people use instead, pictures and searches, in one run on this machine.

With --only, the other half of the results is left as it was. Peers are installed into an environment of their own.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import peers_python, versions
from benchmarks.peers.picture_peers import PICTURES, measure_pictures
from benchmarks.peers.report import picture_table, search_table, write_pages
from benchmarks.peers.search_peers import measure_searches
from benchmarks.peers.weights import lay_out
from benchmarks.pictures import make_pictures
from benchmarks.results import read_results, write_results
from config import load_settings
from demo.portraits import fetch_portraits
from likeness.console import out

NOT_TO_BE_HAD = (
    "facenet-pytorch, keras-facenet, and DeepFace's Facenet and ArcFace fetch their weights from the web when they run",
    "insightface's buffalo_l, too, and for research only; its code runs here on SFace and YuNet",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("pictures", "searches"), help="measure one half")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md and README.md")
    chosen = parser.parse_args()
    only = chosen.only
    cache = load_settings().home / "benchmarks"
    home, cores = cache / "peers", len(os.sched_getaffinity(0))
    theirs, ours = peers_python(home / "environment"), Path(sys.executable)
    results: dict[str, Any] = dict(read_results("peers") or {})
    if only != "searches":
        lay_out(home)
        pictures = _write_pictures(home / "pictures", cache / "portraits")
        results["pictures"] = measure_pictures(home, pictures, ours, theirs, cores)
    if only != "pictures":
        results["searches"] = measure_searches(home / "vectors", ours, theirs, cores)
    rows = [*results.get("pictures", []), *results.get("searches", [])]
    results["versions"] = versions(theirs, sorted({package for row in rows for package in row["packages"]}))
    results["not_to_be_had"] = NOT_TO_BE_HAD
    print_tables(results)
    path = write_results("peers", {name: results[name] for name in results if name not in ("measured", "machine")})
    out.print(f"Written to {path}.")
    if chosen.write:
        write_pages(results)


def print_tables(results: Mapping[str, Any]) -> None:
    """Both tables, as far as they were measured."""
    if "pictures" in results:
        out.print(picture_table(results["pictures"], results["versions"]))
    if "searches" in results:
        out.print(search_table(results["searches"], results["versions"]))
    for line in results["not_to_be_had"]:
        out.print(f"Not to be had: {line}.")


def _write_pictures(folder: Path, portraits: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(make_pictures(fetch_portraits(portraits), PICTURES)):
        (folder / f"{number:03}.jpg").write_bytes(picture)
    return folder


if __name__ == "__main__":
    main()
