"""Uploads through the whole service on a real broker: each ends as what it should, and nothing tells too much."""

import base64
import json
import uuid
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from config import packaged
from consumers.messages import SCHEMAS, TYPES, json_schema
from demo.broker import free_port
from tests.support.odd_pictures import group, landscape
from tests.support.running_service import (
    ARDERN,
    MACRON,
    OWN_ACCOUNT,
    ServiceThread,
    again,
    ask,
    eventually,
    metric,
    schema,
    upload,
)
from tests.support.web_site import answer, redirect

pytest_plugins = ["tests.support.platform"]
OUTCOMES = ("clear", "review", "no_face", "dead_letter")


# What an upload ends as


def test_another_photo_of_a_gallery_person_on_a_strangers_account_gives_one_screening_and_one_review(
    platform, portraits
):
    picture = portraits["person_a_2.jpg"].read_bytes()
    profile = {"handle": "manu", "display_name": "M. \u0000 \N{GRINNING FACE}", "created_at": "2024-02-29T23:59:60Z"}
    profile["created_at"] = "2024-02-29T23:59:59+05:30"
    sent = upload(account_id="acct-éàü", picture=picture, profile=profile, uploaded_at="2026-01-02T03:04:05Z")
    platform.topics.send(sent, b"acct")
    screening = platform.topics.screening(sent["event_id"])
    (review,) = platform.topics.of(sent["event_id"], "review")
    assert (screening["verdict"], screening["findings"], screening["faces"]) == ("review", ["same_person"], 1)
    (finding,) = review["findings"]
    assert finding["identity_id"] == platform.ids[MACRON]
    assert (finding["identity_name"], finding["identity_kind"]) == (MACRON, "celebrity")
    assert finding["threshold"] <= finding["similarity"] <= 1
    x, y, width, height = finding["face_box"]
    assert x + width / 2 < review["picture_width"] and y + height / 2 < review["picture_height"] and width > 50
    assert base64.b64decode(review["image"]["base64"]) == picture
    assert review["account_id"] == "acct-éàü"
    assert review["profile"]["display_name"] == profile["display_name"]
    assert datetime.fromisoformat(review["profile"]["created_at"]) == datetime.fromisoformat(profile["created_at"])
    assert datetime.fromisoformat(review["uploaded_at"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert review["gallery_version"] == screening["gallery_version"] == 2


def test_somebody_else_and_a_picture_without_a_face_give_one_screening_and_no_review(platform, portraits):
    other, no_reviews = platform.screen(portraits["impostor_1.jpg"].read_bytes())
    assert (other["verdict"], other["findings"], no_reviews) == ("clear", [], [])
    nobody, no_reviews = platform.screen(landscape())
    assert (nobody["verdict"], nobody["faces"], no_reviews) == ("no_face", 0, [])


def test_the_genuine_person_on_their_own_account_is_clear_and_counted_as_silenced(platform, portraits):
    name = 'likeness_findings_silenced_total{by="own_account"}'
    before = metric(platform.settings, name)
    picture = portraits["person_b_2.jpg"].read_bytes()
    screening, reviews = platform.screen(picture, OWN_ACCOUNT)
    assert (screening["verdict"], reviews) == ("clear", [])
    screening, reviews = platform.screen(picture, OWN_ACCOUNT + "x")
    assert (screening["verdict"], len(reviews)) == ("review", 1)
    eventually(lambda: metric(platform.settings, name) == before + 1)


def test_a_group_photo_is_flagged_for_the_one_gallery_face_in_it(platform, portraits):
    picture = group(portraits, "impostor_1.jpg", "person_b_2.jpg", "impostor_2.jpg")
    screening, (review,) = platform.screen(picture)
    assert screening["faces"] == review["faces"] == 3
    (finding,) = review["findings"]
    assert finding["identity_name"] == ARDERN
    x, _, width, _ = finding["face_box"]
    assert 300 < x + width / 2 < 600


def test_two_gallery_people_in_one_picture_give_one_review_with_both(platform, portraits):
    _, (review,) = platform.screen(group(portraits, "person_a_2.jpg", "person_b_2.jpg"))
    assert {finding["identity_name"] for finding in review["findings"]} == {MACRON, ARDERN}
    similarities = [finding["similarity"] for finding in review["findings"]]
    assert similarities == sorted(similarities, reverse=True)


# How an upload may come


@pytest.mark.parametrize("way", ["plain", "data", "data_base64", "id of the envelope"])
def test_an_upload_may_be_plain_json_or_a_cloud_event(platform, portraits, way):
    sent = upload(picture=portraits["person_a_2.jpg"].read_bytes(), colour="blue", image_size=5)
    event_id = sent["event_id"]
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/platform",
        "type": "com.example.avatar",
        "time": "2026-01-01T00:00:00Z",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
    }
    if way == "data":
        sent = {**envelope, "id": "another", "data": sent}
    elif way == "data_base64":
        sent = {**envelope, "data_base64": base64.b64encode(json.dumps(sent).encode()).decode()}
    elif way == "id of the envelope":
        del sent["event_id"]
        sent = {**envelope, "datacontenttype": "application/json", "data": sent}
    platform.topics.send(sent)
    assert platform.topics.screening(event_id)["verdict"] == "review"


@pytest.mark.parametrize("way", ["http", "redirect", "file", "s3"])
def test_a_picture_may_lie_on_a_web_server_in_a_folder_or_in_an_object_store(platform, portraits, store, way):
    picture = portraits["person_b_2.jpg"].read_bytes()
    if way == "http":
        platform.site.answers["/a.jpg?signed=1"] = answer(picture)
        url = platform.site.url("/a.jpg?signed=1")
    elif way == "redirect":
        platform.site.answers |= {"/old.jpg": redirect("/new.jpg"), "/new.jpg": answer(picture)}
        url = platform.site.url("/old.jpg")
    elif way == "file":
        (platform.folder / "á b.jpg").write_bytes(picture)
        url = (platform.folder / "á b.jpg").as_uri()
    else:
        store.put_object(Bucket="avatars", Key="a/b.jpg", Body=picture)
        url = "s3://avatars/a/b.jpg"
    screening, (review,) = platform.screen(None, image={"url": url, "etag": "ignored"})
    assert screening["verdict"] == "review"
    assert review["image"] == {"url": url, "base64": None}
    assert review["findings"][0]["identity_name"] == ARDERN


def test_a_compressed_batch_and_a_key_that_is_no_text_make_no_difference(platform, portraits):
    sent = upload(picture=portraits["impostor_2.jpg"].read_bytes())
    platform.topics.send(sent, key=b"\xff\xfe\x00")
    assert platform.topics.screening(sent["event_id"])["verdict"] == "clear"
    sent = upload(picture=landscape())
    platform.topics.send(sent, key=None)
    assert platform.topics.screening(sent["event_id"])["verdict"] == "no_face"


# What stands on the topics, in the log and in the metrics


def test_every_message_on_the_topics_is_a_cloud_event_that_its_published_schema_describes(platform, portraits):
    platform.screen(portraits["person_a_2.jpg"].read_bytes())
    platform.screen(landscape())
    platform.refused(b"")
    kinds = {
        "screening": ("avatar-screenings", "screening_id"),
        "review": ("impersonation-reviews", "review_id"),
        "dead_letter": ("avatar-dead-letters", "dead_letter_id"),
    }
    for kind, (topic, own_id) in kinds.items():
        validator = Draft202012Validator(schema(topic), format_checker=FormatChecker())
        assert platform.topics.records[kind]
        for record in platform.topics.records[kind]:
            event = json.loads(record.value)
            assert set(event) == {"specversion", "id", "source", "type", "datacontenttype", "time", "data"}
            assert (event["specversion"], event["source"]) == ("1.0", "likeness/screening")
            assert event["type"] == TYPES[SCHEMAS[topic]]
            assert event["datacontenttype"] == "application/json"
            assert event["id"] == event["data"][own_id]
            assert datetime.fromisoformat(event["time"]).tzinfo is not None
            assert ("content-type", b"application/cloudevents+json; charset=UTF-8") in record.headers
            assert [error.message for error in validator.iter_errors(event["data"])] == []
            if kind == "dead_letter":
                assert ("reason", event["data"]["reason"].encode()) in record.headers
            else:
                assert record.key == event["data"]["account_id"].encode()


def test_the_published_schemas_are_those_of_the_messages():
    for topic in SCHEMAS:
        Draft202012Validator.check_schema(schema(topic))
        assert schema(topic) == json_schema(topic)
    written = {path.name for path in packaged("schemas").iterdir()} - {"statement-of-reasons.schema.json"}
    assert written == {f"{topic}.schema.json" for topic in SCHEMAS}


def test_screenings_logs_and_metrics_tell_no_similarity_no_identity_and_no_picture(platform, portraits):
    picture = portraits["person_b_2.jpg"].read_bytes()
    screening, (review,) = platform.screen(picture, "acct-very-private")
    (finding,) = review["findings"]
    assert set(screening) == {
        "screening_id",
        "event_id",
        "account_id",
        "verdict",
        "findings",
        "faces",
        "model_pack",
        "gallery_version",
        "screened_at",
    }
    event_id = review["event_id"]
    lines = eventually(lambda: [line for line in platform.log() if line.get("event_id") == event_id])
    assert {line["message"] for line in lines} == {"screened"}
    log = "\n".join(json.dumps(line, ensure_ascii=False) for line in platform.log())
    samples = "\n".join(line for line in ask(platform.settings, "/metrics")[1].splitlines() if line[0] != "#")
    screenings = b"\n".join(record.value for record in platform.topics.records["screening"]).decode()
    telling = [
        finding["identity_id"],
        finding["reference_id"],
        ARDERN,
        MACRON,
        str(finding["similarity"]),
        base64.b64encode(picture).decode()[:60],
        "face_box",
        "embedding",
        "sealed",
    ]
    for text in telling:
        assert text not in log and text not in samples and text not in screenings, text
    assert "acct-very-private" not in log and "acct-very-private" not in samples


def test_metrics_carry_the_documented_names_and_add_up(platform, portraits):
    for picture in (portraits["person_a_2.jpg"].read_bytes(), landscape(), portraits["impostor_2.jpg"].read_bytes()):
        platform.screen(picture)
    platform.refused(b"")
    topics, settings = platform.topics, platform.settings
    eventually(
        lambda: _events(settings) == sum(len(topics.poll().records[kind]) for kind in ("screening", "dead_letter"))
    )
    counts = {outcome: metric(settings, f'likeness_events_total{{outcome="{outcome}"}}') for outcome in OUTCOMES}
    verdicts = [one["verdict"] for one in topics.data("screening")]
    assert counts == {"dead_letter": len(topics.data("dead_letter"))} | {
        verdict: verdicts.count(verdict) for verdict in OUTCOMES[:3]
    }
    assert metric(settings, 'likeness_dead_letters_total{reason="not_json"}') >= 1
    assert metric(settings, 'likeness_findings_total{kind="same_person"}') >= counts["review"]
    assert metric(settings, "likeness_faces_total") == sum(one["faces"] for one in topics.data("screening"))
    assert metric(settings, "likeness_latency_seconds_count") == sum(counts.values())
    assert metric(settings, "likeness_batch_events_sum") == sum(counts.values())
    screened = len(verdicts)
    for stage in ("decode", "detect", "align", "embed", "match"):
        assert metric(settings, f'likeness_stage_seconds_count{{stage="{stage}"}}') == screened
        assert 0 < metric(settings, f'likeness_stage_seconds_sum{{stage="{stage}"}}') < 5 * screened
    assert metric(settings, 'likeness_stage_seconds_count{stage="deliver"}') >= 1
    assert metric(settings, "likeness_gallery_references") == metric(settings, "likeness_gallery_identities") == 2
    assert metric(settings, "likeness_gallery_version") == 2
    assert metric(settings, "likeness_gallery_references_unusable") == 0
    assert metric(settings, 'likeness_gallery_changes_total{result="applied"}') == 2
    assert metric(settings, "likeness_outbox_published_total") == 2
    eventually(lambda: all(metric(settings, f'likeness_consumer_lag{{partition="{n}"}}') == 0 for n in (0, 1)))
    assert metric(settings, "likeness_ready") == 1
    assert 0 <= metric(settings, "likeness_seconds_since_poll") < 5
    assert metric(settings, "likeness_delivery_failures_total") == 0
    assert 10e6 < metric(settings, "process_resident_memory_bytes") < 4e9
    build = next(line for line in ask(settings, "/metrics")[1].splitlines() if line.startswith("likeness_build_info{"))
    assert f'delivery="{platform.delivery}"' in build and 'pack="opencv-zoo' in build and 'version="' in build
    assert ask(settings, "/healthz") == (200, "ok\n")
    assert ask(settings, "/elsewhere")[0] == 404


def _events(settings):
    return sum(metric(settings, f'likeness_events_total{{outcome="{outcome}"}}') for outcome in OUTCOMES)


def test_the_same_uploads_consumed_again_give_outcomes_with_the_same_ids(platform, portraits):
    good = [upload(picture=portraits[name].read_bytes()) for name in ("person_a_2.jpg", "impostor_1.jpg")]
    for one in good:
        platform.topics.send(one)
    place = platform.topics.send(b"{nope")
    for one in good:
        platform.topics.screening(one["event_id"])
    platform.topics.dead_letter(place)

    def ids():
        """How often each id stands on the topics."""
        found = {}
        for kind in ("screening", "review", "dead_letter"):
            for data in platform.topics.data(kind):
                own = data[f"{kind}_id"]
                found[own] = found.get(own, 0) + 1
        return found

    before = ids()
    settings = again(platform.settings, kafka={"group_id": f"again-{uuid.uuid4().hex}"}, http={"port": free_port()})
    with ServiceThread(settings):
        platform.topics.until(lambda: sum(ids().values()) >= 2 * sum(before.values()), 40)
    assert ids() == {own: 2 * count for own, count in before.items()}
