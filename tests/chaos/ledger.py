"""What went in against what came out: an upload ends once, as a screening or a dead letter, with its review if due."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DUE = {"clear": ("screening",), "suspect": ("screening", "review"), "unreadable": ("dead_letter",)}
"""The messages that an upload of each sort must give, each once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message found by a reader of committed messages. `kind`: screening, review or dead_letter; `own_id`: the id
    that the message has itself; `created` and `seen`: when it was sent and when the reader had it, seconds since 1970.
    """

    kind: str
    event_id: str
    own_id: str
    created: float = 0.0
    seen: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The ids of uploads that ended amiss, each sorted; `events` is how many uploads there were.

    `lost`: no end, or a suspect without its review. `doubled`: a message came more than once, or both a screening and a
    dead letter did. `renamed`: repeats carry different ids of their own. `strange`: not the end that was due, or an
    upload that nobody sent.
    """

    events: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    renamed: tuple[str, ...]
    strange: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.events} uploads: lost = {len(self.lost)}, doubled = {len(self.doubled)}"


def tally(sent: Mapping[str, str], outcomes: Iterable[Outcome]) -> Tally:
    """The reckoning of all that was sent, as event id and sort (a key of DUE), with all that came out."""
    own_ids: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        own_ids[outcome.event_id][outcome.kind].append(outcome.own_id)
    counts = {event_id: Counter({k: len(v) for k, v in kinds.items()}) for event_id, kinds in own_ids.items()}

    def those(amiss: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
        return tuple(sorted(event_id for event_id, true in amiss if true))

    return Tally(
        len(sent),
        lost=those((one, _lost(sort, counts.get(one, Counter()))) for one, sort in sent.items()),
        doubled=those((one, _doubled(found)) for one, found in counts.items()),
        renamed=those((one, any(len(set(ids)) > 1 for ids in kinds.values())) for one, kinds in own_ids.items()),
        strange=those((one, not set(found) <= set(DUE.get(sent.get(one, ""), ()))) for one, found in counts.items()),
    )


def _lost(sort: str, found: Counter[str]) -> bool:
    ended = found["screening"] + found["dead_letter"] > 0
    return not ended or (sort == "suspect" and found["dead_letter"] == 0 and found["review"] == 0)


def _doubled(found: Counter[str]) -> bool:
    return found["screening"] + found["dead_letter"] > 1 or found["review"] > 1
