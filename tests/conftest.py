"""Ends each run with a table of its legs: which part ran on what, and what was left out and why."""

import pytest
from argon2 import PasswordHasher

from records.people import passwords
from tests.support.detectors import detector
from tests.support.legs import all_legs, in_ci, missing_in_ci, record_leg
from tests.support.models import engine, insightface_folder, models, packs
from tests.support.portraits import portraits
from tests.support.real_faces import real_faces

__all__ = ["detector", "engine", "insightface_folder", "models", "packs", "portraits", "real_faces", "record_leg"]


@pytest.fixture(scope="session", autouse=True)
def quick_passwords():
    """Passwords are hashed as always, but without the hard work, which is a second for everybody who is hired."""
    passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def pytest_sessionfinish(session):
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
