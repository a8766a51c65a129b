"""Vectors by the million, searched exactly, in three quarters of the memory that float32 takes.

Each number of a row is 24 bits of a whole number times the row's own step: 8 coarse bits, which every search sweeps
with the processor's 8-bit products (ONNX Runtime's MatMulInteger), and 16 fine bits, read only of rows that the sweep
could not rule out. By how much the coarse product may err is known (Cauchy-Schwarz), so nothing near is ever missed.
Measured over 1,000,000 rows of 128 by benchmarks/search.py.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

BLOCK = 65_536
"""Rows that are swept by one product; memory grows by so many."""
SET_AT_ONCE = 512
"""Rows that are made coarse and fine together: what comes of them in between stays in the processor's cache."""
FINE = 65_536
"""Fine steps in a coarse one."""
MOST = 127 * FINE
"""Fine steps in a row's largest number."""
SLACK = 1e-5
"""Of the lengths multiplied: more than float32's own rounding of an inner product."""

Rows = Sequence[int] | NDArray[np.int64]


@dataclass(slots=True)
class _Block:
    """coarse: (BLOCK, D) uint8, 128 for zero; fine: (BLOCK, D) int16; step: (BLOCK,) float32, 0 for a row of zeros;
    error, length: at most so far, of a row's fine part and of its coarse part."""

    coarse: NDArray[np.uint8]
    fine: NDArray[np.int16]
    step: NDArray[np.float32]
    error: float = 0.0
    length: float = 0.0


class Vectors:
    """Rows of D numbers from 0 on; a row that was never set is zero.

    One thread may write while others sweep: they may then miss what is written meanwhile, and nothing else.
    """

    def __init__(self, dimension: int, threads: int = 0) -> None:
        """`threads`: of one search over several blocks, 0 = one per core."""
        self.dimension = dimension
        self._blocks: list[_Block] = []
        self._end = 0
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="search")

    def __len__(self) -> int:
        """Rows that a search sweeps."""
        return self._end

    def set(self, rows: Rows, vectors: NDArray[np.float32]) -> None:
        """Let `rows` be `vectors`, (K, D) float32, finite."""
        numbers = np.asarray(rows, np.int64)
        for start in range(0, len(numbers), SET_AT_ONCE):
            self._set(numbers[start : start + SET_AT_ONCE], vectors[start : start + SET_AT_ONCE])

    def clear(self, rows: Rows) -> None:
        """Let `rows`, which were set, be zero; nothing of them stays in memory."""
        self.set(rows, np.zeros((len(rows), self.dimension), np.float32))

    def get(self, rows: Rows) -> NDArray[np.float32]:
        """(K, D) float32 of `rows`, which were set."""
        numbers = np.asarray(rows, np.int64)
        found = np.empty((len(numbers), self.dimension), np.float32)
        places = numbers % BLOCK
        for number in np.unique(numbers // BLOCK).tolist():
            block, ours = self._blocks[number], numbers // BLOCK == number
            whole = (block.coarse[places[ours]].astype(np.int32) - 128) * FINE + block.fine[places[ours]]
            found[ours] = whole * block.step[places[ours]][:, None]
        return found

    def near(self, probes: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
        """Every row whose inner product with any of `probes`, (P, D) float32, is at least `threshold`, and some whose
        is a little less."""
        if not len(probes) or not self._end:
            return np.empty(0, np.int64)
        scale = max(float(np.abs(probes).max()) / 127, float(np.finfo(np.float32).tiny))
        codes = np.rint(probes / scale).astype(np.int8)
        error = float(np.linalg.norm(probes - codes * np.float32(scale), axis=1).max())
        length = float(np.linalg.norm(probes, axis=1).max())
        turned = np.ascontiguousarray(codes.T)

        def sweep(number: int) -> NDArray[np.int64]:
            block = self._blocks[number]
            rows = min(BLOCK, self._end - number * BLOCK)
            bound = block.error * (length + error) + block.length * error + SLACK * (block.length + 1) * length
            (best,) = _sweep(self.dimension).run(None, {"rows": block.coarse[:rows], "probes": turned})
            least = (threshold - bound) / (scale * FINE)
            return np.flatnonzero(best * block.step[:rows] >= least) + number * BLOCK

        blocks = range(-(-self._end // BLOCK))
        swept = self._pool.map(sweep, blocks) if len(blocks) > 1 and self._threads > 1 else map(sweep, blocks)
        return np.concatenate(list(swept))

    def _set(self, numbers: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        step = (np.abs(vectors).max(axis=1) / MOST).astype(np.float32)
        whole = np.rint(vectors / np.maximum(step, np.finfo(np.float32).tiny).astype(np.float64)[:, None])
        whole = np.clip(whole, -MOST, MOST).astype(np.int32)
        coarse = (whole + FINE // 2) >> 16
        fine = (whole - (coarse << 16)).astype(np.int16)
        errors = step * np.linalg.norm(fine.astype(np.float32), axis=1)
        lengths = step * FINE * np.linalg.norm(coarse.astype(np.float32), axis=1)
        while len(self._blocks) * BLOCK <= numbers.max():
            self._blocks.append(self._empty())
        places = numbers % BLOCK
        for number in np.unique(numbers // BLOCK).tolist():
            block, ours = self._blocks[number], numbers // BLOCK == number
            block.error = max(block.error, float(errors[ours].max()))
            block.length = max(block.length, float(lengths[ours].max()))
            block.coarse[places[ours]] = coarse[ours] + 128
            block.fine[places[ours]] = fine[ours]
            block.step[places[ours]] = step[ours]
        self._end = max(self._end, int(numbers.max()) + 1)

    def _empty(self) -> _Block:
        shape = (BLOCK, self.dimension)
        return _Block(np.zeros(shape, np.uint8), np.zeros(shape, np.int16), np.zeros(BLOCK, np.float32))


@lru_cache
def _sweep(dimension: int) -> onnxruntime.InferenceSession:
    """rows (N, D) uint8 and probes (D, P) int8 in; (N,) int32 out, the largest inner product of each row."""
    nodes = [
        helper.make_node("MatMulInteger", ["rows", "probes", "zero"], ["products"]),
        helper.make_node("ReduceMax", ["products", "axis"], ["best"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "sweep",
        [
            helper.make_tensor_value_info("rows", TensorProto.UINT8, ["N", dimension]),
            helper.make_tensor_value_info("probes", TensorProto.INT8, [dimension, "P"]),
        ],
        [helper.make_tensor_value_info("best", TensorProto.INT32, ["N"])],
        [
            helper.make_tensor("zero", TensorProto.UINT8, [], [128]),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # blocks run side by side instead
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
