"""Somebody who is protected by a report, with cases about them, over one database: all that an erasure must find."""

import io
import json
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from PIL import Image

from records.casework.cases import CasePicture
from records.database import Database
from records.gallery import GalleryRecords
from records.references import ReferencePhoto
from records.reports.contents import Details
from records.reports.erasure import Erasure
from records.reports.intake import ReportIntake, Taken
from records.reports.look_backs import LookBacks
from records.reports.messages import ReportMessages
from records.reports.reading import ReportReading
from records.reports.review import ReportReview
from tests.support.case_office import MASTER as KEY
from tests.support.case_office import Office, new_case
from tests.support.sent_reports import challenge_photo, new_report, report_photo, unit_vector

FACE = unit_vector(1)
CONTACT = "mara.unmistakable@example.org"
WORDS = "Somebody shows my holiday photos from Cabo Polonio"
LINK = "https://dating.example/u/fake-mara"
MESSAGE = "My sister saw the account, too, on Tuesday"


def grained_jpeg(seed: int, width: int = 360, height: int = 450) -> bytes:
    """A picture that no other file holds a piece of."""
    grain = np.random.default_rng(seed).integers(0, 255, (height // 6, width // 6, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(grain).resize((width, height)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


PHOTO, CHALLENGE, AVATAR = grained_jpeg(1), grained_jpeg(2), grained_jpeg(3)


@dataclass
class Protection:
    """The records around reports, with an office that works the cases."""

    database: Database
    office: Office = field(init=False)

    def __post_init__(self) -> None:
        self.office = Office(self.database)
        clock, audit = self.office.clock, self.office.audit
        self.office.hire()
        self.gallery = GalleryRecords(self.database, KEY, clock=clock)
        self.reading = ReportReading(self.database, KEY)
        self.messages = ReportMessages(self.database, KEY, audit, clock=clock)
        self.erasure = Erasure(self.database, KEY, audit, clock=clock)
        self.look_backs = LookBacks(self.database, KEY, audit, back=timedelta(days=7), clock=clock)
        reasons = ("other",)
        self.review = ReportReview(self.database, KEY, audit, self.look_backs, reasons=reasons, clock=clock)

    def report(self, *photos: ReferencePhoto, **facts: object) -> Taken:
        """A report comes in, of these photos or of one, and its reporter writes a message."""
        details = Details(CONTACT, (LINK,), ("acct-mara",), WORDS)
        sent = photos or [report_photo(1, FACE, PHOTO)]
        new = new_report(sent, challenge_photo(FACE, jpeg=CHALLENGE), **{"details": details} | facts)
        taken = ReportIntake(self.database, KEY, self.office.audit, clock=self.office.clock).take(new)
        self.messages.write(taken.report_id, MESSAGE)
        return taken

    def protect(self, *photos: ReferencePhoto, **facts: object) -> tuple[Taken, str]:
        """A report that is approved; with the new identity's id."""
        taken = self.report(*photos, **facts)
        return taken, self.review.approve(taken.report_id, "lea")

    def case(self, case_id: str, identity_id: str, *, decision: str | None = None, **facts: object) -> str:
        """A case about the identity, with a picture; decided for good by two people if there is a decision."""
        reference = self.gallery.show(identity_id).references[0].id
        finding = {"kind": "same_person", "identity_id": identity_id, "identity_kind": "victim"}
        finding |= {"reference_id": reference, "similarity": 0.71, "threshold": 0.5, "face_box": [1, 2, 3, 4]}
        evidence = {"findings": [finding], "threshold": 0.5, "sure_threshold": 0.6, "model_pack": "opencv-zoo@1"}
        known = {"identity_id": identity_id, "identity_kind": "victim", "evidence": json.dumps(evidence)}
        new = new_case(case_id, reference_id=reference, **known | facts)
        self.office.clock.pass_by(timedelta(seconds=1))
        assert self.office.cases.open(new, CasePicture(AVATAR, {"avatar": []}, bytes(range(32)) * 8))
        if decision is not None:
            self.office.decide(case_id, "mo", decision)
            self.office.decide(case_id, "mia", decision, note="Looks like Mara from Cabo")
            self.office.clock.pass_by(timedelta(minutes=1))
            self.office.decisions.finish_due()
        return case_id
