"""impersonation-reviews become cases: each once, with its picture, whatever is away or wrong meanwhile."""

import io
import json
import re
import threading
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from PIL import Image as Pillow
from sqlalchemy import text

from consumers.kafka import make_producer
from consumers.messages import Profile, ReviewForeignText
from consumers.open_detector import open_watched_looking
from detector.worker_process import WorkersBroken
from tests.support import running_service
from tests.support.console import RunningFeed, finding, looking, make_console_topics, review, send
from tests.support.kafka_broker import ApacheKafka
from tests.support.odd_pictures import encoded, huge_png, landscape
from tests.support.portraits import fit, read_rgb
from tests.support.postgres import PostgresServer
from tests.support.running_service import MACRON, again, enrol, make_topics, service_settings, upload
from tests.support.web_site import WebSite, answer

__all__ = ["looking"]

eventually = partial(running_service.eventually, seconds=40)


@pytest.fixture
def settings(broker, tmp_path, models):
    settings = service_settings(broker, tmp_path / "home", models, keys={"master_key": "A" * 43 + "="})
    make_console_topics(settings)
    return settings


@pytest.fixture
def portrait(portraits):
    return portraits["person_a_2.jpg"].read_bytes()


def test_a_review_becomes_a_case_with_its_picture_and_the_faces_in_it(settings, looking, portraits, portrait):
    identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
    with RunningFeed(settings, looking) as feed:
        (reference,) = feed.pictures._gallery.show(identity_id).references
        found = finding(identity_id=identity_id, identity_name=MACRON, reference_id=reference.id)
        sent = review(portrait, findings=[found], profile=Profile(handle="@ana", display_name="Ana"))
        send(settings, sent)
        case = eventually(lambda: feed.case(sent))
        picture = feed.cases.picture(case.id)
    assert (case.event_id, case.account_id, case.handle, case.priority) == (sent.event_id, "acct-1", "@ana", 60)
    assert (case.kind, case.identity_id, case.identity_kind) == ("same_person", identity_id, "celebrity")
    shown = Pillow.open(io.BytesIO(picture.jpeg))
    assert (shown.format, shown.size) == ("JPEG", Pillow.open(io.BytesIO(portrait)).size)
    (face,) = picture.faces["avatar"]
    assert_within(face, shown.size)
    assert_within(picture.faces["references"][reference.id], Pillow.open(portraits["person_a_1.jpg"]).size)


def assert_within(face, size):
    """The face has a box and five landmarks, and they lie in a picture of that size."""
    x, y, width, height = face["box"]
    assert 0 <= x < x + width <= size[0] and 0 <= y < y + height <= size[1]
    assert len(face["landmarks"]) == 5
    assert all(x <= px <= x + width and y <= py <= y + height for px, py in face["landmarks"])


def test_the_evidence_of_a_case_names_nobody_but_by_id(settings, looking):
    mark = ReviewForeignText(text="@ana.example", looks_like="handle", box=(1, 2, 3, 4))
    sent = review(findings=[finding(similarity=0.7), finding("foreign_watermark", foreign_text=mark)])
    with RunningFeed(settings, looking) as feed:
        send(settings, sent)
        case = eventually(lambda: feed.case(sent))
        with feed.database.read() as session:
            stored = session.scalars(text("SELECT evidence FROM cases")).one()
    assert "Ana" not in stored and "Eva" not in stored
    person, foreign = case.evidence["findings"]
    assert (person["identity_id"], person["runner_up"]) == ("idn_1", {"identity_id": "idn_2", "similarity": 0.6})
    assert foreign["foreign_text"]["text"] == "@ana.example"
    facts = ("faces", "picture_width", "model_pack", "threshold", "sure_threshold", "gallery_version")
    assert [case.evidence[fact] for fact in facts] == [1, 722, "opencv-zoo@1", 0.55, 0.6, 3]


def test_a_large_picture_is_kept_smaller_with_its_faces_at_the_same_places(settings, looking, portraits):
    large = fit(read_rgb(portraits["person_a_2.jpg"]), 2600)
    wide = again(settings, pictures={"working_side": 3000})
    with closing(open_watched_looking(wide, print)) as at_full_size:
        pictures = []
        for one, eye in ((settings, looking), (wide, at_full_size)):
            sent = review(encoded(large[:, :, ::-1]))
            with RunningFeed(one, eye) as feed:
                send(one, sent)
                pictures.append(feed.cases.picture(eventually(lambda f=feed, s=sent: f.case(s)).id))
    small, scaled = pictures
    assert max(Pillow.open(io.BytesIO(small.jpeg)).size) == max(Pillow.open(io.BytesIO(scaled.jpeg)).size) == 1600
    boxes = [one.faces["avatar"][0]["box"] for one in pictures]
    assert np.allclose(*boxes, atol=40)


