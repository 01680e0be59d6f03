"""Runs the determinism matrix' cases in ONNX Runtime or in onnx.reference, for where Rust's runner does not.

    python run_case.py --engine {onnxruntime,reference} [--threads N] [--optimisation LEVEL] [--model FILE] FOLDER...

needs numpy and the engine, nothing else: it also runs under an emulator, where imports are slow. Prints one
JSON object per case, `{"case", "digest"}` or `{"case", "error"}`. The layout of a folder and the digest are
those of src/case.rs.
"""

import argparse
import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np

# TensorProto.DataType.
ELEMENTS = {1: np.dtype("<f4"), 7: np.dtype("<i8")}


class OnnxRuntime:
    """One session of the installed onnxruntime."""

    def __init__(self, model, threads, optimisation):
        import onnxruntime

        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = {
            "none": levels.ORT_DISABLE_ALL,
            "basic": levels.ORT_ENABLE_BASIC,
            "all": levels.ORT_ENABLE_ALL,
        }[optimisation]
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(str(model), options, providers=providers)
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(self, inputs):
        return dict(zip(self.outputs, self.session.run(self.outputs, inputs)))


class Reference:
    """onnx.reference, which computes every operator with NumPy."""

    def __init__(self, model, threads, optimisation):
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator(str(model))

    def run(self, inputs):
        return dict(zip(self.evaluator.output_names, self.evaluator.run(None, inputs)))


ENGINES = {"onnxruntime": OnnxRuntime, "reference": Reference}


def fields(data):
    """The (number, value) pairs of a protobuf message that has varints and byte strings only."""

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    at = 0
    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        elif key & 7 != 0:
            raise ValueError(f"wire type {key & 7} in a tensor")
        yield key >> 3, value


def read_tensor(path):
    dims, element, raw = [], None, b""
    for number, value in fields(path.read_bytes()):
        if number == 1:
            dims.append(value)
        elif number == 2:
            element = ELEMENTS[value]
        elif number == 9:
            raw = value
    return np.frombuffer(raw, element).reshape(dims)


def case_digest(folder, model, make_engine):
    plan = json.loads((folder / "case.json").read_text())
    engine = make_engine(folder / model)
    tag = b"dataforge/matrix/v1"
    sha = hashlib.sha256(bytes([len(tag)]) + tag)
    inputs = {}
    for step in range(plan["steps"]):
        for index, name in enumerate(plan["inputs"]):
            path = folder / f"test_data_set_{step}" / f"input_{index}.pb"
            if path.is_file():
                inputs[name] = read_tensor(path)
        outputs = engine.run(inputs)
        for name in sorted(outputs, key=str.encode):
            value = np.ascontiguousarray(outputs[name])
            if value.dtype not in ELEMENTS.values():
                raise TypeError(f"output {name} has elements of {value.dtype}")
            data = value.tobytes()
            sha.update(name.encode() + b"\0" + struct.pack("<Q", len(data)) + data)
        inputs.update((name, outputs[output]) for name, output in plan["carry"].items())
    return sha.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimisation", choices=["none", "basic", "all"], default="none")
    parser.add_argument("--model", default="model.onnx", help="file name of the model to run")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    arguments = parser.parse_args()

    def make_engine(model):
        return ENGINES[arguments.engine](model, arguments.threads, arguments.optimisation)

    for folder in arguments.folders:
        report = {"case": folder.name}
        try:
            report["digest"] = case_digest(folder, arguments.model, make_engine)
        except Exception as error:  # an engine may raise anything; the matrix shows it
            report["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(report), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
