"""Reports whose photos stayed with the person, once approved: what is found by them, what is kept, what is shown."""

import json
import re
import uuid
from datetime import timedelta

import pytest

from detector.fingerprint import pdq
from likeness.reembedding import reembed
from records.audit import AuditLog
from records.casework.cases import NewCase
from records.errors import UnknownReference
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.people.moderators import ModeratorRecords
from records.references import PictureHash
from records.reports.intake import ReportIntake
from records.reports.look_backs import LookBacks
from records.reports.review import ReportReview
from records.soundness import contents
from tests.support.clock import START, Clock
from tests.support.console_site import entering, make_desk, place_of, running_site, text_of
from tests.support.portraits import jpeg, read_rgb
from tests.support.sent_reports import PACK, new_report, picture_hash

KEY = MasterKey.of(bytes(32))
STAYED = "This photo stayed with the person"


@pytest.fixture
def gallery(database):
    return GalleryRecords(database, KEY)


@pytest.fixture
def protect(database):
    """Approves a report of these hashes; gives the id of the identity."""
    audit = AuditLog(database)
    look_backs = LookBacks(database, KEY, audit, back=timedelta())
    review = ReportReview(database, KEY, audit, look_backs, reasons=("other",))

    def approve(*hashes):
        report_id = ReportIntake(database, KEY, audit).take(new_report(kind="hashes", hashes=hashes)).report_id
        people = ModeratorRecords(database, KEY)
        mo = people.list() or [people.add("mo", "Mo", "moderator", "correct horse battery staple")]
        return review.approve(report_id, mo[0].id)

    return approve


def hash_of(pixels):
    """As the browser makes it, see tests/browser/test_pdq.py."""
    found, quality = pdq(pixels)
    return PictureHash(found.tobytes(), quality, pixels.shape[1], pixels.shape[0])


def test_the_same_picture_is_found_and_another_of_the_same_person_is_not(gallery, protect, detector, portraits):
    photo, other = read_rgb(portraits["person_b_1.jpg"]), read_rgb(portraits["person_b_2.jpg"])
    protect(hash_of(photo))
    for identity in gallery.identities(detector.index.pack):
        detector.index.apply(identity)
    for picture, turn in ((jpeg(photo, 40), "as_it_is"), (jpeg(photo[:, ::-1]), "mirrored")):
        verdict = detector.screen(picture, "acct-stranger")
        (finding,) = verdict.findings
        assert (verdict.outcome, finding.kind, finding.same_photo.transform) == ("review", "same_picture", turn)
        assert finding.similarity is None and finding.same_photo.hash_only
        assert "That photo stayed with the person" in finding.text
    assert detector.screen(jpeg(other), "acct-stranger").outcome == "clear"
    assert detector.screen(jpeg(photo), "acct-mara").outcome == "clear", "an account of her own"


def test_nothing_of_a_face_is_kept_of_a_photo_that_stayed_and_the_hash_rests_sealed(gallery, protect, tmp_path):
    found = picture_hash(1)
    identity_id = protect(found)
    (reference,) = gallery.show(identity_id).references
    assert (reference.face_box, reference.quality, reference.packs, reference.fingerprinted) == (None, 0.0, (), True)
    assert (reference.width, reference.height) == (found.width, found.height)
    with pytest.raises(UnknownReference, match="no photo"):
        gallery.reference_photo(reference.id)
    raw = b"".join(file.read_bytes() for file in tmp_path.rglob("likeness.db*"))
    assert found.pdq not in raw and found.pdq.hex().encode() not in raw


def test_a_hash_serves_every_model_pack_and_no_pack_lacks_it(gallery, database, protect, detector):
    identity_id = protect(picture_hash(1), picture_hash(2))
    for pack in (None, PACK, "another@7"):
        (identity,) = gallery.identities(pack)
        assert [one.hash_only for one in identity.references] == [True, True]
    assert list(gallery.references_without(PACK)) == []
    assert (contents(database, PACK).references, contents(database, PACK).unusable) == (2, 0)
    assert list(reembed(gallery, detector, everything=True)) == []
    assert len(gallery.show(identity_id).references) == 2


def test_a_suspended_hash_is_not_announced_and_one_that_is_removed_is_gone(gallery, protect):
    identity_id = protect(picture_hash(1), picture_hash(2))
    first, second = (one.id for one in gallery.show(identity_id).references)
    gallery.suspend_reference(first, True)
    (identity,) = gallery.identities()
    assert [one.id for one in identity.references] == [second]
    gallery.remove_reference(second)
    assert list(gallery.identities()) == []
    gallery.suspend_reference(first, False)
    (identity,) = gallery.identities()
    assert [one.id for one in identity.references] == [first]


def test_the_console_says_that_the_photo_stayed_and_asks_for_no_picture_of_it(database, gallery, protect):
    identity_id = protect(picture_hash(1))
    (reference,) = gallery.show(identity_id).references
    clock = Clock()
    desk = make_desk(database, clock)
    photo = {"by": "picture", "distance": 3, "transform": "mirrored", "visible": 1.0, "hash_only": True}
    finding = {"kind": "same_picture", "priority": 80, "identity_id": identity_id, "identity_kind": "victim"}
    finding |= {"reference_id": reference.id, "same_photo": photo, "similarity": None}
    evidence = {"findings": [finding], "faces": 1, "picture_width": 400, "picture_height": 300, "model_pack": PACK}
    evidence |= {"threshold": 0.55, "sure_threshold": 0.6, "gallery_version": 1}
    case = NewCase(
        id=str(uuid.uuid4()),
        event_id="event-1",
        account_id="acct-1",
        handle=None,
        display_name=None,
        account_created_at=None,
        uploaded_at=START,
        screened_at=START,
        kind="same_picture",
        identity_id=identity_id,
        identity_kind="victim",
        priority=80,
        held=False,
        evidence=json.dumps(evidence),
    )
    assert desk.cases.open(case, None)
    with running_site(desk) as site:
        log_in = entering(desk, site, {"mia": "moderator", "cora": "curator"})
        mia, cora = log_in("mia"), log_in("cora")
        page = mia.get(place_of(mia.post("/case/next", {}, form_of="/queue")))
        assert "is the same picture as a photo of" in text_of(page) and "It is mirrored." in text_of(page)
        assert STAYED in text_of(page)
        assert mia.get(f"/case/{case.id}/reference/{reference.id}/face.jpg").status == 410
        about = cora.get(f"/identity/{identity_id}")
        assert STAYED in text_of(about)
        assert cora.get(f"/identity/{identity_id}/reference/{reference.id}/photo.jpg").status == 410
    for shown in (page, about):
        assert f"/reference/{reference.id}/" not in "".join(pictures_in(shown))


def pictures_in(page):
    return re.findall(r'<(?:img|a)[^>]+(?:src|href)="([^"]+)"', page.data.decode())
