"""Cases: opened once, routed, found again, and their pictures erased in time; on SQLite and on PostgreSQL."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from records.casework.cases import CasePicture, CaseRecords
from records.casework.schema_cases import CasePictureKeyRow, CasePictureRow
from records.errors import MasterKeyError, UnknownCase
from records.keys.keyring import MasterKey
from tests.support.case_office import FACES, KEPT, QUEUES, START, Office, new_case

PICTURE = CasePicture(b"\xff\xd8 the very bytes of a JPEG \xff\xd9", {"avatar": [{"box": [1.5, 2, 3, 4]}]})


@pytest.fixture
def office(database):
    office = Office(database)
    office.hire()
    return office


def test_a_case_is_as_its_review_was(office):
    evidence = json.dumps({"findings": [{"kind": "same_person"}], "faces": 1})
    new = new_case("c1", identity_id="idn_a", evidence=evidence, similarity=0.58, threshold=0.45)
    assert office.cases.open(new, PICTURE)
    case = office.cases.get("c1")
    kept = [
        name for name in new.__dataclass_fields__ if name not in ("evidence", "similarity", "threshold", "picture_url")
    ]
    assert {name: getattr(case, name) for name in kept} == {name: getattr(new, name) for name in kept}
    assert case.band == 2
    assert case.evidence == {"findings": [{"kind": "same_person"}], "faces": 1}
    assert (case.opened_at, case.queue, case.state, case.stage) == (START, "faces", "open", "first")
    assert (case.claimed_by, case.claimed_until, case.closed_at) == (None, None, None)
    assert office.cases.picture("c1") == PICTURE


def test_a_review_that_comes_again_changes_nothing(office):
    assert office.cases.open(new_case("c1"), PICTURE)
    office.decide("c1", "mo", "confirmed")
    before = office.cases.get("c1")
    office.clock.pass_by(timedelta(hours=1))
    assert not office.cases.open(new_case("c1", priority=99, handle="other"), CasePicture(b"other", {}))
    assert office.cases.get("c1") == before
    assert office.cases.picture("c1") == PICTURE


def test_a_case_that_does_not_exist_is_told_so(office):
    with pytest.raises(UnknownCase, match="c9"):
        office.cases.get("c9")
    with pytest.raises(UnknownCase, match="c9"):
        office.cases.comment("c9", "mo", "hello")
    assert office.cases.picture("c9") is None


@pytest.mark.parametrize(
    ("facts", "queue"),
    [
        ({"held": True, "identity_kind": "victim"}, "quarantined"),
        ({"kind": "same_picture", "identity_kind": "victim"}, "victims"),
        ({"kind": "same_picture"}, "pictures"),
        ({"kind": "same_picture", "identity_kind": None}, "pictures"),
        ({"kind": "name_claim"}, "faces"),
    ],
)
def test_the_first_queue_that_takes_a_case_gets_it(office, facts, queue):
    office.open("c1", **facts)
    assert office.cases.get("c1").queue == queue


def test_a_case_that_no_queue_takes_goes_to_the_last(database):
    office = Office(database, queues=QUEUES[1:])
    office.open("c1", held=True)
    assert office.cases.get("c1").queue == "faces"


def test_cases_of_a_queue_that_the_settings_lost_move_to_those_that_take_them_now(office, database):
    office.open("c1", kind="same_picture")
    office.open("c2")
    assert office.next_of("mo", "pictures") == "c1"
    later = Office(database, queues=(replace(FACES, name="everything"),))
    assert later.cases.reroute() == 2
    assert later.cases.reroute() == 0
    assert later.next_of("mo") == "c1", "who worked on it goes on"
    assert later.next_of("mia") == "c2"


def test_a_picture_is_shown_until_its_retention_has_passed_and_then_erased(office):
    office.cases.open(new_case("c1"), PICTURE)
    office.clock.pass_by(timedelta(days=1))
    office.cases.open(new_case("c2"), PICTURE)
    office.clock.now = START + KEPT - timedelta(seconds=1)
    assert office.cases.picture("c1") == PICTURE
    assert office.cases.erase_pictures(office.clock.now) == 0
    office.clock.pass_by(timedelta(seconds=1))
    assert office.cases.picture("c1") is None, "late though the erasing may be"
    assert office.cases.erase_pictures(office.clock.now) == 1
    office.clock.now = START
    assert office.cases.picture("c1") is None
    assert office.cases.picture("c2") == PICTURE
    assert office.cases.get("c1").id == "c1", "the case itself stays"


def test_a_picture_opens_with_its_own_cases_key_and_the_right_master_key_only(office, database):
    office.cases.open(new_case("c1"), PICTURE)
    another = MasterKey.of(bytes([1]) * 32)
    with pytest.raises(MasterKeyError):
        CaseRecords(database, another, QUEUES, keep_pictures=KEPT, clock=office.clock).picture("c1")
    office.cases.open(new_case("c2"), None)
    with database.write() as session:
        session.add(CasePictureRow(case_id="c2", picture=b"", faces=b"", kept_until=office.clock() + KEPT))
        session.flush()
        session.execute(update(CasePictureKeyRow).values(case_id="c2"))
    with pytest.raises(MasterKeyError):
        office.cases.picture("c2")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_database_file_holds_no_picture_and_no_face(office, database):
    office.cases.open(new_case("c1"), CasePicture(PICTURE.jpeg, {"avatar": [{"box": [123.456, 2, 3, 4]}]}))
    database.empty_log()
    path = Path(database.engine.url.database)
    raw = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b"account-of-c1" in raw, "the file is the right one"
    assert b"very bytes of a JPEG" not in raw
    assert b"123.456" not in raw


def test_a_case_is_found_by_its_account_event_identity_or_the_beginning_of_its_id(office):
    ids = [str(UUID(int=(0xABCDEF0123 << 88) + number)) for number in range(3)]
    other = "abcdef99-0000-0000-0000-000000000000"
    for case_id in [*ids, other]:
        office.open(case_id, identity_id="idn_a", account_id="acc-1")
    newest_first = ids[::-1]

    def found(text, limit=50):
        return [case.id for case in office.cases.search(text, limit)]

    assert found(" acc-1 ") == [other, *newest_first]
    assert found("idn_a", 2) == [other, ids[2]]
    assert found(f"event-of-{ids[1]}") == [ids[1]]
    assert found(ids[1]) == found(ids[1].upper()) == [ids[1]]
    assert found(ids[1][:8]) == found(ids[1][:9]) == found(ids[1][:13]) == newest_first
    assert found(ids[1][:7]) == [], "too short to tell cases apart"
    assert found("acc") == found("") == found("%") == found("nobody at all") == []


def test_the_cases_of_an_account_and_of_an_identity_are_its_history(office):
    office.open("c1", account_id="acc", identity_id="idn_a")
    office.open("c2", account_id="acc", identity_id="idn_b")
    office.open("c3", account_id="other", identity_id="idn_a")
    assert [case.id for case in office.cases.of_account("acc", 10)] == ["c2", "c1"]
    assert [case.id for case in office.cases.of_identity("idn_a", 10)] == ["c3", "c1"]
    assert [case.id for case in office.cases.of_identity("idn_a", 1)] == ["c3"]


def test_the_name_of_an_erased_identity_is_gone_from_its_cases(office, records):
    ada, grace = (records.add_identity(name, "victim") for name in ("Ada", "Grace"))
    assert office.cases.names([ada, grace, ada, "idn_x"]) == {ada: "Ada", grace: "Grace"}
    records.remove_identity(ada)
    assert office.cases.names([ada, grace]) == {grace: "Grace"}


def test_comments_are_read_in_the_order_in_which_they_were_written(office):
    office.open("c1")
    office.open("c2")
    office.cases.comment("c1", "mo", " Have we seen her before? ")
    office.cases.comment("c1", "lea", "Twice.")
    office.cases.comment("c1", "mo", "  \n")
    said = [(one.moderator_id, one.moderator_name, one.text) for one in office.cases.comments("c1")]
    assert said == [("mo", "Mo", "Have we seen her before?"), ("lea", "Lea", "Twice.")]
    assert office.cases.comments("c2") == []
