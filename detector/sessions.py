"""ONNX Runtime sessions, as every model here runs."""

from pathlib import Path

import onnxruntime


def cpu_options(threads: int) -> onnxruntime.SessionOptions:
    """`threads` work on one run; other threads may run the session meanwhile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def cpu_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU, of an ONNX file or its contents."""
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, cpu_options(threads), providers=["CPUExecutionProvider"])
