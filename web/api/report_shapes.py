"""The shapes of what the API tells of reports: never of whom or what matched."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from records.reports.reading import Report, ReportState
from web.api.shapes import Shape


class ReportStatus(Shape):
    """How far a report is."""

    id: str = Field(examples=["rpt_2f1c0d6b7a9e4c0f8b1d3e5a7c9f0b2d"])
    your_id: str | None
    number: str = Field(description="The case number, for the person.", examples=["LK-7Q4M-2XKD-9BTN"])
    state: ReportState = Field(
        description="`received`; `checking`: a moderator looks at it; `protecting`: avatars are compared with it; "
        "`refused`; `closed`: of a minor, handled by specialists; `withdrawn`, `expired`: erased."
    )
    received_at: datetime
    ends_at: datetime | None = Field(description="When the person's consent ends, and with it the protection.")

    @classmethod
    def of(cls, report: Report) -> "ReportStatus":
        return cls(
            id=report.id,
            your_id=report.source_key,
            number=report.number,
            state=report.state,
            received_at=report.created_at,
            ends_at=report.ends_at,
        )


class ReportTaken(ReportStatus):
    """A report that was taken in."""

    pin: str | None = Field(description="Opens the status page with the case number. Null where it was told before.")
    status_page: str | None = Field(description="Where the person follows the report; null where no page is served.")


class NewPin(Shape):
    """What opens the status page from now on."""

    number: str
    pin: str


class ReportWithdrawn(ReportStatus):
    """A report that was taken back."""

    receipt: Mapping[str, Any] = Field(
        description="What was erased, and when, signed; for the person. See docs/privacy.md."
    )
