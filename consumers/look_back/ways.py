"""The two ways to look back: uploads are read from Kafka and looked at once more, or their kept faces are compared.

Either compares with those people alone that the look-back is for, see look_back.py.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from config import Settings
from config.settings import Kafka
from consumers.fetch import FetchRefused
from consumers.look_back.indexed_past import IndexedPast, Meant
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.past_topic import PastTopic
from consumers.look_back.probes import Probed, ProbeExpired, ProbeUnreadable, open_probe
from consumers.messages import AvatarUploaded, Image, MessageRejected, Profile, inline_bytes, read_upload
from consumers.outcomes import image_at
from consumers.patient_fetch import PatientFetcher
from detector import Detector, Upload, Verdict
from detector.matching import Matcher
from detector.template import template
from records.keys.keyring import DataKey
from records.keys.probe_keys import ProbeKeys


@dataclass(frozen=True, slots=True, eq=False)
class Suspicion:
    """An earlier upload with findings. image: where its picture is; sent_at: seconds since 1970."""

    upload: AvatarUploaded
    image: Image
    verdict: Verdict
    sent_at: float


class Way(Protocol):
    topic: str
    at_once: int
    """Records that are searched together."""

    def open_past(self, kafka: Kafka) -> PastTopic:
        """The topic, to be read between two marks."""
        ...

    def prepare(self, identity_ids: Sequence[str]) -> None:
        """Before each slice. `identity_ids`: who is searched for. May raise DatabaseAway, SchemaMismatch,
        MasterKeyError."""
        ...

    def search(self, records: Sequence[Any]) -> list[Suspicion]:
        """Those of the records that are suspicious. May raise WorkersBroken."""
        ...


REST = 3
"""After each upload that is looked at once more comes a rest so many times as long: where others use the processor it
takes longer, and the rest with it."""


class ReplayedUploads:
    """Uploads are looked at once more, `look_back.pictures_per_second` of them at most. Their texts are not read."""

    at_once = 1

    def __init__(
        self,
        settings: Settings,
        detector: Detector,
        fetcher: PatientFetcher,
        metrics: LookBackMetrics,
        stop: threading.Event,
    ) -> None:
        self.topic = settings.topics.uploads
        self._detector = detector
        self._fetcher = fetcher
        self._metrics = metrics
        self._stop = stop
        self._pause = 1 / settings.look_back.pictures_per_second
        self._due = 0.0

    def open_past(self, kafka: Kafka) -> PastTopic:
        return PastTopic(kafka, self.topic)

    def prepare(self, identity_ids: Sequence[str]) -> None:
        """Nothing is needed."""

    def search(self, records: Sequence[Any]) -> list[Suspicion]:
        found = []
        for record in records:
            self._stop.wait(max(0.0, self._due - time.monotonic()))
            started = time.monotonic()
            result, suspicion = self._look(record)
            took = time.monotonic() - started
            self._due = started + max(self._pause, (1 + REST) * took)
            self._metrics.pictures.labels(result).inc()
            found += [suspicion] if suspicion else []
        return found

    def _look(self, record: Any) -> tuple[str, Suspicion | None]:
        try:
            upload = read_upload(record.value)
            image = upload.image
            picture = inline_bytes(image) if image.url is None else self._fetcher.fetch(image.url)
        except MessageRejected:
            return "unreadable", None
        except FetchRefused:
            return "not_fetched", None
        asked = _asked(upload, picture)
        verdict = self._detector.submit(asked).result()
        if verdict.outcome == "unscreenable":
            return "unreadable", None
        if not verdict.findings:
            return verdict.outcome, None
        where = image_at(record) if image.url is None else image
        return "review", Suspicion(upload, where, verdict, record.timestamp / 1000)


class KeptFaces:
    """The kept faces of uploads are compared: no picture is needed, and no model."""

    at_once = 500

    def __init__(
        self,
        settings: Settings,
        matcher: Matcher,
        keys: ProbeKeys,
        metrics: LookBackMetrics,
        places: Callable[[NDArray[np.float32], str, float], Meant] | None = None,
    ) -> None:
        """`places`: where faces like these lie, of this model pack and at least so near; None: all are compared."""
        self.topic = settings.topics.probes
        self._places = places
        self._wanted: Sequence[str] = ()
        self._matcher = matcher
        self._records = keys
        self._metrics = metrics
        self._keys: Mapping[date, DataKey] = {}

    def open_past(self, kafka: Kafka) -> PastTopic:
        return IndexedPast(kafka, self.topic, self._meant) if self._places else PastTopic(kafka, self.topic)

    def prepare(self, identity_ids: Sequence[str]) -> None:
        """The keys of all days that are still to be read."""
        self._keys, self._wanted = self._records.all(), identity_ids

    def _meant(self) -> Meant | None:
        """None where a photo that stayed with the person is searched for, too: no face tells where it was shown."""
        index, thresholds = self._matcher.index, self._matcher.thresholds
        faces = [np.stack(found) for one in self._wanted if (found := index.embeddings(one))]
        if not self._places or not faces or index.references > sum(map(len, faces)):
            return None
        templates = [template(some)[None] for some in faces]
        least = min(thresholds.search, thresholds.name_claim)
        return self._places(np.concatenate([*faces, *templates]), index.pack, least)

    def search(self, records: Sequence[Any]) -> list[Suspicion]:
        probed = [(record, one) for record in records if (one := self._open(record)) is not None]
        asked = [_asked(one.upload, b"") for _, one in probed]
        verdicts = self._matcher.verdicts(asked, [one.kept for _, one in probed])
        found = []
        for (record, one), verdict in zip(probed, verdicts, strict=True):
            self._metrics.pictures.labels(verdict.outcome).inc()
            if verdict.findings:
                found.append(Suspicion(one.upload, one.upload.image, verdict, record.timestamp / 1000))
        return found

    def _open(self, record: Any) -> Probed | None:
        try:
            probed = open_probe(record.value, self._keys)
        except ProbeExpired:
            self._metrics.pictures.labels("expired").inc()
        except ProbeUnreadable:
            self._metrics.pictures.labels("unreadable").inc()
        else:
            if probed.kept.pack == self._matcher.index.pack:
                return probed
            self._metrics.pictures.labels("other_pack").inc()
        return None


def _asked(upload: AvatarUploaded, picture: bytes) -> Upload:
    profile = upload.profile or Profile()
    return Upload(picture, upload.account_id, profile.display_name, profile.handle)
