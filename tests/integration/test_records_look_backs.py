"""Look-backs in the database: asked for, taken together, gone on with, and gone with the person."""

import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy import select

from config import load_settings
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.worker import LookBackWorker
from detector.index import GalleryIndex
from likeness.commands.lookback import _tell, _work
from records.audit import AuditLog
from records.casework.cases import CaseRecords
from records.keys.keyring import MasterKey
from records.outbox import Outbox
from records.references import ReferencePhoto
from records.reports.look_backs import LookBacks, Part, Window
from records.reports.schema_reports import LookBackRow
from tests.support.case_office import FACES, new_case
from tests.support.clock import START

MASTER = MasterKey.of(bytes(32))
PACK = "p@1"


@pytest.fixture
def look_backs(database, clock):
    return LookBacks(database, MASTER, AuditLog(database), back=timedelta(days=7), clock=clock)


def photo(number, pack=PACK):
    vector = np.zeros(8, np.float32)
    vector[number % 8] = 1.0
    return ReferencePhoto("consent", f"{number:064x}", b"jpeg", 640, 480, (0, 0, 64, 64), 0.9, {pack: vector})


def person(database, records, name="Ada", photos=1):
    """Somebody of whom every consumer has been told."""
    identity_id = records.add_identity(name, "victim", ["acct-own"], references=[photo(one) for one in range(photos)])
    told(database)
    return identity_id


def told(database):
    while Outbox(database).drain(lambda rows: None):
        pass


def test_one_that_is_asked_for_goes_back_as_far_as_is_usual_and_is_noted(database, records, look_backs):
    identity_id = person(database, records)
    with database.write() as session:
        look_backs.ask_in(session, identity_id, "mod_lea")
    (one,) = look_backs.of_identity(identity_id)
    assert (one.state, one.since, one.asked_by, one.percent) == ("waiting", START - timedelta(days=7), "mod_lea", 0)
    (entry,) = AuditLog(database).read(subject=identity_id)
    assert (entry.actor, entry.action) == ("mod_lea", "look_back")
    assert look_backs.undone() == (1, START)


def test_all_that_wait_are_taken_together_and_who_comes_later_waits_for_the_next_turn(database, records, look_backs):
    people = [person(database, records, name) for name in ("Ada", "Bea", "Cleo")]
    first = look_backs.ask(people[:2], "operator:test")
    assert {one.id for one in look_backs.take()} == set(first)
    (later,) = look_backs.ask(people[2:], "operator:test")
    assert {one.id for one in look_backs.take()} == set(first)
    whole = Window("avatar-uploads", {0: Part(0, 9, 9)})
    look_backs.advance(first, whole, 9, {first[0]: 2})
    assert [one.id for one in look_backs.take()] == [later]
    done = {one.id: (one.state, one.seen, one.found, one.percent) for one in look_backs.find(first)}
    assert done == {first[0]: ("done", 9, 2, 100), first[1]: ("done", 9, 0, 100)}
    assert look_backs.undone()[0] == 1


def test_whoever_comes_next_finds_how_far_it_is(database, records, look_backs):
    asked = look_backs.ask([person(database, records)], "operator:test")
    look_backs.take()
    half = Window("avatar-uploads", {0: Part(0, 4, 8), 1: Part(3, 7, 7)})
    look_backs.advance(asked, half, 8, {})
    look_backs.advance(asked, half, 1, {asked[0]: 1})
    (one,) = look_backs.take()
    assert (one.window, one.state, one.seen, one.found, one.percent) == (half, "running", 9, 1, 66)


def test_nobody_is_searched_for_before_consumers_are_told_of_them_or_while_they_are_suspended(
    database, records, look_backs
):
    identity_id = records.add_identity("Ada", "victim", references=[photo(1)])
    look_backs.ask([identity_id], "operator:test")
    assert look_backs.take() == []
    told(database)
    assert len(look_backs.take()) == 1
    records.set_suspended(identity_id, True)
    told(database)
    assert look_backs.take() == []
    records.set_suspended(identity_id, False)
    told(database)
    assert [one.state for one in look_backs.take()] == ["running"]


