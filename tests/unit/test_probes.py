"""The faces of an upload, kept under the key of their day: what comes back, and what cannot be read."""

import base64
import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import delete

from consumers.look_back.probe_keeper import ProbeKeeper
from consumers.look_back.probes import ProbeExpired, ProbeUnreadable, open_probe, probe_message
from consumers.messages import AvatarUploaded, Image, Profile
from consumers.metrics import Metrics
from consumers.outcomes import Screened
from detector.matching import Matcher
from detector.verdict import Face, KeptProbes, Upload, Verdict
from records.database import open_database
from records.errors import DatabaseAway
from records.keys.keyring import DataKey, MasterKey
from records.keys.probe_keys import KEPT_LATELY, ProbeKeys, subject_of
from records.reports.schema_reports import ProbeKeyRow
from tests.support.detectors import enrol

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
TODAY, TOMORROW = date(2026, 2, 3), date(2026, 2, 4)
MASTER = MasterKey.of(bytes(32))
UPLOAD = AvatarUploaded(
    event_id="event-1",
    account_id="acct-1",
    image=Image(base64="AAAA"),
    uploaded_at=NOON,
    profile=Profile(handle="@ana", display_name="Ana"),
)
VECTORS = np.eye(2, 8, dtype=np.float32)
KEPT = KeptProbes(
    faces=(Face((1.0, 2.0, 30.0, 40.0), (), 0.9, 0.75), Face((5.0, 6.0, 20.0, 20.0), (), 0.8, 0.5)),
    embeddings=VECTORS,
    hashes=np.arange(32, dtype=np.uint64).reshape(8, 4) << np.uint64(59),
    width=640,
    height=480,
    pack="p@1",
)
PLACE = Image(url="kafka://avatar-uploads/3/7")


@pytest.fixture
def key():
    return DataKey.new(subject_of(TODAY))


def test_what_is_kept_comes_back_as_it_was_without_the_picture(key):
    message = probe_message("avatar-probes", UPLOAD, PLACE, KEPT, key, NOON)
    opened = open_probe(message.value, {TODAY: key})
    assert opened.upload == UPLOAD.model_copy(update={"image": PLACE})
    assert [(face.box, face.quality) for face in opened.kept.faces] == [(face.box, face.quality) for face in KEPT.faces]
    assert np.array_equal(opened.kept.embeddings, VECTORS)
    assert np.array_equal(opened.kept.hashes, KEPT.hashes)
    assert (opened.kept.width, opened.kept.height, opened.kept.pack) == (640, 480, "p@1")


def test_a_picture_too_flat_for_a_fingerprint_is_kept_without_one(key):
    flat = KeptProbes(KEPT.faces, VECTORS, np.empty((0, 4), np.uint64), 640, 480, "p@1")
    opened = open_probe(probe_message("t", UPLOAD, PLACE, flat, key, NOON).value, {TODAY: key})
    assert opened.kept.hashes.shape == (0, 4)


def test_nothing_but_the_day_is_in_the_clear(key):
    message = probe_message("t", UPLOAD, PLACE, KEPT, key, NOON)
    assert message.key is None
    assert json.loads(message.value)["data"].keys() == {"day", "sealed"}
    for secret in (b"acct-1", b"event-1", b"@ana", b"kafka://", base64.b64encode(VECTORS[0].tobytes())[:20]):
        assert secret not in message.value


@pytest.mark.parametrize(
    ("keys", "error"),
    [({}, ProbeExpired), ({TODAY: DataKey.new(subject_of(TODAY))}, ProbeUnreadable)],
    ids=["deleted", "another"],
)
def test_without_the_key_of_its_day_nobody_can_read_it(key, keys, error):
    message = probe_message("t", UPLOAD, PLACE, KEPT, key, NOON)
    with pytest.raises(error):
        open_probe(message.value, keys)


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"data": {"day": "today", "sealed": ""}}', b"\xff"])
def test_what_is_no_probe_is_told_apart(value):
    with pytest.raises(ProbeUnreadable):
        open_probe(value, {})


def test_a_kept_face_is_judged_like_the_picture_was(detector, portraits):
    """But for photos that a face was cut from: that takes pixels."""
    enrol(detector, "macron", [portraits["person_a_1.jpg"].read_bytes()], own_accounts=["acct-own"])
    keeping = Matcher(detector.index, detector.policy, keep=True)
    picture = portraits["person_a_2.jpg"].read_bytes()
    (live,) = keeping.verdicts([Upload(picture, "acct-1")], [detector.probe(picture)])
    (later, own) = keeping.verdicts([Upload(b"", "acct-1"), Upload(b"", "acct-own")], [live.kept, live.kept])
    keeping.close()
    assert [one.kind for one in live.findings] == ["same_person"]
    assert later.findings == live.findings
    assert (later.width, later.height) == (live.width, live.height)
    assert (own.outcome, own.silenced[0].by) == ("clear", "own_account")


def test_a_look_back_raises_what_the_whole_gallery_would(detector, portraits):
    """The threshold grows with everybody who is in the gallery, not with those alone who are searched for."""
    matcher = Matcher(detector.index, detector.policy)
    alone = matcher.thresholds.review
    matcher.others = 100_000
    assert matcher.thresholds.review == detector.policy.at(100_000 + detector.index.comparisons).review > alone
    (verdict,) = matcher.verdicts([Upload(b"")], [detector.probe(portraits["impostor_1.jpg"].read_bytes())])
    assert verdict.threshold == matcher.thresholds.review
    matcher.close()


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


