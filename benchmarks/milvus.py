"""What Milvus's kinds of index miss of what exact search finds, by their parameters.

    python -m benchmarks.milvus --rows 100000      # minutes; writes benchmarks/results/milvus.json

The faces are drawn evenly from the sphere, the hardest case for an index: nothing lies in clusters. A probe is a person
of the gallery on another photo, by a cosine as SFace has between photos of one person on LFW. The indexes are FAISS's,
built as Milvus Lite builds them, which has them from there; Lite itself is Python, and slow.
"""

import argparse
import time
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.results import write_results
from config import load_settings
from consumers.milvus.store import FIRST
from consumers.milvus.turning import Turning

DIMENSION = 128
SAME_PERSON = (0.66, 0.13)
"""Mean and deviation of the cosine between two photos of one person."""
LEAST = 0.45
"""The lowest cosine worth finding in a gallery of this size: a runner-up's."""
EF, NPROBE = (64, 128, 256, 512), (64, 256, 512)
Vectors = NDArray[np.float32]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--probes", type=int, default=6_000)
    chosen = options.parse_args()
    milvus = load_settings().milvus
    rows = Turning(bytes(32)).vectors(people(chosen.rows))
    probes = photos(rows, chosen.probes)
    started = time.perf_counter()
    best = np.concatenate([(probes[at : at + 128] @ rows.T).max(1) for at in range(0, len(probes), 128)])
    found = [entry("FLAT", {}, started, len(probes), 0.0)]
    graph = faiss.IndexHNSWFlat(DIMENSION, milvus.hnsw_m, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = milvus.hnsw_ef_construction
    graph.add(rows)
    groups = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIMENSION), DIMENSION, milvus.ivf_nlist, faiss.METRIC_INNER_PRODUCT)
    groups.train(rows)
    groups.add(rows)
    for ef in EF:
        graph.hnsw.efSearch = ef
        found.append(searched("HNSW", {"hnsw_ef": ef}, graph, probes, best))
    for nprobe in NPROBE:
        groups.nprobe = nprobe
        found.append(searched("IVF_FLAT", {"ivf_nprobe": nprobe}, groups, probes, best))
    write_results("milvus", {"rows": len(rows), "searches": found}, ("pymilvus", "milvus-lite", "faiss-cpu"))


def people(count: int) -> Vectors:
    """(N, 128) float32 unit vectors."""
    drawn = np.random.default_rng(7).standard_normal((count, DIMENSION), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def photos(rows: Vectors, count: int) -> Vectors:
    """Other photos of people of `rows`, (P, 128)."""
    random = np.random.default_rng(8)
    owners = random.choice(len(rows), count, replace=False)
    cosines = np.clip(random.normal(*SAME_PERSON, count), LEAST, 0.99).astype(np.float32)[:, None]
    away = random.standard_normal((count, DIMENSION)).astype(np.float32)
    away -= (away * rows[owners]).sum(1, keepdims=True) * rows[owners]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return np.asarray(cosines * rows[owners] + np.sqrt(1 - cosines**2) * away, np.float32)


def searched(kind: str, params: dict[str, int], index: Any, probes: Vectors, best: Vectors) -> dict[str, Any]:
    """best: of each probe the cosine to the nearest row."""
    started = time.perf_counter()
    similar, _ = index.search(probes, FIRST)
    return entry(kind, params, started, len(probes), float(np.mean(similar[:, 0] < best - 1e-5)))


def entry(kind: str, params: dict[str, int], started: float, probes: int, missed: float) -> dict[str, Any]:
    """One line of the results, which is printed, too."""
    milliseconds = round(1e3 * (time.perf_counter() - started) / probes, 2)
    one = {"index": kind, **params, "probes": probes, "people_missed": round(missed, 4), "probe_ms": milliseconds}
    print(one, flush=True)
    return one


if __name__ == "__main__":
    main()
