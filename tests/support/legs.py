"""Which parts of the suite ran on what real thing, and which were left out and why."""

import os
from dataclasses import dataclass

import pytest

from demo.broker import BrokerUnavailable
from tests.support.chromium import ChromiumMissing
from tests.support.postgres import PostgresMissing

ONLY_REPORTED = "real faces"
"""The one leg that may be left out in CI: photographs of people are never part of a checkout."""


@dataclass(frozen=True)
class Leg:
    """`what`: the thing that it ran on, or would have."""

    name: str
    what: str
    ran: bool
    why: str = ""


_legs: dict[str, Leg] = {}


def record_leg(name: str, what: str, ran: bool, why: str = "") -> None:
    """Note that a part of the suite ran on `what`, or was left out and `why`; once left out, it stays so."""
    if name not in _legs or _legs[name].ran:
        _legs[name] = Leg(name, what, ran, why)


def all_legs() -> tuple[Leg, ...]:
    return tuple(_legs[name] for name in sorted(_legs))


def missing_in_ci() -> tuple[Leg, ...]:
    """The legs whose absence fails a run with CI=true."""
    return tuple(leg for leg in all_legs() if not leg.ran and leg.name != ONLY_REPORTED)


def in_ci() -> bool:
    """Whether nothing may be left out."""
    return os.environ.get("CI", "").lower() == "true"


def running_leg(leg, make):
    """What `make` gives, as a fixture; where it cannot be had the leg is left out, which fails in CI."""
    try:
        with make() as server:
            record_leg(leg, server.name, ran=True)
            yield server
    except (BrokerUnavailable, ChromiumMissing, PostgresMissing) as missing:
        record_leg(leg, leg, ran=False, why=str(missing))
        (pytest.fail if in_ci() else pytest.skip)(str(missing))