def test_who_is_suspended_is_waited_for_by_nobody_and_named(database, records, look_backs, capsys):
    stays, goes = person(database, records, "Ada"), person(database, records, "Bea")
    asked = look_backs.ask([stays, goes], "operator:test")
    of_her = next(one.id for one in look_backs.find(asked) if one.identity_id == goes)
    records.set_suspended(goes, True)
    told(database)
    assert look_backs.undone() == (1, START) and look_backs.suspended(asked) == {of_her: goes}
    look_backs.advance([one.id for one in look_backs.take()], Window("avatar-uploads", {0: Part(0, 9, 9)}), 9, {})
    assert look_backs.undone() == (0, None)
    worker = OneLook()
    _work(worker, look_backs, asked)
    assert worker.over, "`likeness lookback --since` ends"
    _tell(look_backs.find(asked), 2, look_backs.suspended(asked))
    said = " ".join(capsys.readouterr().out.split())
    assert f"Suspended, and searched for by `likeness lookback` once they are no more: {goes}." in said
    assert "It is not done" not in said
    records.set_suspended(goes, False)
    assert look_backs.undone() == (1, START) and look_backs.suspended(asked) == {}


class OneLook:
    """In a worker's place: looks once whether all is over."""

    def run(self, over):
        self.over = over()


def test_who_is_not_published_is_named_once_after_a_while_with_the_reason(
    database, records, look_backs, clock, tmp_path, caplog
):
    identity_id = records.add_identity("Ada", "victim", references=[photo(1)])
    look_backs.ask([identity_id], "operator:test")
    matcher = SimpleNamespace(index=GalleryIndex(PACK, 8))
    worker = LookBackWorker(
        load_settings(home=tmp_path), database, look_backs, matcher, None, LookBackMetrics(), threading.Event()
    )
    clock.now = datetime.now(UTC)
    assert [worker.step(), caplog.messages] == ["idle", []], "a consumer may publish them just now"
    clock.pass_by(minutes=1)
    assert [worker.step(), worker.step()] == ["idle", "idle"]
    assert caplog.messages == [f"The look-back for {identity_id} waits: not published yet. Is `likeness run` running?"]
    told(database)
    assert look_backs.untold(timedelta(seconds=30)) == []


def test_with_the_person_all_look_backs_are_gone(database, records, look_backs):
    identity_id = person(database, records)
    asked = look_backs.ask([identity_id], "operator:test")
    records.remove_identity(identity_id)
    assert look_backs.find(asked) == [] and look_backs.undone() == (0, None)
    with database.read() as session:
        assert session.scalars(select(LookBackRow.id)).all() == []


def test_it_counts_what_the_whole_gallery_compares_a_face_with_as_the_index_does(database, records, look_backs):
    index = GalleryIndex(PACK, 8)
    alone, several = person(database, records, "Ada"), person(database, records, "Bea", photos=3)
    records.add_identity("Cleo", "victim", references=[photo(5, "other@1")])
    records.suspend_reference(records.show(several).references[0].id, True)
    for one in records.identities():
        index.apply(one)
    people, everybody = look_backs.people([alone], PACK)
    assert [one.id for one in people] == [alone] and people[0].own_accounts == {"acct-own"}
    assert everybody == index.comparisons == 1 + 2 + 1


def test_a_look_back_opens_no_second_case_about_a_person_whom_the_upload_has_led_to(database, clock):
    cases = CaseRecords(database, MASTER, [FACES], keep_pictures=timedelta(days=1), clock=clock)
    both = '{"findings": [{"identity_id": "idn_1"}, {"identity_id": "idn_2"}]}'
    assert cases.open(new_case("live", event_id="event-1", identity_id="idn_1", evidence=both), None)
    for identity_id, is_new in (("idn_1", False), ("idn_2", False), ("idn_3", True)):
        later = new_case(f"back-{identity_id}", event_id="event-1", identity_id=identity_id, trigger="look_back")
        assert cases.open(later, None) is is_new
    assert cases.open(new_case("other", event_id="event-2", identity_id="idn_1", trigger="look_back"), None)
    assert cases.get("other").trigger == "look_back" and cases.get("live").trigger == "upload"
