"""A new identity is found in avatars that were uploaded before it was there, beside the live traffic."""

import os
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata
from sqlalchemy import text

from consumers.kafka import make_consumer, make_producer
from consumers.look_back.kept_face_search import KeptFaceSearch
from consumers.look_back.live_traffic import LiveTraffic
from consumers.look_back.metrics import RESULTS
from consumers.look_back.past_topic import PastTopic
from consumers.look_back.service import LookBackService
from demo.broker import free_port
from likeness.workbench import open_records
from records.audit import AuditLog
from records.database import open_database
from records.keys.keyring import MasterKey
from records.keys.probe_keys import ProbeKeys
from records.reports.look_backs import LookBacks
from tests.support.console import RunningFeed, looking, make_console_topics
from tests.support.kafka_settings import kafka_settings
from tests.support.odd_pictures import landscape
from tests.support.running_service import (
    ARDERN,
    MACRON,
    ServiceProcess,
    ServiceThread,
    Topics,
    again,
    enrol,
    environment,
    eventually,
    make_topics,
    metric,
    remove,
    service_settings,
    upload,
)
from tests.support.web_site import WebSite, answer

__all__ = ["looking"]

MASTER = {"master_key": "A" * 43 + "="}
OWN = "acct-emmanuel"


@dataclass
class Past:
    """A platform whose uploads were all screened before anybody was protected. `sent`: by account the upload."""

    settings: object
    topics: Topics
    sent: dict


@contextmanager
def past(settings, portraits, *more):
    """A service that runs, and has screened what strangers uploaded: nothing of it was suspicious."""
    make_topics(settings)
    topics = Topics(settings)
    stolen, other = (portraits[name].read_bytes() for name in ("person_a_2.jpg", "impostor_1.jpg"))
    pictures = {"acct-thief": stolen, OWN: stolen, "acct-somebody": other}
    sent = [upload(account_id=account, picture=picture) for account, picture in pictures.items()] + list(more)
    with ServiceThread(settings):
        topics.send_all(sent)
        for one in sent:
            assert topics.screening(one["event_id"])["verdict"] in ("clear", "no_face")
        yield Past(settings, topics, {one["account_id"]: one for one in sent})
    topics.close()


def protect(settings, portraits, name=MACRON, photo="person_a_1.jpg", own_accounts=(OWN,)):
    """The id of somebody who is in the gallery from now on, and whom every consumer knows."""
    identity_id = enrol(settings, name, portraits[photo], own_accounts=own_accounts)
    eventually(lambda: metric(settings, "likeness_gallery_references") >= 1)
    return identity_id


def looking_back(settings):
    """The process that looks back. It waits for no consumer to follow the gallery: here they have."""
    return LookBackService(settings, threading.Event(), settle=0.0)


def look_back_for(settings, *identity_ids):
    """Looks back for these people to the end; how it ended for each, and what the process counted."""
    with looking_back(settings) as service:
        worker, look_backs = service.open()
        asked = look_backs.ask(identity_ids, "operator:test", datetime.now(UTC) - timedelta(days=1))
        worker.run(lambda: all(one.state == "done" for one in look_backs.find(asked)))
        return look_backs.find(asked), service.metrics.registry.get_sample_value


def lookback(settings, *arguments):
    command = [sys.executable, "-m", "likeness", "lookback", *arguments]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=120)


@pytest.fixture
def settings(broker, tmp_path, models):
    return service_settings(broker, tmp_path, models, keys=MASTER, watermark={"read": "never"})


