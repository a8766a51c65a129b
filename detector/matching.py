"""What the gallery says of pictures that were looked at: search, evidence, judgement, verdict."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from detector.evidence import gather
from detector.judgement import judge
from detector.picture import PictureRejected
from detector.policy import Policy, Thresholds
from detector.probing import Probes, screening_failed
from detector.searchable import Found, Query, SearchableGallery
from detector.verdict import KeptProbes, Upload, Verdict


class Matcher:
    """Compares with one gallery by one policy."""

    def __init__(self, index: SearchableGallery, policy: Policy, threads: int = 0, *, keep: bool = False) -> None:
        """`threads`: pictures whose evidence is gathered at the same time, 0 = one per core. `keep`: verdicts have what
        may be kept of the faces."""
        self.index = index
        self.policy = policy
        self.others = 0
        """Comparisons with who is in the gallery and not in this index: thresholds are those of the whole gallery."""
        self._keep = keep
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="match")

    @property
    def thresholds(self) -> Thresholds:
        """Those in force for the gallery as it is."""
        return self.policy.at(self.index.comparisons + self.others)

    def verdicts(
        self, uploads: Sequence[Upload], probed: Sequence[Probes | KeptProbes | PictureRejected]
    ) -> list[Verdict]:
        """The verdicts on several pictures, in their order, all by one version of the gallery."""
        started = time.perf_counter()
        queries = [
            Query(probes.embeddings, probes.hashes, upload.display_name, upload.handle)
            for upload, probes in zip(uploads, probed, strict=True)
            if not isinstance(probes, PictureRejected)
        ]
        others = self.others
        answers, version, references = self.index.look_up(queries, lambda count: self.policy.at(count + others).search)
        thresholds = self.policy.at(references + others)
        match_ms = 1e3 * (time.perf_counter() - started) / max(1, len(uploads))
        answered = iter(answers)
        found = [None if isinstance(probes, PictureRejected) else next(answered) for probes in probed]

        def verdict(upload: Upload, probes: Probes | KeptProbes | PictureRejected, answer: Found | None) -> Verdict:
            if answer is None or isinstance(probes, PictureRejected):
                assert isinstance(probes, PictureRejected)
                return self._unscreenable(probes, thresholds, version)
            try:
                return self._verdict(upload, probes, answer, thresholds, version, match_ms)
            except Exception as error:  # whatever evidence was never met before: the rest must flow on
                return self._unscreenable(screening_failed(error), thresholds, version)

        # Side by side: whether a face is a reference's very pixels takes a core 15 ms for each reference.
        side_by_side = self._pool.map if len(uploads) > 1 else map
        return list(side_by_side(verdict, uploads, probed, found))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _verdict(
        self,
        upload: Upload,
        probes: Probes | KeptProbes,
        found: Found,
        thresholds: Thresholds,
        version: int,
        match_ms: float,
    ) -> Verdict:
        started = time.perf_counter()
        seen = probes if isinstance(probes, Probes) else None
        picture, size = (probes.picture, probes.picture) if isinstance(probes, Probes) else (None, probes)
        evidence = gather(picture, probes.faces, probes.hashes, found, self.policy, thresholds)
        findings, silenced = judge(evidence, upload.account_id, self.policy, thresholds)
        judge_ms = 1e3 * (time.perf_counter() - started)
        return Verdict(
            outcome="review" if findings else "clear" if probes.faces else "no_face",
            findings=findings,
            silenced=silenced,
            faces=probes.faces,
            faces_left_out=seen.left_out if seen else 0,
            pack=self.index.pack,
            threshold=thresholds.review,
            sure=thresholds.sure,
            gallery_version=version,
            width=size.width,
            height=size.height,
            milliseconds={**(seen.milliseconds if seen else {}), "match": match_ms, "judge": judge_ms},
            kept=self._kept(seen) if seen and seen.faces and self._keep else None,
        )

    def _kept(self, seen: Probes) -> KeptProbes:
        size = seen.picture
        return KeptProbes(seen.faces, seen.embeddings, seen.hashes, size.width, size.height, self.index.pack)

    def _unscreenable(self, rejected: PictureRejected, thresholds: Thresholds, version: int) -> Verdict:
        return Verdict(
            outcome="unscreenable",
            findings=(),
            silenced=(),
            faces=(),
            faces_left_out=0,
            pack=self.index.pack,
            threshold=thresholds.review,
            sure=thresholds.sure,
            gallery_version=version,
            reason=rejected.reason,
            detail=rejected.detail,
        )
