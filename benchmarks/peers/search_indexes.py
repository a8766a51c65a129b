"""The indexes that people search vectors with, behind one call: probes in, the number of each one's nearest row out.

Made once and written to a file, then loaded for each turn. Whatever is approximate has an effort that trades time for
misses. Vectors are unit length: inner product is cosine.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]
STEP = 100_000
"""Vectors that are added at once."""


class Index(ABC):
    """One index of (N, D) vectors, searched with `threads`."""

    module: str
    """Imported at once, so that its own memory is not taken for the index's."""
    efforts: tuple[int, ...] = (0,)
    """What may be tried, least first; exact indexes have but one."""

    def __init__(self, settings: Mapping[str, Any], threads: int) -> None:
        self.settings, self.threads = settings, threads
        self.library: Any = importlib.import_module(self.module)

    @abstractmethod
    def build(self, vectors: Vectors, file: Path) -> None:
        """Of `vectors`, a memory map; written to `file`."""

    @abstractmethod
    def load(self, file: Path) -> None: ...

    @abstractmethod
    def search(self, probes: Vectors, effort: int) -> Numbers:
        """The row nearest to each of (P, D) probes; -1 for none."""


class Numpy(Index):
    """One matrix product."""

    module = "numpy"

    def build(self, vectors: Vectors, file: Path) -> None:
        np.save(file.with_suffix(".npy"), vectors)
        file.with_suffix(".npy").rename(file)

    def load(self, file: Path) -> None:
        self._matrix = np.load(file)

    def search(self, probes: Vectors, effort: int) -> Numbers:
        return np.asarray((probes @ self._matrix.T).argmax(axis=1), np.int64)


class Faiss(Index):
    """`factory`: as faiss.index_factory reads it; `effort`: the name of its parameter that trades time for misses."""

    module = "faiss"

    def __init__(self, settings: Mapping[str, Any], threads: int) -> None:
        super().__init__(settings, threads)
        self.efforts = tuple(settings.get("efforts", (0,)))

    def build(self, vectors: Vectors, file: Path) -> None:
        faiss = self.library
        faiss.omp_set_num_threads(self.threads)
        index = faiss.index_factory(vectors.shape[1], self.settings["factory"], faiss.METRIC_INNER_PRODUCT)
        for name, value in self.settings.get("building", {}).items():
            faiss.ParameterSpace().set_index_parameter(index, name, value)
        if not index.is_trained:
            index.train(np.array(vectors[:STEP]))
        for start in range(0, len(vectors), STEP):
            index.add(np.array(vectors[start : start + STEP]))
        faiss.write_index(index, str(file))

    def load(self, file: Path) -> None:
        faiss = self.library
        faiss.omp_set_num_threads(self.threads)
        self._index, self._space = faiss.read_index(str(file)), faiss.ParameterSpace()

    def search(self, probes: Vectors, effort: int) -> Numbers:
        if effort:
            self._space.set_index_parameter(self._index, self.settings["effort"], effort)
        return np.asarray(self._index.search(probes, 1)[1][:, 0], np.int64)


class UsearchExact(Index):
    """USearch's exhaustive search; `dtype`: what the rows are kept as."""

    module = "usearch.index"

    def build(self, vectors: Vectors, file: Path) -> None:
        np.save(file.with_suffix(".npy"), self._kept(np.asarray(vectors)))
        file.with_suffix(".npy").rename(file)

    def load(self, file: Path) -> None:
        self._rows = np.load(file)

    def search(self, probes: Vectors, effort: int) -> Numbers:
        cosine, probes_kept = self.library.MetricKind.Cos, self._kept(probes)
        found = self.library.search(self._rows, probes_kept, 1, cosine, exact=True, threads=self.threads)
        return np.asarray(found.keys, np.int64).reshape(len(probes))

    def _kept(self, vectors: Vectors) -> NDArray[Any]:
        return _eight_bits(vectors) if self.settings["dtype"] == "i8" else vectors