def test_a_replay_finds_the_thief_and_neither_the_own_account_nor_anybody_else_and_a_repeat_opens_no_second_case(
    settings, portraits, looking
):
    make_console_topics(settings)
    with past(settings, portraits) as was:
        identity_id = protect(settings, portraits)
        (done,), _ = look_back_for(settings, identity_id)
        assert (done.state, done.percent, done.seen, done.found) == ("done", 100, 3, 1)
        (review,) = was.topics.until(lambda: was.topics.data("review"))
        thief = was.sent["acct-thief"]
        assert (review["event_id"], review["account_id"]) == (thief["event_id"], "acct-thief")
        assert (review["trigger"], review["findings"][0]["identity_id"]) == ("look_back", identity_id)
        assert review["image"]["url"].startswith(f"kafka://{settings.topics.uploads}/")
        assert review["priority"] < 15 <= review["findings"][0]["priority"], "live ones come first"
        told = lookback(settings, "--since", "1d", "--identity", identity_id)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout == "Uploads looked at: 3. Reviews sent: 1.\n"
        was.topics.until(lambda: len(was.topics.data("review")) == 2)
        assert len({one["review_id"] for one in was.topics.data("review")}) == 1
        live = upload(account_id="acct-later", picture=portraits["person_a_2.jpg"].read_bytes())
        was.topics.send(live)
        assert was.topics.screening(live["event_id"])["verdict"] == "review"
        look_back_for(settings, identity_id)
        was.topics.until(lambda: len(was.topics.data("review")) == 5)
    with RunningFeed(settings, looking) as feed:
        eventually(lambda: feed.count("opened") + feed.count("known") == 5, 60)
        cases = {case.account_id: case for account in was.sent for case in feed.cases.of_account(account, 9)}
        assert set(cases) == {"acct-thief"}
        assert (cases["acct-thief"].trigger, cases["acct-thief"].event_id) == ("look_back", thief["event_id"])
        assert feed.cases.picture(cases["acct-thief"].id) is not None, "from where the upload stands in Kafka"
        (later,) = feed.cases.of_account("acct-later", 9)
        assert later.trigger == "upload", "the upload itself had led to a case"


@pytest.fixture(scope="module")
def once(tansu, tmp_path_factory, models, portraits):
    """A platform that several tests share."""
    settings = service_settings(
        tansu, tmp_path_factory.mktemp("once"), models, keys=MASTER, watermark={"read": "never"}
    )
    hers = upload(account_id="acct-hers", picture=portraits["person_b_2.jpg"].read_bytes())
    with past(settings, portraits, hers) as was:
        yield was


def test_several_people_are_searched_for_in_one_pass_each_from_their_own_day_on(once, portraits):
    settings = once.settings
    his, her = protect(settings, portraits), protect(settings, portraits, ARDERN, "person_b_1.jpg")
    with looking_back(settings) as service:
        worker, look_backs = service.open()
        asked = look_backs.ask([his], "operator:test", datetime.now(UTC) - timedelta(days=1))
        asked += look_backs.ask([her], "operator:test", datetime.now(UTC))
        worker.run(lambda: all(one.state == "done" for one in look_backs.find(asked)))
        by_id = {one.identity_id: one for one in look_backs.find(asked)}
        counted = service.metrics.registry.get_sample_value("likeness_look_back_findings_total")
    assert (by_id[his].seen, by_id[his].found) == (4, 1)
    assert by_id[her].found == 0, "her photos were uploaded before she wanted to be searched for"
    assert counted == 1


class LookingBack(ServiceProcess):
    """`likeness lookback` as a process."""

    command = "lookback"


