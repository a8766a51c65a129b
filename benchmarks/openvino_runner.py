"""Runs an ONNX file in OpenVINO, on one core, once for every line on stdin; prints each run's milliseconds.

    python openvino_runner.py GRAPH BATCH HEIGHT WIDTH PRECISION

Run by the yardstick's own Python, which has OpenVINO and nothing of ours. PRECISION: f32, or bf16, which OpenVINO takes
by itself where the processor has it. The first line printed is OpenVINO's version, once the model is ready.
"""

import sys
import time

import numpy as np
import openvino

path, *shape, precision = sys.argv[1:]
batch, height, width = map(int, shape)
core = openvino.Core()
core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision})
model = core.read_model(path)
model.reshape({model.inputs[0].any_name: [batch, 3, height, width]})
request = core.compile_model(model, "CPU").create_infer_request()
picture = np.random.default_rng(0).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)
print(openvino.__version__, flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    request.infer({0: picture})
    print((time.perf_counter() - began) * 1000, flush=True)
