"""One of everything that rests under the master key: an identity, a report, a case's picture, a day's probes, a key
that signs, one that reports are sealed for, a second factor."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyotp

from detector.identity import Fingerprint
from records.audit import AuditLog
from records.casework.cases import CasePicture, CaseRecords
from records.database import Database
from records.errors import MasterKeyError
from records.gallery import GalleryRecords
from records.keys.keyring import DataKey, MasterKey
from records.keys.probe_keys import ProbeKeys
from records.keys.sealing import SealingKeys
from records.keys.signing import SigningKeys
from records.keys.vector_key import vector_key
from records.people import second_factor
from records.people.moderators import ModeratorRecords
from records.people.schema_people import ModeratorRow
from records.references import ReferencePhoto
from records.reports.contents import Challenge, Details
from records.reports.intake import NewReport, ReportIntake
from records.reports.reading import ReportReading
from records.reports.schema_reports import SealingKeyRow, SigningKeyRow
from tests.support.case_office import KEPT, QUEUES, START, new_case

MASTER = MasterKey.of(bytes(range(32)))
BOX = (10.0, 20.0, 100.0, 120.0)
ALL = {"identity", "report", "case", "probes", "signing", "sealing", "vectors", "second factor"}


def embedding(seed: int, dimension: int = 64) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return drawn / np.linalg.norm(drawn).astype(np.float32)


def photo(seed: int) -> ReferencePhoto:
    """A photo whose bytes occur nowhere else."""
    drawn = random.Random(seed)
    fingerprint = Fingerprint(drawn.randbytes(32), 87, drawn.randbytes(32), 640, 480, BOX)
    jpeg = b"\xff\xd8\xff\xe0" + drawn.randbytes(4000) + b"\xff\xd9"
    sha256 = drawn.randbytes(32).hex()
    return ReferencePhoto("report", sha256, jpeg, 640, 480, BOX, 0.9, {"p": embedding(seed)}, fingerprint)


DETAILS = Details(
    "ada.lovelace@example.com", ("https://dating.example/@thief",), ("acct-of-ada",), "He says he is me on that site."
)


def new_report(*photos: ReferencePhoto, **more: object) -> NewReport:
    facts: dict[str, object] = {
        "kind": "photos",
        "lane": "standard",
        "source": "page",
        "language": "en",
        "consent_text": "1",
        "consent_contact": True,
        "months": 12,
        "details": DETAILS,
        "photos": photos,
        "challenge": Challenge(photo(99).photo_jpeg, "4711", "4711", "p", embedding(99)),
    }
    return NewReport(**facts | more)


@dataclass(frozen=True)
class Vault:
    """What `fill` put into a database, by ids."""

    identity_id: str
    report_id: str
    case_id: str
    signing_key: str
    sealing_key: str
    moderator_id: str

    def opened(self, database: Database, master_key: MasterKey) -> set[str]:
        """The kinds of which the master key opens all that there is."""
        cases = CaseRecords(database, master_key, QUEUES, keep_pictures=KEPT)
        reports = ReportReading(database, master_key)
        with database.read() as session:
            signs = session.get_one(SigningKeyRow, self.signing_key).wrapped
            seals = session.get_one(SealingKeyRow, self.sealing_key).wrapped
            totp = session.get_one(ModeratorRow, self.moderator_id).totp_sealed
        asked = {
            "identity": lambda: list(GalleryRecords(database, master_key).identities()),
            "report": lambda: [reports.photo(self.report_id, one) for one in reports.photo_ids(self.report_id, "face")],
            "case": lambda: cases.picture(self.case_id),
            "probes": lambda: ProbeKeys(database, master_key, 7).all(),
            "signing": lambda: DataKey.unwrap(self.signing_key, signs, master_key),
            "sealing": lambda: DataKey.unwrap(self.sealing_key, seals, master_key),
            "vectors": lambda: vector_key(database, master_key),
            "second factor": lambda: second_factor.opened(totp, self.moderator_id, master_key),
        }
        return {kind for kind, ask in asked.items() if _opens(ask)}


def fill(database: Database, master_key: MasterKey, number: int = 1) -> Vault:
    """Adds one of everything; `number` makes the faces and names differ."""
    records = GalleryRecords(database, master_key)
    identity_id = records.add_identity(f"LK-{number}", "victim", [f"acct-{number}"], references=[photo(number)])
    taken = ReportIntake(database, master_key, AuditLog(database)).take(new_report(photo(100 + number)))
    case_id = f"case-{number}"
    cases = CaseRecords(database, master_key, QUEUES, keep_pictures=KEPT)
    cases.open(new_case(case_id), CasePicture(photo(200 + number).photo_jpeg, {"avatar": []}, bytes(32)))
    ProbeKeys(database, master_key, 7).make(START.date() + timedelta(days=number))
    signature = SigningKeys(database, master_key).sign(b"a receipt")
    sealing_key = SealingKeys(database, master_key).public_key()["kid"]
    vector_key(database, master_key)
    people = ModeratorRecords(database, master_key)
    moderator = people.add(f"mo-{number}", "Mo", "moderator", None)
    secret = people.enrol_totp(moderator.id)
    people.confirm_totp(moderator.id, secret, pyotp.TOTP(secret).now())
    return Vault(identity_id, taken.report_id, case_id, signature.key, sealing_key, moderator.id)


def _opens(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except MasterKeyError:
        return False
    return True
