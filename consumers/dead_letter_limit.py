"""How many dead letters are normal: above that the fault is ours, and the topic must be drained no further."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple


class Ended(NamedTuple):
    """How an upload ended: the reason of a dead letter, or None; and whose it is, None where nobody could read that."""

    reason: str | None
    account_id: str | None


_UNDER_WAY: Final = Ended(None, None)


class TooManyDeadLetters(Exception):
    """So many recent uploads end as dead letters that the fault is ours: stop, and drain the topic no further."""


class DeadLetterLimit:
    """Watches the share of dead letters among recent uploads, in the order in which they were taken on.

    Refusals end at once and good uploads take their time, so the share of those that have ended would be a wrong one:
    uploads under way that were taken on before others that have ended count as good. Of an account's dead letters one
    counts: somebody who uploads a hundred broken files is no fault of ours, and must not stop the screening of others.
    """

    def __init__(self, share: float, window: int, minimum: int) -> None:
        """`share`: 0..1; `window`: uploads that count as recent; `minimum`: uploads before the share is judged."""
        self._share = share
        self._window = window
        self._minimum = min(minimum, window)
        self._fates: dict[int, Ended] = {}

    def begin(self, number: int) -> None:
        """An upload is taken on; numbers ascend."""
        self._fates[number] = _UNDER_WAY

    def forget(self, numbers: Iterable[int]) -> None:
        """Uploads are dropped without an end, to be taken on anew."""
        for number in numbers:
            self._fates.pop(number, None)

    def check(self, ended: Mapping[int, Ended]) -> None:
        """Judge uploads about to be delivered, by number. Raises TooManyDeadLetters, and then they must not be
        delivered."""
        fates = {**self._fates, **ended}
        recent = _one_of_each([fates[number] for number in self._known(fates)[-self._window :]])
        dead = [one.reason for one in recent if one.reason]
        if len(recent) >= self._minimum and len(dead) > self._share * len(recent):
            worst = max(set(dead), key=dead.count)
            raise TooManyDeadLetters(
                f"{len(dead)} of the last {len(recent)} uploads would end as dead letters, most for {worst}: stopped "
                "before the last batch, which stays uncommitted. Find the cause, or raise screening.dead_letter_share."
            )

    def count(self, ended: Mapping[int, Ended]) -> None:
        """Remember uploads that were delivered."""
        self._fates |= ended
        for number in self._known(self._fates)[: -self._window]:
            if self._fates[number] is not _UNDER_WAY:
                del self._fates[number]

    def _known(self, fates: Mapping[int, Ended]) -> list[int]:
        """The uploads up to the last that has ended."""
        numbers = list(fates)
        while numbers and fates[numbers[-1]] is _UNDER_WAY:
            numbers.pop()
        return numbers


def _one_of_each(recent: Iterable[Ended]) -> list[Ended]:
    """Without the further dead letters of an account that has one."""
    kept, counted = list[Ended](), set[str]()
    for one in recent:
        if one.reason is not None and one.account_id is not None:
            if one.account_id in counted:
                continue
            counted.add(one.account_id)
        kept.append(one)
    return kept