def _eight_bits(vectors: Vectors) -> NDArray[np.int8]:
    """Each row scaled to use all 8 bits, which a cosine does not mind; USearch's own cast uses four or five of them."""
    return np.asarray(np.rint(vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))), np.int8)


class UsearchGraph(Index):
    """USearch's HNSW; `dtype`: what the rows are kept as."""

    module = "usearch.index"
    efforts = (32, 64, 128, 256, 512, 1024)

    def build(self, vectors: Vectors, file: Path) -> None:
        index = self._empty(vectors.shape[1])
        for start in range(0, len(vectors), STEP):
            rows = np.array(vectors[start : start + STEP])
            index.add(np.arange(start, start + len(rows)), self._kept(rows), threads=self.threads)
        index.save(str(file))

    def load(self, file: Path) -> None:
        self._index = self.library.Index.restore(str(file))

    def search(self, probes: Vectors, effort: int) -> Numbers:
        self._index.expansion_search = effort
        found = self._index.search(self._kept(probes), 1, threads=min(self.threads, len(probes)))
        return np.asarray(found.keys, np.int64).reshape(len(probes))

    def _kept(self, vectors: Vectors) -> NDArray[Any]:
        return _eight_bits(vectors) if self.settings["dtype"] == "i8" else vectors

    def _empty(self, dimension: int) -> Any:
        return self.library.Index(
            ndim=dimension,
            metric="cos",
            dtype=self.settings["dtype"],
            connectivity=self.settings["connectivity"],
            expansion_add=self.settings["expansion_add"],
        )


class Hnswlib(Index):
    """hnswlib's HNSW."""

    module = "hnswlib"
    efforts = (32, 64, 128, 256, 512, 1024)

    def build(self, vectors: Vectors, file: Path) -> None:
        index = self.library.Index(space="ip", dim=vectors.shape[1])
        index.init_index(len(vectors), M=self.settings["M"], ef_construction=self.settings["ef_construction"])
        for start in range(0, len(vectors), STEP):
            rows = np.array(vectors[start : start + STEP])
            index.add_items(rows, np.arange(start, start + len(rows)), num_threads=self.threads)
        index.save_index(str(file))

    def load(self, file: Path) -> None:
        self._index = self.library.Index(space="ip", dim=self.settings["dimension"])
        self._index.load_index(str(file))

    def search(self, probes: Vectors, effort: int) -> Numbers:
        self._index.set_ef(effort)
        return np.asarray(self._index.knn_query(probes, 1, num_threads=self.threads)[0][:, 0], np.int64)


class Likeness(Index):
    """What Likeness keeps its gallery in: everything above the threshold is found, exactly."""

    module = "detector.vectors"

    def build(self, vectors: Vectors, file: Path) -> None:
        self._fill(vectors)
        np.save(file.with_suffix(".npy"), vectors)
        file.with_suffix(".npy").rename(file)

    def load(self, file: Path) -> None:
        self._fill(np.load(file, mmap_mode="r"))

    def search(self, probes: Vectors, effort: int) -> Numbers:
        rows = self._vectors.near(probes, self.settings["threshold"])
        if not len(rows):
            return np.full(len(probes), -1)
        similarities = probes @ self._vectors.get(rows).T
        return np.where(similarities.max(axis=1) >= self.settings["threshold"], rows[similarities.argmax(axis=1)], -1)

    def _fill(self, vectors: Vectors) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=1, user_api="blas")  # as the detector does
        self._vectors = self.library.Vectors(vectors.shape[1], self.threads)
        for start in range(0, len(vectors), STEP):
            rows = np.array(vectors[start : start + STEP])
            self._vectors.set(np.arange(start, start + len(rows)), rows)


INDEXES: dict[str, type[Index]] = {
    "likeness": Likeness,
    "numpy": Numpy,
    "faiss": Faiss,
    "usearch exact": UsearchExact,
    "usearch": UsearchGraph,
    "hnswlib": Hnswlib,
}