def test_the_same_review_again_changes_nothing_even_if_all_are_read_anew(settings, looking, portrait):
    sent, other = review(portrait), review(portrait)
    with RunningFeed(settings, looking) as feed:
        send(settings, sent, sent, other)
        eventually(lambda: feed.count("opened") == 2 and feed.count("known") == 1)
        before = feed.case(sent)
    anew = again(settings, kafka={"group_id": f"{settings.kafka.group_id}-anew"})
    with RunningFeed(anew, looking) as feed:
        eventually(lambda: feed.count("known") == 3)
        assert feed.count("opened") == 0
        assert feed.case(sent) == before


def test_after_a_restart_the_feed_goes_on_where_it_was(settings, looking):
    first, second = [review() for _ in range(5)], [review() for _ in range(5)]
    with RunningFeed(settings, looking) as feed:
        send(settings, *first)
        eventually(lambda: all(map(feed.case, first)))
    send(settings, *second)
    with RunningFeed(settings, looking) as feed:
        eventually(lambda: all(map(feed.case, second)))
        assert (feed.count("opened"), feed.count("known")) == (5, 0)


def test_what_is_no_review_is_told_with_its_position_and_passed_over(settings, looking, caplog):
    sent = review()
    with RunningFeed(settings, looking) as feed:
        send(settings, b"{nope", b'{"data": {"review_id": "1"}}', b"[]", b"", sent)
        eventually(lambda: feed.case(sent))
        assert feed.count("unreadable") == 4
    told = [record.position for record in caplog.records if "no review" in record.message]
    assert told == [f"{settings.topics.reviews}-0@{offset}" for offset in range(4)]


@pytest.mark.parametrize("picture", [huge_png(), b"no picture", b"\xff\xd8\xff\xe0 torn"], ids=["huge", "none", "torn"])
def test_a_picture_that_cannot_be_shown_is_left_out_of_its_case(settings, looking, picture, portrait):
    bad, good = review(picture), review(portrait)
    with RunningFeed(settings, looking) as feed:
        send(settings, bad, good)
        eventually(lambda: feed.case(good) and feed.case(bad))
        assert feed.cases.picture(str(bad.review_id)) is None
        assert feed.cases.picture(str(good.review_id)) is not None


def test_a_picture_without_a_face_is_shown_all_the_same(settings, looking):
    sent = review(landscape())
    with RunningFeed(settings, looking) as feed:
        send(settings, sent)
        case = eventually(lambda: feed.case(sent))
        assert feed.cases.picture(case.id).faces == {"avatar": [], "references": {}}


def by_url(settings, site, **tables):
    host = f"127.0.0.1:{site.port}"
    fetch = {"allowed_hosts": (host,), "private_hosts": (host,), "attempts": 1, "total_seconds": 1.0}
    return again(settings, fetch=fetch | tables)


def test_pictures_are_fetched_and_one_that_is_gone_is_left_out_at_once(settings, looking, portrait):
    with WebSite({"/a.jpg": answer(portrait)}).running() as site, RunningFeed(by_url(settings, site), looking) as feed:
        there, gone = review(url=site.url("/a.jpg")), review(url=site.url("/b.jpg"))
        send(settings, gone, there)
        eventually(lambda: feed.case(there) and feed.case(gone))
        assert feed.cases.picture(str(there.review_id)) is not None
        assert feed.cases.picture(str(gone.review_id)) is None
        assert site.asked.count("/b.jpg") == 1


def test_a_store_that_is_silent_for_a_while_costs_no_picture(settings, looking, portrait):
    busy = answer(status="503 Service Unavailable")
    with (
        WebSite({"/a.jpg": [busy, busy, answer(portrait)]}).running() as site,
        RunningFeed(by_url(settings, site), looking) as feed,
    ):
        sent = review(url=site.url("/a.jpg"))
        send(settings, sent)
        case = eventually(lambda: feed.case(sent))
        assert feed.cases.picture(case.id) is not None


def test_a_store_that_stays_silent_holds_up_its_first_picture_alone(settings, looking):
    with (
        WebSite({f"/{name}.jpg": answer(status="503 Service Unavailable") for name in "abc"}).running() as site,
        RunningFeed(by_url(settings, site), looking, patience=1.5) as feed,
    ):
        sent = [review(url=site.url(f"/{name}.jpg")) for name in "abc"]
        send(settings, *sent)
        eventually(lambda: all(map(feed.case, sent)))
        assert [feed.cases.picture(str(one.review_id)) for one in sent] == [None] * 3
        assert site.asked.count("/a.jpg") > 1
        assert site.asked.count("/b.jpg") == site.asked.count("/c.jpg") == 1


