"""How the suite is shared out among processes, and the table at its end: which part ran on what, what was left out."""

from dataclasses import asdict

import pytest
from argon2 import PasswordHasher
from xdist.scheduler import LoadScopeScheduling

from records.people import passwords
from tests.support.detectors import detector
from tests.support.legs import all_legs, in_ci, missing_in_ci, record_leg
from tests.support.models import engine, insightface_folder, models, packs
from tests.support.portraits import portraits
from tests.support.quick_databases import quick_databases
from tests.support.real_faces import real_faces

__all__ = [
    "detector",
    "engine",
    "insightface_folder",
    "models",
    "packs",
    "portraits",
    "quick_databases",
    "real_faces",
    "record_leg",
]


@pytest.fixture(scope="session", autouse=True)
def quick_passwords():
    """Passwords are hashed as always, but without the hard work, which is a second for everybody who is hired."""
    passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


ALONE = (
    "tests/chaos/",
    "tests/guard/",
    "tests/integration/test_fetch_queue.py",
    "tests/integration/test_worker_pool.py",
)
"""What kills, measures, or is held to seconds: it has the machine to itself, once all else is done."""


class FileByFile(LoadScopeScheduling):
    """The tests of a file stay in one process; those of ALONE follow one another in the last process that works."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return "alone" if file.startswith(ALONE) else file

    def _reschedule(self, node):
        others = [other for other in self.nodes if other is not node]
        if list(self.workqueue) != ["alone"] or not others or node.shutting_down:
            super()._reschedule(node)
        elif self._pending_of(self.assigned_work[node]) <= 2 and not all(other.shutting_down for other in others):
            node.shutdown()

    def remove_node(self, node):
        crashed_at = super().remove_node(node)
        for other in self.nodes:
            self._reschedule(other)
        return crashed_at


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.nodeid.startswith(ALONE))


def pytest_xdist_make_scheduler(config, log):
    return FileByFile(config, log)


def pytest_testnodedown(node):
    """Takes in the legs of a process that has done its part."""
    for leg in getattr(node, "workeroutput", {}).get("legs", ()):
        record_leg(**leg)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["legs"] = [asdict(leg) for leg in all_legs()]
        return
    if in_ci() and missing_in_ci() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    legs = all_legs()
    if not legs:
        return
    terminalreporter.section("legs")
    width = max(len(leg.name) for leg in legs)
    for leg in legs:
        outcome = f"ran on {leg.what}" if leg.ran else f"LEFT OUT ({leg.what}): {leg.why}"
        terminalreporter.line(f"{leg.name:<{width}}  {outcome}", red=not leg.ran, green=leg.ran)
    if in_ci() and missing_in_ci():
        terminalreporter.line("CI=true: a leg that is left out fails the run.", red=True)
