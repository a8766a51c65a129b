"""What a look-back sends of what it found, and how far several of them are together."""

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from config import load_settings
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.ways import REST, ReplayedUploads, Suspicion
from consumers.look_back.worker import joined, review_about
from consumers.messages import AvatarUploaded, Image, derived_id
from detector.verdict import Finding, Verdict
from records.reports.look_backs import LookBack, Part, Window

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
UPLOAD = AvatarUploaded(event_id="event-1", account_id="acct-1", image=Image(url="https://img.example.com/1.jpg"))
WINDOW = Window("avatar-uploads", {0: Part(0, 10, 100), 1: Part(5, 5, 5)})


def look_back(identity_id="idn_1", **facts):
    plain = LookBack("lkb_1", identity_id, "running", NOON, NOON, "operator:test", None, WINDOW, 0, 0)
    return replace(plain, **facts)


def suspicion(*findings, sent_at=NOON):
    verdict = Verdict("review", findings, (), (), 0, "p@1", 0.5, 0.6, 7, width=640, height=480)
    return Suspicion(UPLOAD, UPLOAD.image, verdict, sent_at.timestamp())


def finding(identity_id, priority=80):
    return Finding("same_person", priority, "Alike.", identity_id=identity_id, identity_name="X", similarity=0.7)


def test_a_review_tells_of_one_person_and_comes_after_live_ones():
    found = suspicion(finding("idn_1", 95), finding("idn_2", 60))
    first, second = (review_about(look_back(one), found, NOON) for one in ("idn_1", "idn_2"))
    assert [[one.identity_id for one in review.findings] for review in (first, second)] == [["idn_1"], ["idn_2"]]
    assert [review.priority for review in (first, second)] == [9, 6]
    assert {review.trigger for review in (first, second)} == {"look_back"}
    assert review_about(look_back("idn_3"), found, NOON) is None


def test_its_id_is_the_same_each_time_and_neither_the_uploads_own_nor_that_of_another_person():
    found = suspicion(finding("idn_1"), finding("idn_2"))
    ids = [review_about(look_back(one), found, NOON).review_id for one in ("idn_1", "idn_1", "idn_2")]
    assert ids[0] == ids[1]
    assert len({*ids, derived_id("review", "event-1")}) == 3


def test_what_was_uploaded_before_the_day_that_was_asked_for_is_left_out():
    found = suspicion(finding("idn_1"), sent_at=NOON - timedelta(seconds=1))
    assert review_about(look_back(), found, NOON) is None


def test_a_window_tells_how_much_of_it_is_searched():
    assert (WINDOW.done, WINDOW.share) == (False, 0.1)
    done = Window("t", {0: Part(0, 100, 100), 1: Part(5, 5, 5)})
    assert (done.done, done.share) == (True, 1.0)
    assert Window("t", {}).done and Window("t", {}).share == 1.0


def test_several_go_on_together_from_where_the_last_of_them_is():
    further = look_back(window=Window("avatar-uploads", {0: Part(2, 50, 120), 1: Part(5, 5, 5)}))
    assert joined([look_back(), further], "avatar-uploads") == Window(
        "avatar-uploads", {0: Part(0, 10, 120), 1: Part(5, 5, 5)}
    )


@pytest.mark.parametrize("other", [None, replace(WINDOW, topic="avatar-probes")])
def test_they_begin_anew_where_one_has_not_begun_or_has_searched_another_topic(other):
    assert joined([look_back(), look_back(window=other)], "avatar-uploads") is None


class Looks:
    """In a detector's place: takes so many seconds for an upload, as one does that others let wait."""

    def __init__(self, seconds):
        self._seconds = seconds

    def submit(self, _upload):
        done = Future()
        threading.Timer(self._seconds, done.set_result, [Verdict("clear", (), (), (), 0, "p@1", 0.5, 0.6, 7)]).start()
        return done


@pytest.mark.parametrize(("takes", "most_a_second"), [(0.1, 50.0), (0.0, 5.0)])
def test_a_replay_rests_three_times_as_long_as_an_upload_took_and_never_less_than_is_set(
    takes, most_a_second, tmp_path
):
    settings = load_settings(home=tmp_path, look_back={"pictures_per_second": most_a_second})
    replay = ReplayedUploads(settings, Looks(takes), None, LookBackMetrics(), threading.Event())
    upload = {"event_id": "e", "account_id": "a", "image": {"base64": "aGVsbG8="}}
    records = [SimpleNamespace(value=json.dumps(upload).encode())] * 3
    started = time.monotonic()
    assert replay.search(records) == []
    passed, each = time.monotonic() - started, max((1 + REST) * takes, 1 / most_a_second)
    assert 2 * each + takes <= passed < 2 * each + takes + 10  # a busy machine is rested for
