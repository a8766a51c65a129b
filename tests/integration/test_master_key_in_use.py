"""The master key is rotated and the old one destroyed while `likeness run` and `likeness serve` run on."""

from contextlib import closing

import pytest
from sqlalchemy import select

from demo.broker import free_port
from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.cases import CaseRecords
from records.casework.schema_cases import CasePictureKeyRow
from records.database import open_database
from records.errors import MasterKeyError
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.rotation import SETTLED, KeyRotation
from tests.support.case_office import KEPT, QUEUES
from tests.support.console_process import ConsoleProcess
from tests.support.running_service import (
    ARDERN,
    MACRON,
    ServiceProcess,
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
    web = {"host": "127.0.0.1", "port": 0}
    return service_settings(tansu, tmp_path / "home", models, web=web, watermark={"read": "never"})


def test_uploads_are_screened_and_cases_opened_before_within_and_after_a_rotation(settings, portraits):
    picture = portraits["person_a_2.jpg"].read_bytes()
    console = again(settings, http={"port": free_port()})
    make_topics(settings)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    running = open_master_key(settings.keys, settings.master_key_file, create=False)
    before = MasterKey.of(running.current)
    with (
        ServiceProcess(settings),
        ConsoleProcess(console),
        closing(open_database(settings.database_url)) as database,
        closing(Topics(settings)) as topics,
    ):
        sent = []

        def suspected():
            """Another upload of the same face becomes a case with its picture."""
            sent.append(upload(account_id=f"acct-{len(sent)}", picture=picture))
            topics.send(sent[-1], sent[-1]["event_id"].encode())
            eventually(lambda: len(cases(database)) == len(sent), 40)

        rotation = KeyRotation(database, running, AuditLog(database), clock=lambda: utc_now() + SETTLED)
        suspected()
        rotation.begin("operator")
        suspected()
        rotation.wrap_anew("operator")
        enrol(settings, ARDERN, portraits["person_b_1.jpg"])
        eventually(lambda: metric(settings, "likeness_gallery_references") == 2)
        rotation.retire("operator")
        suspected()
        after = open_master_key(settings.keys, settings.master_key_file, create=False)
        assert len(after.ids) == 1 and after.ids != before.ids
        assert [opens(database, after), opens(database, before)] == [[True] * 3, [False] * 3]


def cases(database):
    """The cases that have their picture."""
    with database.read() as session:
        return list(session.scalars(select(CasePictureKeyRow.case_id)))


def opens(database, master_key):
    """Of each case, whether its picture opens."""
    records = CaseRecords(database, master_key, QUEUES, keep_pictures=KEPT)

    def picture(case_id):
        try:
            return records.picture(case_id) is not None
        except MasterKeyError:
            return False

    return [picture(case_id) for case_id in cases(database)]
