"""The time of day for tests: it stands still until it is moved."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


class Clock:
    """Gives the same moment, aware, until `pass_by` moves it on."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        """`time`: as in timedelta."""
        self.now += timedelta(**time)
