"""Checks one exact training step against two independent engines. Run by hand:

    python tools/bench/step.py [--workload date] [--out DIR]

needs numpy, onnx and torch in that Python, and cargo. Prints one JSON object; exits 1 when a check fails.

(a) onnx.reference, which computes every operator with NumPy, runs the lowered training graph on the real
    model, weights and batch; every output must equal ONNX Runtime's bit for bit.
(b) PyTorch takes the same step in f32 and in f64. The f64 step says which of the two f32 steps, the exact
    one or PyTorch's, is nearer the truth. Differences of updates are in units of the learning rate.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from peer import Training, Workload

REPOSITORY = Path(__file__).resolve().parents[2]

# AdamW's first step moves a parameter by one learning rate in the direction of its gradient, however small
# that is. Operands of exact products keep 20 bits below their tensor's largest element, so the direction of
# the smallest gradients is uncertain: a few updates may differ by much, their share may not grow.
UPDATE_TOLERANCE = 0.01
SHARE_BEYOND_TOLERANCE_MAX = 0.01
GRADIENT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-5


def bench(*arguments):
    """Runs `dataforge-bench`."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "dataforge-bench", "--", *arguments]
    subprocess.run(command, cwd=REPOSITORY, check=True)


class Case:
    """The first step of a workload as `dataforge-bench export` wrote it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.meta = json.loads((self.folder / "case.json").read_text())
        self.model = onnx.load(self.folder / "model.onnx")
        self.inputs, self.outputs = self._tensors("input"), self._tensors("output")

    def _tensors(self, kind):
        tensors = {}
        for index, listed in enumerate(self.meta[f"{kind}s"]):
            proto = onnx.load_tensor(self.folder / "test_data_set_0" / f"{kind}_{index}.pb")
            tensors[listed["name"]] = numpy_helper.to_array(proto)
        return tensors

    def trained(self):
        """Names of the inputs that have moments."""
        return [name for name in self.inputs if f"{name}.first" in self.inputs]


def compare_reference(case):
    """Names the outputs whose bits are not ONNX Runtime's."""
    start = time.perf_counter()
    found = ReferenceEvaluator(case.model).run(None, case.inputs)
    seconds = time.perf_counter() - start
    names = [output.name for output in case.model.graph.output]
    differ = [name for name, value in zip(names, found) if not same_bits(value, case.outputs[name])]
    return {"outputs": len(names), "differ": differ, "seconds": round(seconds, 2)}


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def torch_step(workload, names, dtype):
    """The first step: loss before it, every parameter's change, its first moments, the learning rate."""
    training = Training(workload, dtype)
    parameters, rate = [training.model.p[name] for name in names], training.optimizer.rate()
    before = [parameter.detach().clone() for parameter in parameters]
    loss = training.step(workload.batch(0, dtype))
    changes = [(now.detach() - then).double().flatten() for now, then in zip(parameters, before)]
    state = training.optimizer.adam.state
    moments = [state[parameter]["exp_avg"].double().numpy() for parameter in parameters]
    return loss, torch.cat(changes).numpy(), moments, rate


def our_step(case):
    """The first three of these from the case's outputs."""
    learned = np.array(case.meta["batch"]["learned"])
    target, normaliser = (
        case.outputs[name].astype(np.float64).ravel()[learned] for name in ("target", "normaliser")
    )
    names = case.trained()
    changes = [
        case.outputs[f"next.{name}"].astype(np.float64) - case.inputs[name].astype(np.float64)
        for name in names
    ]
    loss = (np.log(normaliser) - target).mean()
    moments = [case.outputs[f"next.{name}.first"].astype(np.float64) for name in names]
    return float(loss), np.concatenate([change.ravel() for change in changes]), moments


def compare_torch(case, workload):
    our_loss, ours, our_moments = our_step(case)
    f32_loss, f32, f32_moments, rate = torch_step(workload, case.trained(), torch.float32)
    f64_loss, f64, f64_moments, _ = torch_step(workload, case.trained(), torch.float64)
    return {
        "learning_rate": rate,
        "parameters": ours.size,
        "loss": {"ours": our_loss, "torch_f32": f32_loss, "torch_f64": f64_loss},
        "gradient_ours_torch_f64": worst(our_moments, f64_moments),
        "gradient_torch_f32_torch_f64": worst(f32_moments, f64_moments),
        "update_ours_torch_f32": spread(ours - f32, rate),
        "update_ours_torch_f64": spread(ours - f64, rate),
        "update_torch_f32_torch_f64": spread(f32 - f64, rate),
    }


def worst(found, truth):
    """Largest ‖found − truth‖ / ‖truth‖ of any tensor whose gradient is not 0; after one step a first
    moment is its gradient's share."""
    norm = np.linalg.norm
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(found, truth) if norm(b) > 0]
    return max(float(norm(a - b) / norm(b)) for a, b in pairs)


def spread(difference, rate):
    """Of |difference| / learning rate."""
    relative = np.abs(difference) / rate
    return {
        "max": float(relative.max()),
        "p99_9": float(np.quantile(relative, 0.999)),
        "mean": float(relative.mean()),
        "share_beyond_tolerance": float((relative > UPDATE_TOLERANCE).mean()),
    }


def passed(reference, peer):
    loss = peer["loss"]
    return (
        not reference["differ"]
        and abs(loss["ours"] - loss["torch_f64"]) < LOSS_TOLERANCE
        and peer["gradient_ours_torch_f64"] < GRADIENT_TOLERANCE
        and peer["update_ours_torch_f64"]["share_beyond_tolerance"] < SHARE_BEYOND_TOLERANCE_MAX
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="date", help="as `dataforge-bench prepare` names it")
    parser.add_argument("--out", help="folder for workload and test case; default: a temporary one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        out = str(Path(arguments.out or temporary).resolve())
        bench("prepare", arguments.workload, "--out", out)
        bench("export", out)
        case = Case(out)
        reference, peer = compare_reference(case), compare_torch(case, Workload(out))
    ok = passed(reference, peer)
    print(json.dumps({"reference": reference, "peer": peer, "passed": ok}, indent=2))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
