"""A platform around one running service: enrolled people, a web site, a folder, a bucket, and what comes out.

A test file takes these fixtures by `pytest_plugins`; each file has a service of its own on each broker.
"""

import io
import json
import logging

import boto3
import pytest
from moto.server import ThreadedMotoServer

from demo.broker import free_port
from likeness.logs import set_up_logs
from tests.support.running_service import (
    ARDERN,
    MACRON,
    OWN_ACCOUNT,
    ServiceThread,
    Topics,
    enrol,
    service_settings,
    upload,
)
from tests.support.web_site import WebSite

MAX_BYTES = 400_000


class Platform:
    """A running service with two enrolled people, a web site, a folder and a bucket with pictures, and its log."""

    def __init__(self, settings, topics, site, folder, ids, log, delivery):
        self.settings, self.topics, self.ids, self.delivery = settings, topics, ids, delivery
        self.site, self.folder, self.log = site, folder, log

    def screen(self, picture, account_id="acct-stranger", **fields):
        """The screening of a picture, and its reviews."""
        sent = upload(account_id=account_id, picture=picture, **fields)
        self.topics.send(sent, account_id.encode())
        return self.topics.screening(sent["event_id"]), self.topics.of(sent["event_id"], "review")

    def refused(self, value, **message):
        """The dead letter of a value."""
        return self.topics.dead_letter(self.topics.send(value, **message))


@pytest.fixture(scope="module")
def log():
    """What the service logs, line by line, as it would stand on stderr."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    set_up_logs("DEBUG", "json")
    root.handlers[0].setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def store():
    """An object store with a bucket that may be read and one that may not."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        for bucket in ("avatars", "private"):
            client.create_bucket(Bucket=bucket)
        yield client
    server.stop()


@pytest.fixture(scope="module", params=["tansu", "apache_kafka"])
def platform(request, tmp_path_factory, models, portraits, store, log):
    broker = request.getfixturevalue(request.param)
    home = tmp_path_factory.mktemp("platform")
    folder = home / "pictures"
    folder.mkdir()
    (home / "secret.jpg").write_bytes(portraits["impostor_1.jpg"].read_bytes())
    with WebSite({}).running() as site:
        settings = service_settings(
            broker,
            home,
            models,
            pictures={"max_bytes": MAX_BYTES},
            fetch={
                "allowed_hosts": ["127.0.0.1", "localhost", "10.0.0.1", "closed.example"],
                "private_hosts": [f"127.0.0.1:{site.port}", f"127.0.0.1:{free_port()}"],
                "file_root": folder,
                "allowed_buckets": ["avatars"],
                "attempts": 1,
                "total_seconds": 3.0,
            },
        )
        ids = {
            MACRON: enrol(settings, MACRON, portraits["person_a_1.jpg"]),
            ARDERN: enrol(settings, ARDERN, portraits["person_b_1.jpg"], own_accounts=[OWN_ACCOUNT]),
        }
        with ServiceThread(settings):
            topics = Topics(settings)
            delivery = "transactional" if request.param == "apache_kafka" else "at_least_once"
            yield Platform(settings, topics, site, folder, ids, log, delivery)
            topics.close()
