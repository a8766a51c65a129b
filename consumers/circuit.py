"""A circuit breaker: what failed again and again is left alone for a while, then tried by one call alone."""

from collections.abc import Callable


class Circuit:
    """Closed, it lets every call pass; `failures` in a row open it for `seconds` of `clock`, then one trial may pass.

    Every call that `may_pass` let through while the circuit was open must be told of by `succeeded`, `failed` or
    `undecided`. Not thread-safe.
    """

    __slots__ = ("_clock", "_failures", "_limit", "_on_trial", "_seconds", "_until")

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._until: float | None = None
        self._on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back; so it stays until one has succeeded."""
        return self._until is not None

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    @property
    def seconds_left(self) -> float:
        """How long no call at all may pass, 0 when the trial may."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def may_pass(self) -> bool:
        """Whether a call may go ahead; of an open circuit only the trial, one at a time, once the pause is over."""
        if self._until is None:
            return True
        if self._on_trial or self._clock() < self._until:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """Close it, whichever call it was that succeeded."""
        self._failures = 0
        self._until = None
        self._on_trial = False

    def failed(self) -> None:
        """Count a failure; while it is open the pause begins anew."""
        self._failures += 1
        if self._failures >= self._limit:
            self._until = self._clock() + self._seconds
            self._on_trial = False

    def undecided(self) -> None:
        """The trial ended without telling anything: the next call is the trial."""
        self._on_trial = False