def test_a_look_back_that_is_killed_goes_on_where_it_was(apache_kafka, tmp_path, models, portraits):
    settings = service_settings(apache_kafka, tmp_path, models, keys=MASTER, watermark={"read": "never"})
    stolen = portraits["person_a_2.jpg"].read_bytes()
    more = [upload(account_id=f"acct-{number}", picture=stolen) for number in range(9)]
    with past(settings, portraits, *more) as was, closing(open_database(settings.database_url)) as database:
        identity_id = protect(settings, portraits)
        slow, quick = (
            again(settings, look_back={"pictures_per_second": rate}, http={"port": free_port()}) for rate in (1.0, 50.0)
        )
        with LookingBack(slow) as killed:
            assert os.getpriority(os.PRIO_PROCESS, killed._process.pid) == 19
            look_backs = LookBacks(database, MasterKey.of(bytes(32)), AuditLog(database), back=timedelta(days=1))
            look_backs.ask([identity_id], "operator:test")
            eventually(lambda: look_backs.of_identity(identity_id)[0].seen, 60)
            killed.kill()
        before = look_backs.of_identity(identity_id)[0]
        assert before.state == "running" and 0 < before.seen < 12 and 0 < before.percent < 100
        with LookingBack(quick) as following:
            eventually(lambda: look_backs.undone()[0] == 0, 60)
            (done,) = look_backs.of_identity(identity_id)
            assert (done.state, done.seen) == ("done", 12)
            looked = {one: metric(quick, f'likeness_look_back_pictures_total{{result="{one}"}}') for one in RESULTS}
            assert sum(looked.values()) == 12 - before.seen, "what was looked at before is not looked at again"
            eventually(lambda: metric(quick, "likeness_look_back_identities") == 0)
            assert following.terminate() == 0
        wanted = {"acct-thief", *(one["account_id"] for one in more)}
        was.topics.until(lambda: {one["account_id"] for one in was.topics.data("review")} == wanted)


def samples(service, name):
    families = service.metrics.registry.collect()
    return [sample for family in families for sample in family.samples if sample.name == name]


def test_it_waits_while_screening_has_uploads_to_catch_up_with(tansu, tmp_path, models, portraits):
    settings = service_settings(tansu, tmp_path, models, keys=MASTER, watermark={"read": "never"})
    settings = again(settings, screening={"batch_size": 4})
    with past(settings, portraits) as was:
        identity_id = protect(settings, portraits)
        with closing(LiveTraffic(settings)) as live:
            eventually(lambda: live.waiting() == 0)
    waiting = [upload(picture=portraits["impostor_2.jpg"].read_bytes()) for _ in range(10)]
    topics = Topics(settings)
    topics.send_all(waiting)
    with looking_back(settings) as service:
        worker, look_backs = service.open()
        look_backs.ask([identity_id], "operator:test")
        assert [worker.step() for _ in range(3)] == ["behind"] * 3
        assert samples(service, "likeness_look_back_paused")[0].value == 1
        assert look_backs.of_identity(identity_id)[0].seen == 0
        with ServiceThread(settings):
            worker.run(lambda: look_backs.undone()[0] == 0)
        assert look_backs.of_identity(identity_id)[0].found == 1
    topics.close()
    assert was.sent


def test_what_follows_the_last_transaction_of_each_partition_is_no_upload_that_waits(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path, screening={"batch_size": 1})
    make_topics(settings)
    topic = settings.topics.uploads
    with (
        closing(make_consumer(settings.kafka, group_id=settings.kafka.group_id)) as group,
        closing(make_producer(settings.kafka, transactional_id=topic)) as producer,
        closing(LiveTraffic(settings)) as live,
    ):
        partitions = [TopicPartition(topic, number) for number in sorted(group.partitions_for_topic(topic))]
        assert len(partitions) > 1
        producer.init_transactions()

        def send(of_each):
            producer.begin_transaction()
            sent = [producer.send(topic, b"upload", partition=one.partition) for one in partitions * of_each]
            producer.commit_transaction()
            return [future.get(10) for future in sent]

        last = {TopicPartition(one.topic, one.partition): one.offset for one in send(2)}
        group.assign(partitions)
        group.commit({one: OffsetAndMetadata(offset + 1, "", -1) for one, offset in last.items()})
        # Kafka marks the end of a transaction in each partition a little after it has told us of it.
        eventually(lambda: all(end == last[one] + 2 for one, end in group.end_offsets(partitions).items()))
        assert (live.waiting(), live.behind()) == (0, False)
        send(2)
        eventually(lambda: live.waiting() >= 2 * len(partitions))


