"""After a withdrawal nothing is left: not with any running consumer, not in the database's files, not in the broker's
log segments; what is still there cannot be opened."""

import base64
import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from statistics import median

import pytest
from PIL import Image
from sqlalchemy import select, text

from consumers.kafka import make_consumer
from consumers.messages import read_data
from demo.broker import free_port
from detector.enrolment import judge_photo
from likeness.enrolling import enrolment_limits, reference_photo
from likeness.raw_search import photo_needles, search, text_needles
from likeness.workbench import open_workbench
from records.database import open_database
from records.errors import ChangeUnreadable, MasterKeyError
from records.gallery_changes import read_change, vector_bytes
from records.keys.keyring import DataKey
from records.reports.schema_reports import ReportKeyRow
from records.schema import IdentityKeyRow
from tests.support.protection import CHALLENGE, CONTACT, FACE, KEY, LINK, MESSAGE, PHOTO, WORDS, Protection
from tests.support.running_service import (
    ServiceProcess,
    Topics,
    again,
    environment,
    eventually,
    make_topics,
    metric,
    service_settings,
    upload,
)

WITHIN_SECONDS = 5.0
WITHDRAWALS = 5
REFERENCES = "likeness_gallery_references"
SAID = {"contact": CONTACT, "words": WORDS, "link": LINK, "message": MESSAGE}