def test_a_feed_that_leaves_while_a_store_is_silent_opens_no_case_without_its_picture(settings, looking, portrait):
    with WebSite({"/a.jpg": answer(status="503 Service Unavailable")}).running() as site:
        sent = review(url=site.url("/a.jpg"))
        with RunningFeed(by_url(settings, site), looking) as feed:
            send(settings, sent)
            eventually(lambda: site.asked)
        site.answers["/a.jpg"] = answer(portrait)
        with RunningFeed(by_url(settings, site), looking) as feed:
            case = eventually(lambda: feed.case(sent))
            assert feed.cases.picture(case.id) is not None


def test_a_picture_too_large_for_its_review_is_read_where_its_upload_stands(settings, looking, portrait):
    make_topics(settings)
    with closing(make_producer(settings.kafka)) as producer:
        value = json.dumps(upload("event-large", picture=portrait)).encode()
        at = producer.send(settings.topics.uploads, value, b"acct").get(10)
    place = f"kafka://{at.topic}/{at.partition}/{at.offset}"
    there = review(url=place, event_id="event-large")
    not_ours = review(url=place)
    gone = review(url=f"kafka://{at.topic}/{at.partition}/{at.offset + 7}")
    no_topic = review(url="kafka://no-such-topic/0/0")
    with RunningFeed(settings, looking) as feed:
        send(settings, there, not_ours, gone, no_topic)
        eventually(lambda: all(map(feed.case, (there, not_ours, gone, no_topic))))
        assert feed.cases.picture(str(there.review_id)) is not None
        for one in (not_ours, gone, no_topic):
            assert feed.cases.picture(str(one.review_id)) is None


def test_without_worker_processes_the_feed_ends_and_opens_no_case_without_its_picture(settings, looking, portrait):
    sent = review(portrait)
    with closing(open_watched_looking(settings, print)) as broken:
        broken._template._process.kill()
        with RunningFeed(settings, broken) as feed:
            send(settings, sent)
            eventually(lambda: not feed.feed.alive)
            assert isinstance(feed.failure, WorkersBroken)
            assert feed.case(sent) is None
    with RunningFeed(settings, looking) as feed:
        case = eventually(lambda: feed.case(sent))
        assert feed.cases.picture(case.id) is not None


def test_a_reference_that_was_erased_is_left_out(settings, looking, portrait):
    sent = review(portrait, findings=[finding(reference_id="ref_erased")])
    with RunningFeed(settings, looking) as feed:
        send(settings, sent)
        case = eventually(lambda: feed.case(sent))
        assert feed.cases.picture(case.id).faces["references"] == {}


def test_a_database_that_is_away_for_a_while_costs_no_case(apache_kafka, tmp_path, models, looking, portrait):
    with PostgresServer() as server:
        settings = service_settings(apache_kafka, tmp_path, models, database={"url": server.create_database()})
        make_console_topics(settings)
        before, meanwhile = review(portrait, profile=Profile(handle="a\0b")), [review(portrait) for _ in range(3)]
        with RunningFeed(settings, looking) as feed:
            send(settings, before)
            assert eventually(lambda: feed.case(before)).handle == "a\ufffdb"
            server.halt()
            send(settings, *meanwhile)
            threading.Event().wait(2.0)
            assert feed.feed.alive and feed.failure is None
            server.resume()
            eventually(lambda: all(map(feed.case, meanwhile)))
            assert (feed.count("opened"), feed.count("known")) == (4, 0)
            assert all(feed.cases.picture(str(one.review_id)) for one in meanwhile)


def test_a_broker_that_is_away_for_a_while_costs_no_case(tmp_path, models, looking, caplog):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = service_settings(broker, tmp_path / "home", models)
        make_console_topics(settings)
        before, after = review(), review()
        broker.kill()
        with RunningFeed(settings, looking) as feed:
            eventually(lambda: any("No Kafka broker answers" in line for line in caplog.messages))
            broker.start()
            send(settings, before)
            eventually(lambda: feed.case(before))
            broker.kill()
            broker.start()
            send(settings, after)
            eventually(lambda: feed.case(after))
            assert (feed.count("opened"), feed.failure) == (2, None)


def test_topics_that_may_not_be_made_are_waited_for_and_named(broker, tmp_path, models, looking, caplog):
    settings = service_settings(broker, tmp_path / "home", models, topics={"create": False})
    sent = review()
    with RunningFeed(settings, looking) as feed:
        eventually(lambda: any(re.search(rf"Topic {settings.topics.decisions} .*--config", m) for m in caplog.messages))
        make_console_topics(again(settings, topics={"create": True}))
        send(settings, sent)
        eventually(lambda: feed.case(sent))
