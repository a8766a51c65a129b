"""How well reviews go: what findings are worth, how well people agree, what waits and for how long.

1. review_counts.py lets the database count; 2. this puts the counts together, for a window of whole days, and keeps
them; 3. review_statistics.py says how sure each figure is. Copies of golden cases count as tests, and as
nothing else.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.database import Database
from records.kept import Kept
from records.people.schema_people import ModeratorRow
from records.quality import review_counts
from records.quality.budget_suggestion import FACE_KINDS, FaceAlarms
from records.quality.review_counts import Decided, Pair, Test, Window
from records.quality.review_statistics import NO_AGREEMENT, Agreement, Share, agreement

Key = TypeVar("Key", str, int)

OUTCOMES = ("confirmed", "genuine_owner", "not_this_person", "bad_picture")
ANOTHER_PERSON = "another_person"
"""The category, for kappa, of a second judgement that decides as the first one does, but about somebody else."""
KEPT = timedelta(minutes=1)
"""How old figures may be before they are made anew, see Kept."""
WINDOWS = (7, 30, 90, 365)
"""Days that one may look back."""
WEEKS_FROM = 60
"""Days from which on a window is cut into weeks."""


@dataclass(frozen=True, slots=True)
class Precision:
    """What the last decisions say of some leading findings. over_time: the same in each period of the window."""

    confirmed: int
    genuine_owner: int
    not_this_person: int
    bad_picture: int
    over_time: tuple["Precision", ...] = ()

    @property
    def decided(self) -> int:
        return self.told + self.bad_picture

    @property
    def told(self) -> int:
        """Those on which the picture allowed an answer."""
        return self.confirmed + self.genuine_owner + self.not_this_person

    @property
    def impersonation(self) -> Share:
        """How many showed the person on somebody else's account."""
        return Share(self.confirmed, self.told)

    @property
    def right_face(self) -> Share:
        """How many showed the person, on whosever account."""
        return Share(self.confirmed + self.genuine_owner, self.told)


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """Of a queue: backlog: cases without a final decision now; over_time: the same at the end of each period; came,
    closed: in the window; median, p90: seconds from a case's coming to the decision that settled it."""

    queue: str
    backlog: int
    over_time: tuple[int, ...]
    came: int
    closed: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class Tests:
    """How somebody did on golden cases. An escalation is neither right nor wrong."""

    right: int = 0
    wrong: int = 0
    escalated: int = 0
    agreement: Agreement = NO_AGREEMENT

    @property
    def share(self) -> Share:
        return Share(self.right, self.right + self.wrong)


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What somebody did. with_others: where two judged a case without knowing of each other."""

    moderator_id: str
    name: str
    decisions: int
    with_others: Agreement
    tests: Tests


@dataclass(frozen=True, slots=True)
class ReviewQuality:
    """All figures of a window, as they were at `counted_at`. bands: by CaseRow.band; agreements: by finding kind."""

    counted_at: datetime
    window: Window
    queues: tuple[QueueFlow, ...]
    kinds: Mapping[str, Precision]
    bands: Mapping[int, Precision]
    agreement: Agreement
    agreements: Mapping[str, Agreement]
    tests: Tests
    reviewers: tuple[Reviewer, ...]
    face_alarms: FaceAlarms

    def of(self, moderator_id: str) -> Reviewer | None:
        """What one person did; None when they did nothing in the window."""
        return next((one for one in self.reviewers if one.moderator_id == moderator_id), None)


class QualityRecords:
    """May raise DatabaseAway or SchemaMismatch. `queues`: in the settings' order; `clock` gives the moment, aware."""

    def __init__(self, database: Database, queues: Sequence[str], *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._queues = queues
        self._clock = clock
        self._figures = {days: Kept(partial(self._of_days, days), keep=KEPT, clock=clock) for days in WINDOWS}

    def of_days(self, days: int) -> ReviewQuality:
        """The last so many days, one of WINDOWS, today as the last."""
        return self._figures[days].get()

    def look_ahead(self, days: int) -> ReviewQuality:
        """Counts for all windows, so that no page waits for it; gives the figures of these days."""
        return {each: self._figures[each].get(patience=None) for each in WINDOWS}[days]

    def _of_days(self, days: int, now: datetime) -> ReviewQuality:
        with self._database.read() as session:
            return self._count(session, window_of(days, now), now)

    def _count(self, session: Session, window: Window, now: datetime) -> ReviewQuality:
        postgresql = self._database.postgresql
        decided = review_counts.decided(session, window, postgresql)
        pairs = review_counts.pairs(session, window)
        tests = review_counts.tests(session, window)
        names = dict(session.execute(select(ModeratorRow.id, ModeratorRow.name)).all())
        return ReviewQuality(
            counted_at=now,
            window=window,
            queues=tuple(_flows(session, window, self._queues, postgresql)),
            kinds=_precisions(window, [(one.kind, one) for one in decided]),
            bands=_precisions(window, [(one.band, one) for one in decided if one.band is not None]),
            agreement=_agreement(pairs),
            agreements={
                kind: _agreement([one for one in pairs if one.kind == kind])
                for kind in sorted({one.kind for one in pairs})
            },
            tests=_tests(tests),
            reviewers=tuple(_reviewers(names, review_counts.work(session, window), pairs, tests)),
            face_alarms=review_counts.face_alarms(session, window, FACE_KINDS, decided),
        )


def window_of(days: int, now: datetime) -> Window:
    """The last so many days in UTC, today as the last; from WEEKS_FROM days on whole weeks of them."""
    step = 7 if days >= WEEKS_FROM else 1
    until = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    periods = -(-days // step)
    return Window(until - timedelta(days=periods * step), step, periods)


def _precisions(window: Window, decided: Iterable[tuple[Key, Decided]]) -> dict[Key, Precision]:
    """By what the cases are grouped by, in its order."""
    groups: dict[Key, list[Counter[str]]] = defaultdict(lambda: [Counter() for _ in range(window.periods)])
    for key, one in decided:
        groups[key][one.period][one.outcome] += one.count
    return {
        key: _precision(sum(periods, Counter()), tuple(map(_precision, periods)))
        for key, periods in sorted(groups.items())
    }


def _precision(decisions: Mapping[str, int], over_time: tuple[Precision, ...] = ()) -> Precision:
    return Precision(**{name: decisions.get(name, 0) for name in OUTCOMES}, over_time=over_time)


def _flows(session: Session, window: Window, queues: Sequence[str], postgresql: bool) -> Iterator[QueueFlow]:
    backlog = review_counts.backlog(session)
    came, closed, again = review_counts.flow(session, window, postgresql)
    times = review_counts.times(session, window, postgresql)
    for queue in queues:
        now, over_time = backlog.get(queue, 0), []
        for period in range(window.periods - 1, -1, -1):
            over_time.append(max(0, now))
            now -= came.get((queue, period), 0) + again.get((queue, period), 0) - closed.get((queue, period), 0)
        yield QueueFlow(
            queue=queue,
            backlog=backlog.get(queue, 0),
            over_time=tuple(reversed(over_time)),
            came=sum(count for (name, _), count in came.items() if name == queue),
            closed=sum(count for (name, _), count in closed.items() if name == queue),
            median=times.get((queue, 50)),
            p90=times.get((queue, 90)),
        )


def _reviewers(
    names: Mapping[str, str], work: Mapping[str, int], pairs: Sequence[Pair], tests: Sequence[Test]
) -> Iterator[Reviewer]:
    """By name. Of a pair each has their own judgement first."""
    seen = {one.moderator_id for one in tests} | set(work)
    for moderator_id in sorted(seen, key=lambda one: names.get(one, "")):
        theirs = [one for one in pairs if one.first_by == moderator_id]
        theirs += [replace(one, first=one.second, second=one.first) for one in pairs if one.second_by == moderator_id]
        yield Reviewer(
            moderator_id=moderator_id,
            name=names.get(moderator_id, ""),
            decisions=work.get(moderator_id, 0),
            with_others=_agreement(theirs),
            tests=_tests([one for one in tests if one.moderator_id == moderator_id]),
        )


def _agreement(pairs: Iterable[Pair]) -> Agreement:
    """The same decision about somebody else is no agreement: a category of its own, which only seconds are in."""
    said: Counter[tuple[str, str]] = Counter()
    for one in pairs:
        differs = one.first == one.second and not one.same_person
        said[one.first, ANOTHER_PERSON if differs else one.second] += one.count
    return agreement(said)


def _tests(done: Iterable[Test]) -> Tests:
    said: Counter[tuple[str, str]] = Counter()
    for one in done:
        said[one.decision, one.expected] += one.count
    escalated = sum(count for (decision, _), count in said.items() if decision == "escalated")
    right = sum(count for (decision, expected), count in said.items() if decision == expected)
    return Tests(right, said.total() - right - escalated, escalated, agreement(said))
