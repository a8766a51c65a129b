"""Kinds of findings, the threshold in force, quarantine and the shadow policy, through the whole service."""

import pytest

from likeness.workbench import open_decisions
from tests.support.odd_pictures import group
from tests.support.portraits import jpeg, read_rgb
from tests.support.running_service import (
    MACRON,
    ServiceThread,
    Topics,
    again,
    enrol,
    eventually,
    make_topics,
    metric,
    service_settings,
    upload,
)


@pytest.fixture
def settings(tansu, tmp_path, models):
    made = service_settings(tansu, tmp_path, models)
    make_topics(made)
    return again(
        made,
        shadow={"threshold": 0.7},
        quarantine={"dismissed": 2},
    )


@pytest.fixture
def running(settings, portraits):
    """The service with a shadow that raises nothing below 0.7; Emmanuel Macron is in its gallery."""
    identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
    with ServiceThread(settings):
        topics = Topics(settings)
        yield topics, identity_id
        topics.close()


def review_of(topics, picture, **fields):
    sent = upload(picture=picture, **fields)
    topics.send(sent, sent["event_id"].encode())
    topics.screening(sent["event_id"])
    (review,) = topics.of(sent["event_id"], "review")
    return review


def test_verdicts_are_explained_counted_and_compared(running, settings, portraits):
    topics, _ = running
    same = review_of(topics, jpeg(read_rgb(portraits["person_a_1.jpg"])[:, ::-1]))
    (finding,) = same["findings"]
    assert (finding["kind"], finding["same_photo"]["transform"]) == ("same_picture", "mirrored")
    assert same["priority"] == finding["priority"] > 80 and not same["held"]

    profile = {"handle": "emmanuel.macron.official", "display_name": "E"}
    claimed = review_of(topics, portraits["person_a_2.jpg"].read_bytes(), profile=profile)
    assert [one["kind"] for one in claimed["findings"]] == ["name_claim", "same_person"]
    assert claimed["findings"][0]["name_claim"] == {"field": "handle", "text": "emmanuel.macron.official"}
    assert claimed["sure_threshold"] > claimed["threshold"] == metric_of(settings, "likeness_threshold")

    # The shadow raises neither the other photo at cosine 0.62, only the name that goes with it, nor the next.
    review_of(topics, portraits["person_a_2.jpg"].read_bytes())
    eventually(lambda: metric(settings, 'likeness_shadow_verdicts_total{outcome="review",shadow="clear"}') == 1)
    eventually(lambda: metric(settings, 'likeness_shadow_findings_total{change="missing",kind="same_person"}') == 1)
    assert metric(settings, 'likeness_shadow_findings_total{change="extra",kind="same_person"}') == 0
    assert metric(settings, 'likeness_shadow_verdicts_total{outcome="review",shadow="review"}') == 2


def test_a_threshold_that_the_gallerys_growth_moves_is_logged_and_exported(running, settings, portraits, caplog):
    before = metric(settings, "likeness_threshold")
    with caplog.at_level("INFO", logger="likeness.screening"):
        for name in ("impostor_1.jpg", "impostor_2.jpg", "person_b_1.jpg"):
            enrol(settings, name, portraits[name])
        moved = "The threshold is derived anew from the gallery's size."
        eventually(lambda: metric(settings, "likeness_gallery_references") == 4 and moved in caplog.messages)
    record = next(record for record in caplog.records if record.getMessage() == moved)
    assert record.threshold > record.was
    eventually(lambda: metric(settings, "likeness_threshold") > before + 0.02)
    assert metric(settings, "likeness_expected_detection_rate") > 0.9


def metric_of(settings, name):
    return pytest.approx(metric(settings, name), abs=1e-4)


def test_what_is_learned_from_decisions_reaches_the_running_consumer(running, settings, portraits):
    topics, identity_id = running
    picture = portraits["person_a_2.jpg"].read_bytes()
    assert not review_of(topics, picture, account_id="acct-7")["held"]
    with open_decisions(settings) as (_, decisions):
        for account in ("acct-7", "acct-8"):
            decisions.record(identity_id, account, "not_this_person", "lee")

    def silent():
        sent = upload(picture=picture, account_id="acct-7")
        topics.send(sent, sent["event_id"].encode())
        return topics.screening(sent["event_id"])["verdict"] == "clear"

    eventually(silent)
    held = review_of(topics, picture, account_id="acct-9")
    assert held["held"] and held["findings"][0]["quarantined"]
    eventually(lambda: metric(settings, "likeness_reviews_held_total") == 1)
    both = review_of(topics, group(portraits, "person_a_2.jpg", "impostor_1.jpg"), account_id="acct-9")
    assert both["held"], "nobody else was found in it"
