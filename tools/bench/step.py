"""Checks one exact training step beside two peers, and times it beside one. Run by hand:

    python tools/bench/step.py [--out DIR] [--steps N] [--rounds N]

needs numpy, onnx and torch in that Python, and cargo. Prints one JSON object; exits 1 when a check fails.

(a) onnx.reference, which computes every operator with NumPy, runs the lowered training graph on the real
    model, weights and batch; every output must equal ONNX Runtime's bit for bit.
(b) PyTorch takes the same step in f32 and in f64. The f64 step says which of the two f32 steps, the exact
    one or PyTorch's, is nearer the truth. Differences of updates are in units of the learning rate.
(c) PyTorch's eager f32 step (forward, backward, clip, AdamW) is timed on one thread on the same batch,
    in turns with ours, so that both see the same machine. Run it on an idle one; `load` says how idle.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import torch
from onnx.reference import ReferenceEvaluator

from peer import Case, Llama, Optimizer, run_bench, train_step

# AdamW's first step moves a parameter by one learning rate in the direction of its gradient, however small
# that is. Operands of exact products keep 20 bits below their tensor's largest element, so the direction of
# the smallest gradients is uncertain: a few updates may differ by much, their share may not grow.
UPDATE_TOLERANCE = 0.01
SHARE_BEYOND_TOLERANCE_MAX = 0.01
GRADIENT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-5


def compare_reference(case):
    """Names the outputs whose bits are not ONNX Runtime's."""
    model = case.model
    start = time.perf_counter()
    found = ReferenceEvaluator(model).run(None, case.inputs)
    seconds = time.perf_counter() - start
    names = [output.name for output in model.graph.output]
    differ = [name for name, value in zip(names, found) if not same_bits(value, case.outputs[name])]
    return {"outputs": len(names), "differ": differ, "seconds": round(seconds, 2)}


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def torch_step(case, dtype):
    """One step from the case's weights: loss before it, every parameter's change, its first moments."""
    model, optimizer = start(case, dtype)
    ids, targets, learned = case.batch()
    before = case.weights(dtype)
    loss = train_step(model, optimizer, ids, targets, learned.to(dtype))
    changes = [(model.p[name].detach() - before[name]).double().flatten() for name in before]
    moments = [optimizer.adam.state[model.p[name]]["exp_avg"].double().numpy() for name in before]
    return loss, torch.cat(changes).numpy(), moments


def start(case, dtype):
    model = Llama(case.plan["model"], case.weights(dtype))
    return model, Optimizer(model, case.plan["training"], len(case.plan["plan"]["steps"]))


def our_step(case):
    """The same three things from the case's outputs."""
    learned = np.array(case.plan["batch"]["learned"])
    target, normaliser = (
        case.outputs[name].astype(np.float64).ravel()[learned] for name in ("target", "normaliser")
    )
    changes = [
        case.outputs[f"next.{name}"].astype(np.float64) - case.inputs[name].astype(np.float64)
        for name in case.weights()
    ]
    loss = (np.log(normaliser) - target).mean()
    moments = [case.outputs[f"next.{name}.first"].astype(np.float64) for name in case.weights()]
    return float(loss), np.concatenate([change.ravel() for change in changes]), moments


def compare_torch(case):
    our_loss, ours, our_moments = our_step(case)
    f32_loss, f32, f32_moments = torch_step(case, torch.float32)
    f64_loss, f64, f64_moments = torch_step(case, torch.float64)
    rate = start(case, torch.float32)[1].rate()
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
    """Largest ‖found − truth‖ / ‖truth‖ of any tensor; after one step a first moment is its gradient's share."""
    norm = np.linalg.norm
    return max(float(norm(a.ravel() - b.ravel()) / norm(b.ravel())) for a, b in zip(found, truth))


def spread(difference, rate):
    """Of |difference| / learning rate."""
    relative = np.abs(difference) / rate
    return {
        "max": float(relative.max()),
        "p99_9": float(np.quantile(relative, 0.999)),
        "mean": float(relative.mean()),
        "share_beyond_tolerance": float((relative > UPDATE_TOLERANCE).mean()),
    }


def time_torch(case, steps):
    """Milliseconds of each PyTorch step after three that warm up."""
    model, optimizer = start(case, torch.float32)
    batch = case.batch()
    times_ms = []
    for _ in range(steps + 3):
        begin = time.perf_counter()
        train_step(model, optimizer, *batch)
        times_ms.append((time.perf_counter() - begin) * 1e3)
    return times_ms[3:]


def time_both(case, arguments):
    """Median of medians over rounds; a round measures ours, then PyTorch's."""
    ours, torchs, report = [], [], None
    load = [round(x, 2) for x in os.getloadavg()]
    for _ in range(arguments.rounds):
        report = run_bench(case.folder, "--steps", arguments.steps, "--threads", 1)
        ours.append((report["median_ms"], report["fastest_ms"]))
        times_ms = time_torch(case, arguments.steps)
        torchs.append((statistics.median(times_ms), min(times_ms)))
    our_ms, torch_ms = (statistics.median(t[0] for t in side) for side in (ours, torchs))
    our_fastest, torch_fastest = (min(t[1] for t in side) for side in (ours, torchs))
    return {
        "our_ms": our_ms,
        "torch_ms": torch_ms,
        "ratio": our_ms / torch_ms,
        "our_fastest_ms": our_fastest,
        "torch_fastest_ms": torch_fastest,
        "ratio_of_fastest": our_fastest / torch_fastest,
        "tokens_per_step": report["tokens_per_step"],
        "our_tokens_per_s": 1e3 * report["tokens_per_step"] / our_ms,
        "engine": report["engine"],
        "torch": torch.__version__,
        "load_at_start": load,
        "state_root_after_1": report["state_root_after_1"],
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
    parser.add_argument("--out", help="folder for the test case; default: a temporary one")
    parser.add_argument("--steps", type=int, default=20, help="steps that a round measures")
    parser.add_argument("--rounds", type=int, default=2, help="turns that each side takes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or temporary
        run_bench(out, "--steps", 1)
        case = Case(out)
        times = time_both(case, arguments)
        reference, peer = compare_reference(case), compare_torch(case)
    ok = passed(reference, peer)
    print(json.dumps({**times, "reference": reference, "peer": peer, "passed": ok}, indent=2))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