def test_who_withdraws_is_not_searched_for_any_more(once, portraits):
    settings = again(once.settings, look_back={"pictures_per_second": 0.8})
    identity_id = enrol(settings, "Emmanuel M.", portraits["person_a_1.jpg"], force=True)
    with looking_back(settings) as service:
        worker, look_backs = service.open()
        asked = look_backs.ask([identity_id], "operator:test")
        eventually(lambda: metric(settings, "likeness_seconds_since_outbox") < 0.5)
        gone = threading.Timer(0.5, remove, (settings, identity_id))
        gone.start()
        assert worker.step() == "searched"
        gone.join()
        assert look_backs.find(asked) == []
        assert worker.step() == "idle"
        assert worker._matcher.index.comparisons == 0, "and nothing of their face is kept in memory"
        assert samples(service, "likeness_look_back_findings_total")[0].value == 0
    reviews = once.topics.poll(300).data("review")
    assert identity_id not in {found["identity_id"] for review in reviews for found in review["findings"]}


@pytest.fixture
def keeping(broker, tmp_path, models):
    """Settings that keep the faces of avatars for three days."""
    return service_settings(broker, tmp_path, models, keys=MASTER, watermark={"read": "never"}, look_back={"days": 3})


def test_kept_faces_are_found_when_the_picture_is_gone_and_nothing_of_them_can_be_read_without_the_days_key(
    keeping, portraits
):
    with WebSite({"/thief.jpg": answer(portraits["person_a_2.jpg"].read_bytes())}).running() as site:
        where = {"allowed_hosts": ["127.0.0.1"], "private_hosts": [f"127.0.0.1:{site.port}"]}
        settings = keeping.model_copy(update={"fetch": keeping.fetch.model_copy(update=where)})
        by_url = upload(account_id="acct-by-url") | {"image": {"url": site.url("/thief.jpg")}}
        with past(settings, portraits, by_url, upload(account_id="acct-tree", picture=landscape())) as was:
            assert metric(settings, 'likeness_probes_total{result="kept"}') == 4, "all but the one without a face"
            site.answers.clear()
            identity_id = protect(settings, portraits)
            (done,), counted = look_back_for(settings, identity_id)
            assert (done.seen, done.found) == (4, 2)
            reviews = was.topics.until(lambda: len(was.topics.data("review")) == 2 and was.topics.data("review"))
            by_account = {one["account_id"]: one for one in reviews}
            assert by_account["acct-by-url"]["image"]["url"] == site.url("/thief.jpg")
            assert by_account["acct-thief"]["image"]["url"].startswith(f"kafka://{settings.topics.uploads}/")
            assert by_account["acct-thief"]["findings"][0]["kind"] == "same_person"
            since = {one.account_id for one in accounts_that_show(settings, identity_id)}
            assert since == {"acct-by-url", "acct-thief", OWN}
            raw = b"".join(one.value + (one.key or b"") for one in all_records(settings))
            assert b"sealed" in raw
            for secret in (b"acct-thief", b"event_id", b"127.0.0.1", b"embedding", b"vector", b"account"):
                assert secret not in raw
            with closing(open_database(settings.database_url)) as database, database.write() as session:
                session.execute(text("DELETE FROM probe_keys"))
            (done,), counted = look_back_for(settings, identity_id)
            assert (done.seen, done.found) == (4, 0)
            assert counted("likeness_look_back_pictures_total", {"result": "expired"}) == 4


def accounts_that_show(settings, identity_id):
    """What a moderator is told of who showed the face of somebody before."""
    with open_records(settings) as gallery, closing(open_database(settings.database_url)) as database:
        (reference,) = next(one for one in gallery.identities() if one.id == identity_id).references
        search = KeptFaceSearch(settings, ProbeKeys(database, MasterKey.of(bytes(32)), 3), lambda: 0.5)
        with closing(search):
            ((pack, embedding),) = reference.embeddings.items()
            return eventually(lambda: search.who_shows("rpt_1", [embedding], pack, datetime.now(UTC)))


def all_records(settings):
    """What the topic of kept faces holds, as it is."""
    with closing(PastTopic(settings.kafka, settings.topics.probes)) as topic:
        topic.go_on(topic.all_since(datetime.now(UTC) - timedelta(days=1)))
        records = []
        while not topic.window.done:
            records += topic.read(100)
        return records
