"""Runs groups of checks side by side, each under a limit of time, so that what hangs holds up nothing else."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from likeness.doctor.finding import Finding

Checks = Callable[[], Iterable[Finding]]
"""One group: its checks need one another, and are made in their order."""


def examine(groups: Mapping[str, Checks], seconds: float) -> list[Finding]:
    """The findings of all groups, by group; those made so far of a group that has not ended within `seconds`."""
    found: dict[str, list[Finding]] = {name: [] for name in groups}

    def run(name: str) -> None:
        try:
            for finding in groups[name]():
                found[name].append(finding)
        except Exception as error:  # one check's own defect must not hide what the others have to say
            what = f"The check itself failed: {type(error).__name__}: {' '.join(str(error).split())}."
            found[name].append(Finding(name, "fail", what, "Report it."))

    threads = {name: threading.Thread(target=run, args=(name,), name=name, daemon=True) for name in groups}
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + seconds
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            late = f"There was no answer within {seconds:.0f} s."
            found[name] = [*found[name], Finding(name, "fail", late, "See whether it hangs or is far away.")]
    return [finding for name in groups for finding in found[name]]
