"""Work that may take what others leave of the machine, and no more."""

import contextlib
import os

NICEST = 19


def give_way() -> None:
    """Lets every other process of the machine go first, before this one and before those that it starts."""
    os.nice(NICEST)
    if hasattr(os, "SCHED_IDLE"):  # Linux: has the processor only while nobody else wants it
        with contextlib.suppress(OSError):  # some sandboxes do not let a process choose
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
