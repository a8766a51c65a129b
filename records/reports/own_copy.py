"""What a reporter may see of their own report: what was done, and a copy of all that is held of them (GDPR, article
15). Never whom it was done against, where, or how like anybody was."""

import base64
from typing import Any

from sqlalchemy import func, select

from records.audit import AuditLog
from records.database import Database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.references import PictureHash, ReferenceDetail
from records.reports.messages import REPORTER, ReportMessages
from records.reports.reading import Report, ReportReading
from records.schema import DecisionRow


class OwnCopies:
    """Every method may raise DatabaseAway or SchemaMismatch."""

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        gallery: GalleryRecords,
        messages: ReportMessages,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._reading = ReportReading(database, master_key)
        self._gallery = gallery
        self._messages = messages
        self._audit = audit

    def actions(self, report: Report) -> int:
        """How often the platform was told that an account impersonates the reporter, where that stands."""
        last = select(func.max(DecisionRow.id)).where(
            DecisionRow.identity_id == report.identity_id, DecisionRow.review_id.is_not(None)
        )
        standing = last.group_by(DecisionRow.review_id)
        confirmed = select(func.count()).where(
            DecisionRow.id.in_(standing), DecisionRow.decision == "confirmed", DecisionRow.ended_at.is_(None)
        )
        with self._database.read() as session:
            return session.scalar(confirmed) or 0

    def of(self, report: Report) -> dict[str, Any]:
        """All that is held of the person, fit for JSON; pictures as base64 of JPEG files. The look is in the audit log.
        Raises ReportErased, MasterKeyError."""
        self._audit.append(REPORTER, "export", report.id, {"form": "own_copy"})
        details = self._reading.details(report.id)
        return {
            "case_number": report.number,
            "state": report.state,
            "received": report.created_at.isoformat(),
            "decided": report.decided_at.isoformat() if report.decided_at else None,
            "consent": {
                "text_version": report.consent_text,
                "at": report.consented_at.isoformat(),
                "months": report.months,
                "until": report.ends_at.isoformat() if report.ends_at else None,
                "to_be_written_to": report.consent_contact,
            },
            "contact": details.contact,
            "links": list(details.links),
            "own_accounts": list(details.accounts),
            "words": details.words,
            "identity_check": details.checked,
            "messages": [
                {
                    "from": "you" if one.moderator_id is None else "review team",
                    "at": one.written_at.isoformat(),
                    "text": one.text,
                }
                for one in self._messages.read(report.id)
            ],
            "pictures": self._sent(report.id) + self._gallery_pictures(report.identity_id),
            "action_taken": self.actions(report),
        }

    def _sent(self, report_id: str) -> list[dict[str, Any]]:
        """Of the photos, and of the hashes of those that stayed with the person, until somebody has decided."""
        held: list[dict[str, Any]] = []
        for photo_id in self._reading.photo_ids(report_id, "face"):
            found = self._reading.photo(report_id, photo_id)
            if isinstance(found, PictureHash):
                held.append({"kind": "hash", "pdq": found.pdq.hex()})
            else:
                held.append({"kind": "photo", "jpeg": _text(found.photo_jpeg), **_templates(tuple(found.embeddings))})
        for photo_id in self._reading.photo_ids(report_id, "challenge"):
            challenge = self._reading.challenge(report_id, photo_id)
            held.append({"kind": "challenge", "jpeg": _text(challenge.jpeg), "code": challenge.code})
        return held

    def _gallery_pictures(self, identity_id: str | None) -> list[dict[str, Any]]:
        if identity_id is None:
            return []
        return [self._gallery_picture(one) for one in self._gallery.show(identity_id).references]

    def _gallery_picture(self, reference: ReferenceDetail) -> dict[str, Any]:
        if reference.face_box is None:  # the photo stayed with the person, who can make its hash anew
            return {"kind": "hash", "width": reference.width, "height": reference.height}
        jpeg = _text(self._gallery.reference_photo(reference.id))
        return {"kind": "reference", "jpeg": jpeg, **_templates(reference.packs)}


def _templates(packs: tuple[str, ...]) -> dict[str, Any]:
    """The faces' embeddings are numbers that only we can read; which there are is told."""
    return {"face_templates": list(packs)}


def _text(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode()
