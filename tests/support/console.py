"""Reviews for the console, and the case feed in a thread, for tests."""

import base64
import threading
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from config import Settings, load_settings
from consumers.case_feed import CaseFeed
from consumers.case_pictures import CasePictures
from consumers.console_metrics import ConsoleMetrics
from consumers.kafka import make_admin, make_producer
from consumers.messages import Image, ImpersonationSuspected, ReviewFinding, ReviewRunnerUp, derived_id, write_event
from consumers.open_detector import open_watched_looking
from consumers.topics import ensure_console_topics
from records.casework.cases import CaseRecords
from records.casework.queues import QueueRule
from records.database import Database, open_database
from records.errors import UnknownCase
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
MASTER_KEY = MasterKey.of(bytes(32))


@pytest.fixture(scope="module")
def looking(tmp_path_factory, models):
    """One worker process that looks at pictures, for all tests of a file."""
    home = tmp_path_factory.mktemp("looking")
    (home / "models").symlink_to(models)
    with closing(open_watched_looking(load_settings(home=home), print)) as one:
        yield one


def finding(kind="same_person", **facts):
    """A finding of a review about Ana, who may be Eva."""
    eva = ReviewRunnerUp(identity_id="idn_2", identity_name="Eva", similarity=0.6)
    about = {"identity_id": "idn_1", "identity_name": "Ana", "identity_kind": "celebrity", "runner_up": eva}
    return ReviewFinding(kind=kind, priority=60, text="The face is very like Ana's.", **(about | facts))


def review(picture=None, url=None, event_id=None, **fields):
    """A review of a picture, given inline or by its URL."""
    event_id = event_id or f"event-{uuid.uuid4()}"
    image = Image(url=url) if url else Image(base64=base64.b64encode(picture or b"no picture").decode())
    facts = {"account_id": "acct-1", "uploaded_at": NOW, "profile": None, "priority": 60, "held": False}
    facts |= {"findings": [finding()], "faces": 1, "picture_width": 722, "picture_height": 899}
    facts |= {"model_pack": "opencv-zoo@1", "threshold": 0.55, "sure_threshold": 0.6, "gallery_version": 3}
    facts |= {"screened_at": NOW} | fields
    return ImpersonationSuspected(review_id=derived_id("review", event_id), event_id=event_id, image=image, **facts)


def make_console_topics(settings):
    with closing(make_admin(settings.kafka)) as admin:
        ensure_console_topics(admin, settings.topics, settings.kafka)


def send(settings, *reviews):
    """To the topic of reviews; bytes go as they are, to partition 0."""
    with closing(make_producer(settings.kafka)) as producer:
        for one in reviews:
            if isinstance(one, bytes):
                sent = producer.send(settings.topics.reviews, one, partition=0)
            else:
                value = write_event(one, str(one.review_id), NOW)
                sent = producer.send(settings.topics.reviews, value, one.account_id.encode())
            sent.get(20)


def open_cases(settings, database):
    queues = [QueueRule(**queue.model_dump()) for queue in settings.console.queues]
    return CaseRecords(database, MASTER_KEY, queues, keep_pictures=timedelta(days=settings.console.picture_days))


@dataclass
class RunningFeed:
    """A case feed over a migrated database, from entering the block to its end. `failure`: what it ended for."""

    settings: Settings
    looking: object
    patience: float = 60.0
    failure: Exception | None = None

    def __enter__(self):
        self.database: Database = open_database(self.settings.database_url)
        self.database.migrate()
        self.cases = open_cases(self.settings, self.database)
        self.stop = threading.Event()
        gallery = GalleryRecords(self.database, MASTER_KEY)
        self.metrics = ConsoleMetrics()
        self.pictures = CasePictures(self.settings, self.looking, gallery, self.stop, patience=self.patience)
        self.feed = CaseFeed(
            self.settings, self.database, self.cases, self.pictures, self.metrics, self.stop, self._fail
        )
        self.feed.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.feed.close()
        assert not self.feed.alive
        self.pictures.close()
        self.database.close()

    def _fail(self, error):
        self.failure = error

    def case(self, review):
        """The case of a review, None before there is one."""
        try:
            return self.cases.get(str(review.review_id))
        except UnknownCase:
            return None

    def count(self, result):
        """Of the reviews taken in, those that ended so."""
        return self.metrics.registry.get_sample_value("likeness_console_reviews_total", {"result": result})
