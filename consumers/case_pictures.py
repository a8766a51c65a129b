"""What a case shows: the avatar of a review as JPEG, where its faces lie, and where those of the references lie.

1. get the bytes: inline, by URL, or from where the upload stands in Kafka  2. look at them in a worker process, where
hostile bytes stay  3. encode anew what came back, which is plain pixels.
"""

import io
import re
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

from kafka.errors import AuthorizationError
from PIL import Image as Pillow

from config import Settings
from consumers.fetch import FetchRefused, PictureFetcher
from consumers.kafka import make_consumer
from consumers.messages import Image, ImpersonationSuspected, MessageRejected, inline_bytes, read_upload
from consumers.patient_fetch import PATIENCE_SECONDS, PatientFetcher
from consumers.places import Place, read_places
from detector.fingerprint import hashes_to_search
from detector.looking import InProcesses, rejected
from detector.picture import PictureRejected
from detector.probing import Probes, Seen
from detector.verdict import Face
from detector.worker_pool import WorkerCrashed, WorkerTimeout
from records.casework.cases import CasePicture
from records.errors import UnknownReference
from records.gallery import GalleryRecords

LONGEST_SIDE = 1600
JPEG_QUALITY = 88
REFERENCES_KEPT = 1_000
_PLACE = re.compile(r"kafka://([^/]+)/([0-9]+)/([0-9]+)")


class PictureMissing(Exception):
    """The review's picture cannot be shown. `reason`: a code of docs/messages.md's table, or `gone`, when its upload
    stands in Kafka no more; `detail`: one sentence for the operator."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CasePictures:
    """Makes the pictures of cases, one at a time. Close it."""

    def __init__(
        self,
        settings: Settings,
        looking: InProcesses,
        gallery: GalleryRecords,
        stop: threading.Event,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`patience`: see patient_fetch.py. Raises SettingsError for [fetch] that cannot be."""
        self._settings = settings
        self._looking = looking
        self._gallery = gallery
        fetcher = PictureFetcher(settings.fetch, settings.pictures.max_bytes)
        self._fetcher = PatientFetcher(fetcher, stop, patience=patience)
        self._reference_faces: OrderedDict[str, dict[str, Any] | None] = OrderedDict()

    def close(self) -> None:
        self._fetcher.close()

    def make(self, review: ImpersonationSuspected) -> CasePicture:
        """The avatar, upright, its longest side LONGEST_SIDE at most, and the faces, in pixels of what is stored.

        Raises PictureMissing; DatabaseAway, BrokerAway, KafkaError or WorkersBroken, when it should be tried again.
        """
        try:
            probes = self._look(self._bytes(review))
        except (FetchRefused, MessageRejected, PictureRejected) as error:
            raise PictureMissing(error.reason, error.detail) from None
        image = Pillow.fromarray(probes.picture.pixels)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=JPEG_QUALITY)
        scale = image.width / probes.picture.width
        found = {finding.reference_id for finding in review.findings if finding.reference_id is not None}
        references = {one: face for one in sorted(found) if (face := self._face_of_reference(one)) is not None}
        faces = {"avatar": [_drawn(face, scale) for face in probes.faces], "references": references}
        turns = hashes_to_search(probes.picture.pixels).tobytes()
        return CasePicture(encoded.getvalue(), faces, turns)

    def _bytes(self, review: ImpersonationSuspected) -> bytes:
        place = _PLACE.fullmatch(review.image.url or "")
        if place is None:
            return self._bytes_of(review.image)
        try:
            record = self._record_at(Place(place[1], int(place[2]), int(place[3])))
        except AuthorizationError as error:
            raise PictureMissing("gone", f"{place[1]} may not be read: {error}.") from None
        upload = None if record is None else read_upload(record.value)
        # A topic that was made anew counts its offsets anew.
        if upload is None or upload.event_id != review.event_id:
            raise PictureMissing("gone", f"{place[0]} holds the upload no more, or there is no right on that topic.")
        return self._bytes_of(upload.image)

    def _record_at(self, place: Place) -> Any:
        consumer = make_consumer(self._settings.kafka)
        try:
            ((_, record),) = read_places(consumer, [place])
        finally:
            consumer.close()
        return record

    def _bytes_of(self, image: Image) -> bytes:
        return inline_bytes(image) if image.url is None else self._fetcher.fetch(image.url)

    def _look(self, picture: bytes) -> Probes:
        """Raises PictureRejected, WorkersBroken."""
        looked: Future[Seen] = self._looking.show(picture)
        try:
            probes = looked.result().probes
        except (WorkerCrashed, WorkerTimeout) as error:
            raise rejected(error) or error from None
        if isinstance(probes, PictureRejected):
            raise probes
        return probes

    def _face_of_reference(self, reference_id: str) -> dict[str, Any] | None:
        """Of the person that the photo is of; None where the photo was erased meanwhile, or no face is found."""
        try:
            photo = self._gallery.reference_photo(reference_id)
        except UnknownReference:
            self._reference_faces.pop(reference_id, None)
            return None
        if reference_id not in self._reference_faces:
            try:
                probes = self._look(photo)
            except PictureRejected:
                return None
            self._reference_faces[reference_id] = _drawn(probes.faces[probes.subject], 1.0) if probes.faces else None
            if len(self._reference_faces) > REFERENCES_KEPT:
                self._reference_faces.popitem(last=False)
        self._reference_faces.move_to_end(reference_id)
        return self._reference_faces[reference_id]


def _drawn(face: Face, scale: float) -> dict[str, Any]:
    """Box and landmarks in pixels of the picture scaled by `scale`."""
    return {
        "box": [round(scale * value, 1) for value in face.box],
        "landmarks": [[round(scale * x, 1), round(scale * y, 1)] for x, y in face.landmarks],
    }
