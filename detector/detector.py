"""The one front door: a picture in, a verdict out.

look (decode, fingerprint, faces, embeddings) -> match (search, evidence, judgement) -> read marks,
if there is a finding.
Pictures are looked at side by side; what has been seen within a moment is matched together.
"""

import contextlib
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from threadpoolctl import threadpool_limits

from detector.engine import FaceEngine
from detector.index import GalleryIndex
from detector.judgement import foreign_watermark
from detector.looking import InThreads, Looking, rejected
from detector.matching import Matcher
from detector.picture import PictureRejected
from detector.policy import Policy, Thresholds
from detector.probing import Probes, Seen, screening_failed
from detector.searchable import SearchableGallery
from detector.verdict import ForeignText, Upload, Verdict
from detector.watermark import TextLine, foreign_handles

log = logging.getLogger("likeness.detector")
TOGETHER = 64
"""Pictures that are matched at once, at most."""
WORTH_WAITING = 4
"""Pictures that are waited for, to be matched together: four cost together what one and a half cost alone."""
GATHER_SECONDS = 0.02
"""How long a picture that was looked at waits for others, while others are being looked at."""

Reading = Literal["never", "findings", "all"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class _Screened:
    """An upload that was looked at, and the verdict that somebody waits for."""

    upload: Upload
    seen: "Future[Seen]"
    verdict: "Future[Verdict]"


class Detector:
    """Screens pictures against a gallery; safe to call from several threads."""

    def __init__(
        self,
        matcher: Matcher,
        looking: Looking,
        *,
        reading: Reading = "never",
        most_readings: int | None = None,
        shadow: Matcher | None = None,
    ) -> None:
        """`reading`: of which pictures text is read; beyond `most_readings` that wait for it, it is not. `shadow`: its
        verdicts on the same pictures are told, too, and change nothing; if of another model pack, `looking` must look
        with that one, too. All are closed with this."""
        self.shadow = shadow
        self._matcher = matcher
        self._looking = looking
        self._read = reading
        self._readings = None if most_readings is None else threading.Semaphore(most_readings)
        # Pictures side by side keep the cores busy; BLAS's own threads would spin beside them and halve their speed.
        threadpool_limits(limits=1, user_api="blas")
        self._seen: queue.SimpleQueue[_Screened | None] = queue.SimpleQueue()
        self._under_way = set[Future[Seen]]()
        self._thread = threading.Thread(target=self._match, name="matching", daemon=True)
        self._thread.start()

    @property
    def index(self) -> SearchableGallery:
        return self._matcher.index

    @property
    def policy(self) -> Policy:
        return self._matcher.policy

    @property
    def thresholds(self) -> Thresholds:
        """Those in force for the gallery as it is."""
        return self._matcher.thresholds

    @property
    def indexes(self) -> list[GalleryIndex]:
        """Those in memory, which must follow the gallery: this detector's, and its shadow's if that has its own."""
        asked = [self.index, *([self.shadow.index] if self.shadow else [])]
        return [index for index in dict.fromkeys(asked) if isinstance(index, GalleryIndex)]

    def submit(self, upload: Upload) -> "Future[Verdict]":
        """The verdict to come; whatever the picture is, it has one. Never blocks. Can be cancelled until the picture
        has been looked at."""
        seen = self._looking.look(upload.picture)
        verdict: Future[Verdict] = Future()
        # Nothing leads back from what was seen: in a cycle its pixels would stay until the garbage collector comes.
        looked = weakref.ref(seen)
        verdict.add_done_callback(lambda done: done.cancelled() and (under_way := looked()) and under_way.cancel())
        kept = upload if self._read != "never" else replace(upload, picture=b"")
        self._under_way.add(seen)

        def tell(done: "Future[Seen]") -> None:
            self._under_way.discard(done)
            self._seen.put(_Screened(kept, done, verdict))

        seen.add_done_callback(tell)
        return verdict

    def screen(
        self,
        picture: bytes,
        account_id: str | None = None,
        *,
        display_name: str | None = None,
        handle: str | None = None,
    ) -> Verdict:
        """The verdict on one picture's bytes. A hostile or broken picture gives `unscreenable`, never an exception."""
        return self.submit(Upload(picture, account_id, display_name, handle)).result()

    def screen_batch(self, uploads: Iterable[Upload]) -> list[Verdict]:
        """The verdicts on several pictures, in their order."""
        return [verdict.result() for verdict in [self.submit(upload) for upload in uploads]]

    def close(self) -> None:
        """Ends with what is under way; what waits is cancelled."""
        self._looking.close()
        self._seen.put(None)
        self._thread.join()
        self._matcher.close()
        if self.shadow is not None:
            self.shadow.close()

    # For trusted hands, whose pictures are looked at in this process: enrolment, evaluation.

    @property
    def engine(self) -> FaceEngine:
        return self._in_threads.prober.engine

    def probe(self, picture: bytes) -> Probes:
        """The faces of a picture, their embeddings and its fingerprint, compared with nothing. Raises
        PictureRejected."""
        return self._in_threads.prober.probe(picture)

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`work` on each of `items`, one on each core, results in their order."""
        return self._in_threads.pool.map(work, items)

    @property
    def _in_threads(self) -> InThreads:
        if not isinstance(self._looking, InThreads):
            raise TypeError("this detector's models are loaded in worker processes")
        return self._looking

    def _match(self) -> None:
        """Match what has been seen, several at once."""
        while (first := self._seen.get()) is not None:
            together = [first]
            with contextlib.suppress(queue.Empty):
                until = time.monotonic() + GATHER_SECONDS
                while len(together) < TOGETHER:
                    wait = until - time.monotonic() if self._under_way and len(together) < WORTH_WAITING else 0.0
                    if (another := self._seen.get(timeout=max(0.0, wait))) is None:
                        self._seen.put(None)
                        break
                    together.append(another)
            wanted = [one for one in together if _was_seen(one)]
            try:
                verdicts = self._verdicts([one.upload for one in wanted], [_seen(one) for one in wanted])
                for one, verdict in zip(wanted, verdicts, strict=True):
                    self._finish(one, verdict)
            except Exception as error:  # the callers' to judge: each of them waits
                for one in wanted:
                    if not one.verdict.done():
                        one.verdict.set_exception(error)

    def _verdicts(self, uploads: Sequence[Upload], seen: Sequence[Seen]) -> list[Verdict]:
        verdicts = self._matcher.verdicts(uploads, [one.probes for one in seen])
        if self.shadow is None:
            return verdicts
        try:
            beside = self.shadow.verdicts(uploads, [one.beside or one.probes for one in seen])
        except Exception:  # a policy on trial must not disturb the one in force
            log.exception("The shadow policy failed on a batch.")
            return verdicts
        return [replace(verdict, shadow=other) for verdict, other in zip(verdicts, beside, strict=True)]

    def _finish(self, one: _Screened, verdict: Verdict) -> None:
        """Tell the verdict, once the marks of others in the picture are read if they are wanted."""
        probes = _seen(one).probes
        wanted = self._read == "all" or (self._read == "findings" and verdict.findings)
        if not wanted or isinstance(probes, PictureRejected):
            one.verdict.set_result(verdict)
            return
        if self._readings is not None and not self._readings.acquire(blocking=False):
            log.warning("The text in a picture is not read: too many wait for it.")
            one.verdict.set_result(verdict)
            return
        started = time.perf_counter()
        lines = self._looking.read(one.upload.picture)
        scale = probes.picture.scale

        def tell(done: "Future[list[TextLine]]") -> None:
            if self._readings is not None:
                self._readings.release()
            milliseconds = {**verdict.milliseconds, "read": 1e3 * (time.perf_counter() - started)}
            told = replace(verdict, milliseconds=milliseconds)
            one.verdict.set_result(_with_marks(told, one.upload, done, scale))

        lines.add_done_callback(tell)


def _was_seen(one: _Screened) -> bool:
    """Whether there is something to match; if not, and somebody waits for it, they are told."""
    if one.seen.cancelled():
        one.verdict.cancel()
    if not one.verdict.set_running_or_notify_cancel():
        return False
    if (error := one.seen.exception()) is not None and rejected(error) is None:
        one.verdict.set_exception(error)
        return False
    return True


def _seen(one: _Screened) -> Seen:
    error = one.seen.exception()
    return one.seen.result() if error is None else Seen(rejected(error) or screening_failed(error))


def _with_marks(verdict: Verdict, upload: Upload, lines: "Future[list[TextLine]]", scale: float) -> Verdict:
    """The verdict with the marks of others added that were read in the picture."""
    if lines.cancelled():  # the detector is being closed
        return verdict
    if (error := lines.exception()) is not None:
        log.error("The text in a picture could not be read: %r", error)
        return verdict
    marks = foreign_handles(lines.result(), upload.handle, upload.display_name)
    added = tuple(foreign_watermark(_as_uploaded(mark, scale)) for mark in marks)
    return replace(
        verdict,
        outcome="review" if added else verdict.outcome,
        findings=tuple(sorted((*verdict.findings, *added), key=lambda finding: -finding.priority)),
    )


def _as_uploaded(mark: ForeignText, scale: float) -> ForeignText:
    """The mark with its box in pixels of the picture as uploaded."""
    x, y, width, height = mark.box
    return replace(mark, box=(x / scale, y / scale, width / scale, height / scale))
