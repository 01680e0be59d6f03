"""Checks a training step that `dataforge audit export-step` wrote, in engines that know nothing of DataForge.

    python check_step.py DIR [--engine onnx.reference|onnxruntime]

Runs DIR/model.onnx on DIR/test_data_set_0/input_*.pb and compares every output with output_*.pb, bit for
bit. Needs the package onnx, and onnxruntime for that engine. Exit code 1 names the outputs that differ.
"""

import argparse
import sys
from pathlib import Path

import onnx
from onnx import numpy_helper


def tensors(folder, kind):
    """The tensors of one kind, by name, in file order."""
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    loaded = [onnx.load_tensor(path) for path in files]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded}


def run(engine, model, inputs, names):
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        return session.run(names, inputs)
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx.load(model)).run(names, inputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=["onnx.reference", "onnxruntime"], default="onnx.reference")
    arguments = parser.parse_args()
    data = arguments.folder / "test_data_set_0"
    inputs, outputs = tensors(data, "input"), tensors(data, "output")
    found = run(arguments.engine, arguments.folder / "model.onnx", inputs, list(outputs))
    pairs = zip(outputs.items(), found)
    same = lambda a, b: (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    differing = [name for (name, expected), value in pairs if not same(expected, value)]
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(outputs) - len(differing)} of {len(outputs)} outputs equal bit for bit in {arguments.engine}")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