def of_person(photo, embedding, pieces=8):
    """What nobody may find in any file, by name."""
    vector = vector_bytes(embedding)
    parts = [vector[start : start + 32] for start in range(0, len(vector) - 32, len(vector) // pieces)]
    encoded = [base64.b64encode(bytes(shift) + vector)[8:48] for shift in range(3)]
    return {
        "photo": photo_needles(photo),
        "challenge": photo_needles(CHALLENGE),
        "embedding": [*parts, *encoded],
        **{what: text_needles(said) for what, said in SAID.items()},
    }


def found(paths, needles):
    return sorted({f"{hit.what} in {hit.path.name}" for hit in search(paths, needles)})


def wrapped_keys(database):
    with database.read() as session:
        return [*session.scalars(select(IdentityKeyRow.wrapped)), *session.scalars(select(ReportKeyRow.wrapped))]


def erasure(settings, *words):
    """`likeness erasure` in a process of its own."""
    command = [sys.executable, "-m", "likeness", "erasure", *words]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=120)


@pytest.fixture
def settings(apache_kafka, tmp_path, models):
    key = base64.b64encode(bytes(32)).decode()
    return service_settings(
        apache_kafka, tmp_path, models, keys={"master_key": key}, watermark={"read": "never"}, look_back={"days": 0}
    )


def test_within_five_seconds_no_consumer_matches_and_nothing_can_be_read_in_any_file(
    settings, apache_kafka, portraits, tmp_path, capsys
):
    second = again(settings, http={"port": free_port()})
    stranger = portraits["person_a_2.jpg"].read_bytes()
    with open_workbench(settings) as bench:
        pack = bench.detector.engine.pack
        judged = judge_photo(bench.detector, portraits["person_a_1.jpg"].read_bytes(), enrolment_limits(settings))
        photo = reference_photo(judged, "Sent with a report", pack)
    make_topics(settings)
    with (
        closing(open_database(settings.database_url)) as database,
        ServiceProcess(settings),
        ServiceProcess(second),
    ):
        both = (settings, second)
        here = Protection(database)
        people = [here.protect(photo) for _ in range(WITHDRAWALS)]
        taken, identity_id = people[-1]
        eventually(lambda: [metric(one, REFERENCES) for one in both] == [WITHDRAWALS] * 2)
        topics = Topics(settings)
        assert verdict(topics, stranger) == "review"
        keys = wrapped_keys(database)
        needles = of_person(photo.photo_jpeg, photo.embeddings[pack])
        assert len(found([tmp_path], {"key": keys})) >= 1, "the search looks where the rows are"
        parts = [
            identity_id[start : start + 8].encode() for start in range(4, 36, 8)
        ]  # compression may break the whole
        assert found(logs(settings, apache_kafka), {"id": parts}), "and where the messages are"
        assert found([tmp_path, *logs(settings, apache_kafka)], needles) == []

        gone = []
        for count, (one, _) in enumerate(people, 1):
            started, left = time.monotonic(), [WITHDRAWALS - count] * 2
            here.erasure.withdraw(one.report_id, "withdrawn", "reporter")
            eventually(lambda left=left: [metric(one, REFERENCES) for one in both] == left, WITHIN_SECONDS)
            gone.append(time.monotonic() - started)
        assert verdict(topics, stranger) == "clear"
        topics.close()

        files = [tmp_path, *logs(settings, apache_kafka)]
        assert found(files, needles) == []
        assert found([tmp_path], {"key": keys}) == [], "nor is a key that could open the copies"
        before, tombstone = changes(settings, identity_id)
        assert tombstone is None
        with pytest.raises(ChangeUnreadable):
            read_change(identity_id, before, DataKey.new(identity_id))

        mine, told = tmp_path.parent / f"{tmp_path.name}-mine.jpg", ("--text", CONTACT, "--text", WORDS)
        mine.write_bytes(photo.photo_jpeg)
        looked = [word for one in files for word in ("--files", str(one))] + ["--photo", str(mine), *told]
        verified = erasure(settings, "verify", taken.number, *looked)
        assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout
        assert "signed by us" in verified.stdout and "1 × sealed with the destroyed key" in verified.stdout
    with capsys.disabled():
        told = f"{min(gone):.2f} s at least, {median(gone):.2f} s in the median, {max(gone):.2f} s at most"
        print(f"\n  withdrawn: both consumers without the person after {told}", end=" ")


def logs(settings, kafka):
    """The broker's files of our topics and of its own; on those of other tests the photo may lie as an upload."""
    prefix = settings.topics.uploads.partition("-")[0]
    return [*kafka._folder.rglob(f"{prefix}-*"), *kafka._folder.rglob("__*")]


def verdict(topics, picture):
    sent = upload(picture=picture)
    topics.send(sent, sent["event_id"].encode())
    return topics.screening(sent["event_id"])["verdict"]


def changes(settings, identity_id):
    """The identity's messages on gallery-changes, oldest first."""
    with closing(make_consumer(settings.kafka, settings.topics.gallery_changes)) as consumer:
        told = []
        eventually(
            lambda: (
                told.extend(record for records in consumer.poll(timeout_ms=200).values() for record in records)
                or (told and told[-1].value is None)
            )
        )
    return [record.value and read_data(record.value) for record in told if record.key == identity_id.encode()]


def test_the_files_of_postgresql_hold_nothing_that_can_be_read_before_and_after(postgres):
    url = postgres.create_database(migrated=True)
    with closing(open_database(url)) as database:
        database.migrate()
        here = Protection(database)
        taken, identity_id = here.protect()
        here.case("case-1", identity_id)
        keys = wrapped_keys(database)
        checkpoint(database)
        needles, folder = of_person(PHOTO, FACE), [postgres._folder / "data"]
        assert found(folder, {"key": keys}) and found(folder, needles) == []
        with database.read() as session:
            sealed = session.execute(text("SELECT reference_id, sealed FROM reference_photos")).one()
        here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
        checkpoint(database)
        assert found(folder, needles) == []
        assert wrapped_keys(database) == []
        for wrapped in keys:  # the master key alone opens nothing of what was copied before
            with pytest.raises(MasterKeyError):
                DataKey.unwrap("idn_other", wrapped, KEY)
        assert not any(piece in sealed.sealed for piece in photo_needles(PHOTO))


def checkpoint(database):
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))


def test_a_photo_that_lies_about_in_a_file_is_found(tmp_path):
    grain = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
    encoded = io.BytesIO()
    grain.save(encoded, "JPEG")
    photo, needles = (
        encoded.getvalue(),
        {"photo": photo_needles(encoded.getvalue()), "text": text_needles("Zoë Müller")},
    )
    for name, content in (
        ("plain", photo),
        ("paged", b"".join(photo[start : start + 1900] + bytes(60) for start in range(0, len(photo), 1900))),
        ("base64", b'{"a": "' + base64.b64encode(photo) + b'"}'),
        ("shifted", base64.b64encode(b"x" + photo)),
        ("text", "Zoë Müller".encode()),
        ("json", json.dumps("Zoë Müller").encode()),
        ("base64-text", base64.b64encode(b"..Zo\xc3\xab M\xc3\xbcller!")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_bytes(bytes(1000) + content + bytes(1000))
        assert len(found([folder], needles)) == 1, name
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file").write_bytes(b"")
    assert found([tmp_path / "empty"], needles) == []
