"""Says where the time of an exact training step goes, operator by operator. Run by hand:

    dataforge-bench prepare decoder --out DIR && dataforge-bench export DIR [--lowering NAME]
    python tools/bench/operators.py DIR [--threads N] [--steps N]

needs numpy, onnx and onnxruntime (of the version in artifacts.lock) in that Python. Runs the exported graph
with the settings that DataForge uses and ONNX Runtime's own profiler; prints one JSON object: per operator
and element type of its first output, its share of the kernels' time, and milliseconds per step. Lowerings
with custom operators cannot be run this way.
"""

import argparse
import collections
import json
import tempfile
from pathlib import Path

import onnx
import onnxruntime
from onnx import numpy_helper

WARM_STEPS = 3


def inputs(folder):
    """Named inputs of the exported test case."""
    files = sorted((folder / "test_data_set_0").glob("input_*.pb"))
    tensors = [onnx.load_tensor(file) for file in files]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}


def events(folder, threads, steps):
    """The profiler's kernel events, warm-up included, and how many steps they are of."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    feed = inputs(folder)
    with tempfile.TemporaryDirectory() as temporary:
        options.profile_file_prefix = str(Path(temporary) / "step")
        session = onnxruntime.InferenceSession(
            folder / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        for _ in range(WARM_STEPS + steps):
            session.run(None, feed)
        found = json.loads(Path(session.end_profiling()).read_text())
    return [event for event in found if event.get("name", "").endswith("_kernel_time")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="that `dataforge-bench export` wrote")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    kernels = events(arguments.folder, arguments.threads, arguments.steps)
    kernels = kernels[len(kernels) * WARM_STEPS // (WARM_STEPS + arguments.steps) :]
    spent, calls = collections.Counter(), collections.Counter()
    for kernel in kernels:
        element = next(iter((kernel["args"].get("output_type_shape") or [{}])[0]), "")
        key = f"{kernel['args']['op_name']} {element}".strip()
        spent[key] += kernel["dur"] / 1e3
        calls[key] += 1
    total = sum(spent.values())
    rows = [
        {
            "operator": key,
            "share": round(ms / total, 4),
            "ms_per_step": round(ms / arguments.steps, 3),
            "nodes": calls[key] // arguments.steps,
        }
        for key, ms in spent.most_common()
    ]
    kernel_ms = round(total / arguments.steps, 2)
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "kernel_ms_per_step": kernel_ms,
                      "operators": rows}, indent=2))


if __name__ == "__main__":
    main()