class Clock:
    now = NOON

    def __call__(self):
        return self.now


def keeper(keys, metrics, clock):
    return ProbeKeeper("avatar-probes", keys, metrics, None, clock=clock)


def screened():
    verdict = Verdict("clear", (), (), KEPT.faces, 0, "p@1", 0.5, 0.6, 1, kept=KEPT)
    return Screened(
        type("Record", (), {"topic": "avatar-uploads", "partition": 3, "offset": 7}),
        None,
        upload=UPLOAD,
        verdict=verdict,
    )


def probes(metrics, result):
    return metrics.registry.get_sample_value("likeness_probes_total", {"result": result})


def test_the_keys_of_today_and_tomorrow_are_at_hand_and_those_that_are_over_are_deleted(database):
    keys, metrics, clock = ProbeKeys(database, MASTER, 2), Metrics(), Clock()
    keeping = keeper(keys, metrics, clock)
    keeping.prepare()
    assert set(keys.all()) == {TODAY, TOMORROW}
    message = keeping.message(screened(), NOON)
    opened = open_probe(message.value, keys.all())
    assert opened.upload.image.url == "kafka://avatar-uploads/3/7"
    for day, left in ((4, {3, 4, 5}), (5, {3, 4, 5, 6}), (6, {4, 5, 6, 7})):
        clock.now = NOON.replace(day=day)
        keeping.prepare()
        assert {one.day for one in keys.all()} == left
    with pytest.raises(ProbeExpired):
        open_probe(message.value, keys.all())


def test_while_the_database_is_away_faces_are_kept_as_long_as_there_is_a_key_and_then_only_counted(database):
    keys, metrics, clock = ProbeKeys(database, MASTER, 2), Metrics(), Clock()
    keeping = keeper(keys, metrics, clock)
    keeping.prepare()

    def away(day):
        raise DatabaseAway("away")

    keys.make = away
    for day, result in ((3, "kept"), (4, "kept"), (5, "no_key")):
        before = probes(metrics, result)
        message = keeping.message(screened(), NOON.replace(day=day))
        assert (message is not None) == (result == "kept")
        assert probes(metrics, result) == before + 1


def test_all_processes_have_the_same_key_of_a_day_and_faces_that_are_kept_no_more_have_none(database):
    first, second = (ProbeKeys(database, MASTER, 2) for _ in range(2))
    sealed = first.make(TODAY).seal(b"face", "avatar-probe")
    assert second.make(TODAY).open(sealed, "avatar-probe") == b"face"
    assert ProbeKeys(database, MASTER, 0).sweep(datetime.now(UTC) + KEPT_LATELY) == 1
    assert second.all() == {}


def test_a_process_that_is_to_keep_none_deletes_no_key_while_a_consumer_makes_them(database, caplog):
    keeping, console = ProbeKeys(database, MASTER, 2), ProbeKeys(database, MASTER, 0)
    sealed = keeping.make(TODAY).seal(b"face", "avatar-probe")
    assert console.sweep(datetime.now(UTC)) == 0
    assert keeping.all()[TODAY].open(sealed, "avatar-probe") == b"face"
    assert "Give all processes the same look_back.days." in caplog.text
    assert console.sweep(datetime.now(UTC) + KEPT_LATELY - timedelta(minutes=1)) == 0
    assert console.sweep(datetime.now(UTC) + KEPT_LATELY) == 1, "nobody has made one since: faces are kept no more"


def test_less_days_delete_at_once_what_is_older(database):
    keys = ProbeKeys(database, MASTER, 30)
    for day in (1, 2, 3):
        keys.make(TODAY.replace(day=day))
    assert ProbeKeys(database, MASTER, 1).sweep(NOON) == 1
    assert set(keys.all()) == {TODAY.replace(day=2), TODAY}


@pytest.mark.parametrize("others", [False, True], ids=["gone", "another's"])
def test_a_key_that_was_deleted_seals_nothing_more_and_what_it_sealed_counts_as_not_kept(database, caplog, others):
    keys, metrics, clock = ProbeKeys(database, MASTER, 2), Metrics(), Clock()
    keeping = keeper(keys, metrics, clock)
    keeping.prepare()
    dead = [keeping.message(screened(), NOON) for _ in range(3)]
    with database.write() as session:
        session.execute(delete(ProbeKeyRow))
    if others:
        keys.make(TODAY)
    assert probes(metrics, "no_key") == 0
    keeping.prepare()
    assert probes(metrics, "no_key") == 3
    assert "The key of 2026-02-03 is not in the database any more: the faces of 3 uploads are not kept." in caplog.text
    for message in dead:
        with pytest.raises(ProbeUnreadable):
            open_probe(message.value, keys.all())
    assert open_probe(keeping.message(screened(), NOON).value, keys.all()).upload.account_id == "acct-1"
    keeping.prepare()
    assert probes(metrics, "no_key") == 3


def test_the_bytes_of_a_deleted_key_are_gone_from_the_files(database, tmp_path):
    keys = ProbeKeys(database, MASTER, 1)
    keys.make(TODAY)
    with database.engine.connect() as connection:
        wrapped = connection.exec_driver_sql("SELECT wrapped FROM probe_keys").scalar()
    raw = lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: E731
    assert wrapped in raw()
    assert keys.sweep(NOON.replace(day=9)) == 1
    assert wrapped not in raw()
