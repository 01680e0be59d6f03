"""PyTorch's side of a comparison, over a folder that `dataforge-bench prepare` wrote.

    python party.py serve FOLDER [--threads N] [--compile]    answers `steps N` lines with step times
    python party.py train FOLDER [--threads N] [--dtype T]    trains to the end, scores the hidden rows
    python party.py profile FOLDER [--threads N]              where the time of a step goes

What `serve` and `train` print is what `dataforge-bench` prints for the same commands. Called by
`cargo xtask bench` and `cargo xtask quality`; needs numpy and torch.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch

from peer import Batch, Training, Workload

SCORING_ROWS = 32


def answer(value):
    print(json.dumps(value), flush=True)


def peak_mib():
    """Peak resident memory as Linux counts it; None elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def serve(workload, arguments):
    training = Training(workload, compiled=arguments.compile)
    recipe = workload.recipe
    answer({
        "engine": f"torch {torch.__version__}",
        "tokens_per_step": recipe["batch_rows"] * recipe["positions"],
        "parameters": sum(parameter.numel() for parameter in training.optimizer.parameters),
    })
    step = 0
    for line in sys.stdin:
        count = int(line.removeprefix("steps "))
        batches = [workload.batch(step + ahead) for ahead in range(count)]
        step += count
        ms = []
        for batch in batches:
            begin = time.perf_counter()
            training.step(batch)
            ms.append((time.perf_counter() - begin) * 1e3)
        answer({"ms": ms, "peak_mib": peak_mib()})


def score(training, rows):
    """Summed log-probability of each row's output."""
    recipe, sums = training.workload.recipe, []
    with torch.no_grad():
        for first in range(0, len(rows), SCORING_ROWS):
            batch = Batch(rows[first : first + SCORING_ROWS], recipe, dtype=training.dtype,
                          count=SCORING_ROWS)
            hidden = training.model.trunk(batch.ids)
            losses = training.model.token_losses(hidden, batch.at, batch.targets)
            sums += (-(losses * batch.learned).double().sum(1))[: batch.rows].tolist()
    return torch.tensor(sums, dtype=torch.float64)


def benchmark(workload, scores):
    """Mean nats per output token (of the right answers, where there are answers) and choice loss."""
    outputs = torch.tensor([len(row["ids"]) - row["prompt_tokens"] for row in workload.candidates])
    if not workload.answers:
        return {"token_loss": (-scores.sum() / outputs.sum()).item(), "choice_loss": None, "lift": None}
    answers = torch.tensor(workload.answers)
    scores, outputs = scores.view(len(answers), -1), outputs.view(len(answers), -1)
    right, tokens = (grid.gather(1, answers[:, None]).sum() for grid in (scores, outputs))
    choice = -torch.log_softmax(scores, 1).gather(1, answers[:, None]).mean().item()
    return {
        "token_loss": (-right / tokens).item(),
        "choice_loss": choice,
        "lift": math.log(scores.shape[1]) - choice,
    }


def train(workload, arguments):
    training = Training(workload, getattr(torch, arguments.dtype))
    batches = (workload.batch(step, training.dtype) for step in range(len(workload.steps)))
    losses = [training.step(batch) for batch in batches]
    scores = score(training, workload.candidates)
    answer({"losses": losses, "benchmark": benchmark(workload, scores)})


def profile(workload, arguments):
    training = Training(workload)
    for step in range(3):
        training.step(workload.batch(step))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for step in range(3, 13):
            training.step(workload.batch(step))
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("serve", "train", "profile"))
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compile the model with torch.compile")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    commands = {"serve": serve, "train": train, "profile": profile}
    commands[arguments.command](Workload(arguments.folder), arguments)


if __name__ == "__main__":
    main()
