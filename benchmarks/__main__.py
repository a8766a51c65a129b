"""`make bench`: every benchmark in turn, each in a process of its own, in under ten minutes.

Each leaves its figures in benchmarks/results; here the plots and tables of docs/performance.md are made of them.
`--tables`: print the tables alone, as Markdown; `NAME ...`: only these benchmarks.
"""

import argparse
import subprocess
import sys
import time

from benchmarks.plots import draw_plots
from benchmarks.tables import TABLES, print_tables
from likeness.console import err

PARTS = ("engine", "pipeline", "kafka_client", "latency", "processes", "search")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("parts", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; default: all")
    arguments.add_argument("--tables", action="store_true", help="print the last results as Markdown, measure nothing")
    chosen = arguments.parse_args()
    failed = [] if chosen.tables else [part for part in chosen.parts or PARTS if not _measured(part)]
    if not chosen.tables:
        draw_plots()
    print_tables(chosen.parts or tuple(TABLES))
    if failed:
        err.print(f"These ended with an error: {', '.join(failed)}.", style="red")
        sys.exit(1)


def _measured(part: str) -> bool:
    err.print(f"{part} ...", style="bold")
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=False)
    err.print(f"{part}: {time.monotonic() - started:.0f} s")
    return ended.returncode == 0


if __name__ == "__main__":
    main()
