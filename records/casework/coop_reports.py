"""Cases that go to ROOST Coop: cases.py notes each when it opens it, and here it is kept until Coop has taken it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import Select, func, select, update

from records.announcer import utc_now
from records.casework.cases import Case, case_of
from records.casework.schema_around_cases import CoopReportRow
from records.casework.schema_cases import CaseRow
from records.database import Database
from records.schema import IdentityRow

Columns = TypeVarTuple("Columns")


@dataclass(frozen=True, slots=True)
class CoopReport:
    """A case to report. celebrities: by id, the names of those whom it speaks of, and of them alone; picture_url: where
    the platform keeps the picture, if it told."""

    case: Case
    celebrities: Mapping[str, str]
    picture_url: str | None


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """A case that Coop did not want, and why."""

    case_id: str
    created_at: datetime
    why: str


class CoopReports:
    """Every method may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def waiting(self, limit: int = 500) -> Sequence[str]:
        """The ids of cases to report, oldest first. What was decided meanwhile is not reported."""
        with self._database.read() as session:
            return session.scalars(_open(select(CoopReportRow.case_id)).limit(limit)).all()

    def count(self) -> tuple[int, int]:
        """How many wait, and how many were refused."""
        refused = select(func.count()).where(CoopReportRow.refused.is_not(None))
        with self._database.read() as session:
            waiting = session.scalar(select(func.count()).select_from(_open(select(CoopReportRow.case_id)).subquery()))
            return waiting or 0, session.scalar(refused) or 0

    def get(self, case_id: str) -> CoopReport | None:
        """None when it does not wait any more."""
        with self._database.read() as session:
            row = session.execute(
                _open(select(CoopReportRow, CaseRow)).where(CoopReportRow.case_id == case_id)
            ).one_or_none()
            if row is None:
                return None
            report, case = row[0], case_of(row[1])
            named = select(IdentityRow.id, IdentityRow.name).where(
                IdentityRow.kind == "celebrity", IdentityRow.id.in_(_people(case))
            )
            celebrities = {person.id: person.name for person in session.execute(named)}
            return CoopReport(case, celebrities, report.picture_url)

    def taken(self, case_id: str) -> None:
        """Coop has it; where the picture lies is forgotten."""
        self._end(case_id, {"sent_at": self._clock(), "picture_url": None})

    def refuse(self, case_id: str, why: str) -> None:
        """Coop does not want it: it is not sent again until `retry`."""
        self._end(case_id, {"refused": why})

    def refused(self) -> list[RefusedReport]:
        """Oldest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(CoopReportRow).where(CoopReportRow.refused.is_not(None)).order_by(CoopReportRow.created_at)
            )
            return [RefusedReport(row.case_id, row.created_at, row.refused or "") for row in rows]

    def retry(self) -> int:
        """Has all that was refused sent again; how many."""
        with self._database.write() as session:
            again = update(CoopReportRow).where(CoopReportRow.refused.is_not(None)).values(refused=None)
            return len(session.scalars(again.returning(CoopReportRow.case_id)).all())

    def alone(self) -> AbstractContextManager[bool]:
        """Whether we alone send reports until the block ends; a holder that dies lets it go."""
        return self._database.sole("coop")

    def _end(self, case_id: str, values: Mapping[str, object]) -> None:
        with self._database.write() as session:
            session.execute(update(CoopReportRow).where(CoopReportRow.case_id == case_id).values(values))


def _open(wanted: Select[*Columns]) -> Select[*Columns]:
    """Of reports, those to send, with their cases."""
    unsent = (CoopReportRow.sent_at.is_(None), CoopReportRow.refused.is_(None), CaseRow.state == "open")
    joined = wanted.join(CaseRow, CaseRow.id == CoopReportRow.case_id)
    return joined.where(*unsent).order_by(CoopReportRow.created_at)


def _people(case: Case) -> set[str]:
    findings = case.evidence.get("findings", [])
    ids = {one.get("identity_id") for one in findings}
    ids |= {one["runner_up"]["identity_id"] for one in findings if one.get("runner_up")}
    return ids - {None}
