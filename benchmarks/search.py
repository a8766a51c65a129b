"""How fast, how exact and how large the search in memory is: `python -m benchmarks.search`.

A thread changes 100 identities a second while batches of probes are searched: in galleries of random unit vectors,
where nobody is like anybody, and of clusters, five references at cosine 0.6 around each identity. The largest gallery
is searched for pictures and names, too. Results: benchmarks/results/search.json.
"""

import gc
import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.results import write_results
from detector import GalleryIndex
from detector.engine import unit_vectors
from detector.identity import Fingerprint, Identity, Reference
from detector.searchable import Query
from likeness.console import err, out

PACK, DIMENSION = "opencv-zoo@1", 128
SIZES = (10_000, 100_000, 1_000_000)
BATCHES = (1, 32)
ROUNDS = 120
THRESHOLD = 0.45
"""Of clusters and of random vectors alike: what a gallery of many is searched at."""
TOP_PROBES = 256
AROUND = 0.6
CHANGES_A_SECOND = 100
AT_ONCE = 4_000


def main() -> None:
    galleries = []
    for size in SIZES:
        for kind, people, each in (("random", size, 1), ("clusters", size // 5, 5)):
            err.print(f"{size:,} references of {people:,} identities ...")
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:  # so that its memory is its own
                figures = alone.submit(_measure, people, each).result()
            galleries.append({"kind": kind, "references": size, "identities": people, **figures})
    path = write_results("search", {"threshold": THRESHOLD, "galleries": galleries})
    _print(galleries)
    err.print(f"Written to {path}.")


def _measure(people: int, each: int) -> dict[str, Any]:
    threadpool_limits(limits=1, user_api="blas")  # as the detector does
    before = _memory()
    index = GalleryIndex(PACK, DIMENSION)
    drawn = np.random.default_rng(people)
    identities = make_people(drawn, people, each)
    brute_force, taking = None, 0.0
    while some := list(islice(identities, AT_ONCE // each)):
        brute_force = brute_force or BruteForce(_probes(drawn, some))
        brute_force.look_at(some)
        started = time.perf_counter()
        index.apply_all(some)
        taking += time.perf_counter() - started
    assert brute_force is not None
    del some
    gc.collect()
    figures: dict[str, Any] = {
        "comparisons": index.comparisons,
        "apply_us_per_identity": round(1e6 * taking / people, 1),
        "bytes_per_reference": round((_memory() - before) / (people * each)),
        "recall_of_the_nearest": brute_force.recall(index),
    }
    with _changes(index, people, each):
        for batch in BATCHES:
            figures[f"ms_per_probe_in_batches_of_{batch}"] = _search_times(index, drawn, batch)
        figures["ms_per_avatar_pictures"] = _picture_times(index, drawn)
        figures["ms_per_avatar_names"] = _name_times(index, drawn)
    return figures


def _probes(drawn: np.random.Generator, people: Sequence[Identity]) -> NDArray[np.float32]:
    """Strangers, and as many new looks at some of `people`."""
    strangers = unit_vectors(drawn.standard_normal((TOP_PROBES // 2, DIMENSION), np.float32))
    looks = [_around(drawn, one.references[0].embeddings[PACK], 2)[:1] for one in people[: TOP_PROBES // 2]]
    return np.concatenate([strangers, *looks])


def make_people(drawn: np.random.Generator, people: int, each: int) -> Iterator[Identity]:
    """People with `each` references at a cosine of about AROUND to one another's middle; random ones if only one."""
    for first in range(0, people, 1000):
        centres = unit_vectors(drawn.standard_normal((min(1000, people - first), DIMENSION), np.float32))
        for number, centre in enumerate(centres, first):
            yield person(drawn, number, number + 1, _around(drawn, centre, each))


def person(drawn: np.random.Generator, number: int, sequence: int, vectors: NDArray[np.float32]) -> Identity:
    references = tuple(
        Reference(f"ref_{drawn.bytes(16).hex()}", {PACK: vector}, _fingerprint(drawn.bytes(64))) for vector in vectors
    )
    return Identity(f"idn_{number:032x}", name_of(number), "victim", sequence, frozenset([f"{number}"]), references)


def name_of(number: int) -> str:
    syllables = ("an", "be", "ro", "mi", "ka", "lo", "te", "so", "vi", "el", "da", "nu", "sa", "go", "pe", "to")
    given, family = divmod(number * 7919 % 2**24, 2**12)
    return " ".join("".join(syllables[part >> shift & 15] for shift in (0, 4, 8)).title() for part in (given, family))


def _around(drawn: np.random.Generator, centre: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if count == 1:
        return centre[None]
    aside = unit_vectors(drawn.standard_normal((count, DIMENSION), np.float32))
    return unit_vectors(AROUND * centre + np.sqrt(1 - AROUND**2) * aside)


def _fingerprint(random: bytes) -> Fingerprint:
    return Fingerprint(random[:32], 100, random[32:], 640, 480, (100.0, 80.0, 200.0, 220.0))


@contextmanager
def _changes(index: GalleryIndex, people: int, each: int) -> Iterator[None]:
    """Somebody's state changes a hundred times a second: mostly new references, every tenth is removed."""
    ended = threading.Event()

    def write() -> None:
        drawn, sequence, next_at = np.random.default_rng(0), index.version, time.perf_counter()
        while not ended.is_set():
            sequence += 1
            number = int(drawn.integers(people))
            if sequence % 10:
                centre = unit_vectors(drawn.standard_normal((1, DIMENSION), np.float32))[0]
                index.apply(person(drawn, number, sequence, _around(drawn, centre, each)))
            else:
                index.remove(f"idn_{number:032x}", sequence)
            next_at += 1 / CHANGES_A_SECOND
            ended.wait(max(0.0, next_at - time.perf_counter()))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def _search_times(index: GalleryIndex, drawn: np.random.Generator, batch: int) -> dict[str, float]:
    """Half of the probes are of somebody in the gallery."""
    times = []
    for _ in range(ROUNDS + 5):
        probes = unit_vectors(drawn.standard_normal((batch, DIMENSION), np.float32))
        for place in range(0, batch, 2):
            known = index.embeddings(f"idn_{int(drawn.integers(index.identities)):032x}")
            if known:
                probes[place] = _around(drawn, known[0], 2)[0]
        started = time.perf_counter()
        index.search(probes, THRESHOLD)
        times.append(1e3 * (time.perf_counter() - started) / batch)
    return _percentiles(times[5:])


def _picture_times(index: GalleryIndex, drawn: np.random.Generator) -> dict[str, float]:
    no_face = np.empty((0, DIMENSION), np.float32)
    queries = [Query(no_face, drawn.integers(0, 2**64, (8, 4), np.uint64)) for _ in range(ROUNDS + 1)]
    index.look_up(queries[:1], lambda count: THRESHOLD)
    time.sleep(2)  # the first search has the rows filed
    times = []
    for query in queries[1:]:
        started = time.perf_counter()
        index.look_up([query], lambda count: THRESHOLD)
        times.append(1e3 * (time.perf_counter() - started))
    return _percentiles(times)


def _name_times(index: GalleryIndex, drawn: np.random.Generator) -> dict[str, float]:
    times = []
    for number in drawn.integers(2**20, size=ROUNDS).tolist():
        name = name_of(number)
        started = time.perf_counter()
        index._names.claimed(f"the real {name} fan", f"{name.replace(' ', '_').lower()}99")
        times.append(1e3 * (time.perf_counter() - started))
    return _percentiles(times)


class BruteForce:
    """Who is nearest to each of some probes by float64, references and templates alike, found while people are made."""

    def __init__(self, probes: NDArray[np.float32]) -> None:
        self.probes = probes
        self.best = np.full(len(probes), -2.0)
        self.nearest = np.full(len(probes), "", object)

    def look_at(self, people: Sequence[Identity]) -> None:
        rows, owners = [], []
        for one in people:
            vectors = np.stack([reference.embeddings[PACK] for reference in one.references]).astype(np.float64)
            rows += [vectors, vectors.sum(axis=0, keepdims=True)] if len(vectors) > 1 else [vectors]
            owners += [one.id] * (len(vectors) + (len(vectors) > 1))
        matrix = np.concatenate(rows)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        similarities = self.probes.astype(np.float64) @ matrix.T
        places = similarities.argmax(axis=1)
        similarities = similarities[np.arange(len(self.probes)), places]
        for probe in np.flatnonzero(similarities > self.best).tolist():
            self.best[probe], self.nearest[probe] = similarities[probe], owners[places[probe]]

    def recall(self, index: GalleryIndex) -> float:
        """The share of probes whose nearest the index finds first, searched as low as the farthest of them needs."""
        found, _ = index.search(self.probes, float(self.best.min()) - 1e-4)
        nearest = [matches[0].identity.id if matches else None for matches in found]
        return float(np.mean([one == other for one, other in zip(nearest, self.nearest, strict=True)]))


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(float(np.percentile(times, percent)), 3) for percent in (50, 99)}


def _memory() -> int:
    """Bytes of this process that lie in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _print(galleries: Sequence[dict[str, Any]]) -> None:
    table = Table("gallery", "references", *(f"ms per probe, {batch} at once" for batch in BATCHES), "picture", "name")
    for column in ("recall", "bytes per reference"):
        table.add_column(column)
    for one in galleries:
        named = (*(f"ms_per_probe_in_batches_of_{batch}" for batch in BATCHES), "ms_per_avatar_pictures")
        times = [one[name] for name in (*named, "ms_per_avatar_names")]
        table.add_row(
            one["kind"],
            f"{one['references']:,}",
            *(f"{each['p50']:.2f} (p99 {each['p99']:.2f})" for each in times),
            f"{one['recall_of_the_nearest']:.4f}",
            f"{one['bytes_per_reference']:.0f}",
        )
    out.print(table)


if __name__ == "__main__":
    main()
