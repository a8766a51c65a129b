"""Who showed a face in an avatar before, of those whose faces are kept: for the conflicts of a report.

It begins with the oldest, since accounts of long standing are what is asked for, and ends when its time is over.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
from kafka.errors import KafkaError
from numpy.typing import NDArray

from config import Settings
from consumers.kafka import BrokerAway
from consumers.look_back.past_topic import PastTopic
from consumers.look_back.probes import ProbeExpired, ProbeUnreadable, open_probe
from consumers.topics import TopicMissing
from detector.identity import Embedding
from records.errors import RecordsError
from records.keys.probe_keys import ProbeKeys
from records.reports.look_backs import Shown

log = logging.getLogger("likeness.look_back")
SECONDS = 20.0
"""How long the search for one report may take."""
PATIENCE_SECONDS = 0.5
AT_ONCE = 500
MOST = 20
"""Accounts that are told of."""
KEPT = 100
"""Reports whose answers are kept."""


class KeptFaceSearch:
    """web.showing.ShowsFaces; one search at a time. `threshold` gives the cosine from which a face is raised, of the
    gallery as it is. Close it."""

    def __init__(self, settings: Settings, keys: ProbeKeys, threshold: Callable[[], float]) -> None:
        self._settings = settings
        self._keys = keys
        self._threshold = threshold
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kept-faces")
        self._answers: OrderedDict[str, Future[Sequence[Shown]]] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def who_shows(
        self, report_id: str, embeddings: Sequence[Embedding], pack: str, older_than: datetime
    ) -> Sequence[Shown] | None:
        if not embeddings:
            return ()
        with self._lock:
            if report_id not in self._answers:
                self._answers[report_id] = self._pool.submit(self._search, np.stack(embeddings), pack, older_than)
                if len(self._answers) > KEPT:
                    self._answers.popitem(last=False)
            answer = self._answers[report_id]
        try:
            return answer.result(PATIENCE_SECONDS)
        except TimeoutError:
            return None
        except (BrokerAway, KafkaError, RecordsError, TopicMissing) as error:
            log.warning("Kept faces could not be searched for a report's: %s", error)
            with self._lock:
                self._answers.pop(report_id, None)
            return None

    def _search(self, wanted: NDArray[np.float32], pack: str, older_than: datetime) -> Sequence[Shown]:
        first = datetime.now(UTC) - timedelta(days=self._settings.look_back.days + 1)
        keys, threshold, until = self._keys.all(), self._threshold(), time.monotonic() + SECONDS
        found: dict[str, datetime] = {}
        with closing(PastTopic(self._settings.kafka, self._settings.topics.probes)) as topic:
            topic.go_on(topic.all_since(first, older_than))
            while not topic.window.done and time.monotonic() < until and len(found) < MOST:
                for record in topic.read(AT_ONCE):
                    try:
                        probed = open_probe(record.value, keys)
                    except (ProbeExpired, ProbeUnreadable):
                        continue
                    if probed.kept.pack == pack and (probed.kept.embeddings @ wanted.T).max() >= threshold:
                        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                        account = probed.upload.account_id
                        found[account] = min(at, found.get(account, at))
        shown = [Shown(account, at) for account, at in found.items()]
        return sorted(shown, key=lambda one: one.uploaded_at)[:MOST]
