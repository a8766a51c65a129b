"""Consumers whose gallery is in Milvus: one writes, all find, and nothing is lost while Milvus is away."""

import time

import pytest

from demo.broker import free_port
from tests.support.milvus import MilvusLite
from tests.support.running_service import (
    ARDERN,
    MACRON,
    ServiceThread,
    Topics,
    again,
    ask,
    enrol,
    eventually,
    make_topics,
    metric,
    remove,
    service_settings,
    upload,
)

FOUND_SECONDS = 5.0
VERSION = "likeness_gallery_version"


@pytest.fixture
def settings(tansu, milvus, tmp_path, models):
    return in_milvus(tansu, milvus, tmp_path, models)


def in_milvus(broker, milvus, home, models):
    table = {"uri": milvus.uri, "prefix": f"t{free_port()}_"}
    return service_settings(broker, home, models, watermark={"read": "never"}, milvus=table)


def send(topics, picture):
    sent = upload(picture=picture)
    topics.send(sent, sent["event_id"].encode())
    return sent["event_id"]


def screened(topics, picture):
    return topics.screening(send(topics, picture))


def follows(topics, picture, wanted):
    """The seconds until an upload of `picture` ends as `wanted`."""
    started = time.monotonic()
    while screened(topics, picture)["verdict"] != wanted:
        assert time.monotonic() - started < 3 * FOUND_SECONDS, f"still not {wanted}"
    return time.monotonic() - started


def test_who_is_enrolled_is_found_by_every_consumer_and_who_is_removed_by_none_within_seconds(settings, portraits):
    second = again(settings, http={"port": free_port()})
    both = (settings, second)
    macron = portraits["person_a_2.jpg"].read_bytes()
    enrol(settings, ARDERN, portraits["person_b_1.jpg"])
    with ServiceThread(settings), ServiceThread(second):
        topics = Topics(settings)
        found = screened(topics, portraits["person_b_2.jpg"].read_bytes())
        assert (found["verdict"], found["gallery_version"]) == ("review", 1)
        identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
        assert follows(topics, macron, "review") < FOUND_SECONDS
        eventually(lambda: [metric(one, VERSION) for one in both] == [2, 2], FOUND_SECONDS)
        assert [metric(one, "likeness_gallery_identities") for one in both] == [2, 2]
        assert sum(metric(one, "likeness_vector_written_seconds_count") for one in both) == 2
        assert sum(metric(one, "likeness_vector_search_seconds_count") for one in both) > 1
        remove(settings, identity_id)
        assert [screened(topics, macron)["verdict"] for _ in range(8)] == ["clear"] * 8, "from that moment on"
        eventually(lambda: [metric(one, "likeness_gallery_identities") for one in both] == [1, 1], FOUND_SECONDS)
        topics.close()


def test_uploads_wait_while_milvus_is_away_and_are_screened_when_it_is_back(tansu, tmp_path, models, portraits):
    picture = portraits["person_a_2.jpg"].read_bytes()
    with MilvusLite(tmp_path / "lite") as milvus:
        settings = in_milvus(tansu, milvus, tmp_path / "home", models)
        settings = again(settings, milvus={"seconds": 2.0})
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        with ServiceThread(settings):
            topics = Topics(settings)
            assert screened(topics, picture)["verdict"] == "review"
            milvus.stop()
            waiting = [send(topics, picture) for _ in range(3)]
            eventually(lambda: ask(settings, "/readyz")[0] == 503, 20)
            assert f"Uploads wait: Milvus at {milvus.uri} does not answer" in ask(settings, "/readyz")[1]
            assert ask(settings, "/healthz")[0] == 200
            milvus.start()
            assert {topics.screening(one, 60)["verdict"] for one in waiting} == {"review"}
            eventually(lambda: ask(settings, "/readyz")[0] == 200)
            topics.close()


def test_a_consumer_screens_nothing_before_all_changes_are_in_milvus_and_an_empty_milvus_is_filled_anew(
    settings, milvus, portraits
):
    make_topics(settings)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    topics = Topics(settings)
    picture = portraits["person_a_2.jpg"].read_bytes()
    for prefix in ("first_", "second_"):
        one = again(settings, milvus={"prefix": f"{settings.milvus.prefix}{prefix}"})
        waits = send(topics, picture)
        with ServiceThread(one):
            assert topics.screening(waits)["verdict"] == "review"
    topics.close()


def test_a_process_that_cannot_have_milvus_says_what_it_waits_for(tansu, tmp_path, models):
    table = {"uri": f"http://127.0.0.1:{free_port()}", "seconds": 0.5}
    settings = service_settings(tansu, tmp_path, models, milvus=table)
    service = ServiceThread(settings).start()
    eventually(lambda: "Waiting for Milvus: Milvus at" in ask(settings, "/readyz")[1], 40)
    service.stop()
