"""What the pages and the API say of look-backs: how far one is, what it found, and who showed a face before."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from config import load_settings
from consumers.case_feed import new_case
from consumers.open_detector import open_watched_looking
from likeness.console_enrolling import open_enrolling
from records.audit import AuditLog
from records.gallery import GalleryRecords
from records.outbox import Outbox
from records.people.api_tokens import SCOPES
from records.references import ReferencePhoto
from records.reports.contents import Details
from records.reports.look_backs import Part, Shown, Window
from tests.support.clock import START, Clock
from tests.support.console import finding, review
from tests.support.console_site import MASTER, entering, make_desk, running_site, text_of
from tests.support.sent_reports import challenge_photo, new_report, report_photo, unit_vector

PEOPLE = {"cy": "curator", "lea": "lead", "mo": "moderator"}


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'likeness.db'}"


@pytest.fixture
def desk(database):
    return make_desk(database, Clock())


@pytest.fixture
def identity_id(desk, database):
    vector = np.eye(1, 8, dtype=np.float32)[0]
    photo = ReferencePhoto("consent", "0" * 64, b"jpeg", 400, 300, (9, 9, 90, 90), 0.9, {"x@1": vector})
    identity_id = desk.gallery.add_identity("LK-7Q4M-2XKD-9BTN", "victim", references=[photo])
    while Outbox(database).drain(lambda rows: None):
        pass
    return identity_id


def test_how_far_a_look_back_is_stands_on_the_identitys_page(desk, identity_id):
    (asked,) = desk.look_backs.ask([identity_id], "operator:test")
    with running_site(desk) as site:
        cy = entering(desk, site, PEOPLE)("cy")

        def said():
            return text_of(cy.get(f"/identity/{identity_id}"))

        assert "Earlier uploads" in said() and "Waits its turn" in said()
        desk.look_backs.take()
        desk.look_backs.advance([asked], Window("avatar-uploads", {0: Part(0, 1234, 2468)}), 1234, {asked: 2})
        assert "50%" in said() and "1,234 uploads looked at, 2 sent to moderators" in said()
        desk.look_backs.advance([asked], Window("avatar-uploads", {0: Part(0, 2468, 2468)}), 1234, {})
        assert "Searched" in said() and "2,468 uploads looked at, 2 sent" in said()


def test_a_case_says_that_it_came_of_an_earlier_upload_and_the_api_too(desk, identity_id):
    about = {"identity_id": identity_id, "identity_kind": "victim", "runner_up": None}
    back, live = (new_case(review(findings=[finding(**about)], trigger=trigger)) for trigger in ("look_back", "upload"))
    for case in (back, live):
        desk.cases.open(case, None)
    token, _ = desk.tokens.add("tool", SCOPES, by="system")
    with running_site(desk) as site:
        mo = entering(desk, site, PEOPLE)("mo")
        page = text_of(mo.get(f"/case/{back.id}"))
        assert "Earlier upload" in page and "found when this person was newly protected" in page
        assert "Earlier upload" not in text_of(mo.get(f"/case/{live.id}"))
        told = mo.get(f"/api/v1/cases/{back.id}", Authorization=f"Bearer {token}").json()
        assert told["trigger"] == "look_back"


class KeptFaces:
    """Tells what the topic of kept faces would, which tests/integration/test_look_back.py reads."""

    def __init__(self):
        self.answer = None

    def who_shows(self, report_id, embeddings, pack, older_than):
        self.asked = report_id, len(embeddings), older_than
        return self.answer


@pytest.fixture(scope="module")
def enrols(models, tmp_path_factory):
    with closing(open_watched_looking(load_settings(home=models.parent), lambda how: None)) as looking:
        yield lambda records: closing(open_enrolling(load_settings(home=models.parent), looking, records))


def test_a_report_warns_of_accounts_that_showed_the_face_before_and_not_of_the_reporters_own(database, enrols):
    with enrols(GalleryRecords(database, MASTER)) as opened:
        desk, kept = make_desk(database, Clock(), enrols=opened), KeptFaces()
        desk = replace(desk, shows=kept)
        photos = [report_photo(number, unit_vector(number)) for number in range(2)]
        sent = new_report(photos, challenge=challenge_photo(unit_vector(0)), details=Details(accounts=("acct-mine",)))
        report_id = desk.report_intake.take(sent).report_id
        with running_site(desk) as site:
            mo = entering(desk, site, PEOPLE)("mo")
            mo.post(f"/reports/{report_id}/begin", form_of=f"/reports/{report_id}")
            page = f"/reports/{report_id}"
            assert "Earlier avatars are being searched for this face" in text_of(mo.get(page))
            assert kept.asked == (report_id, 2, START)
            kept.answer = [Shown("acct-mine", START - timedelta(days=9)), Shown("acct-old", START - timedelta(days=8))]
            said = text_of(mo.get(page))
            assert "These accounts showed this face before the report came: acct-old (" in said
            assert "acct-mine (" not in said
            kept.answer = []
            assert "showed this face" not in text_of(mo.get(page))
    assert AuditLog(database).read(subject=report_id)
