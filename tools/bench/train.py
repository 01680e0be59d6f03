"""Trains a demonstration's whole recipe in PyTorch f32 and scores it by the choice rule. Run by hand:

    python tools/bench/train.py [--dataset honest] [--spec date@1] [--seed HEX] [--set NAME=VALUE ...]

needs onnx and torch in that Python, and cargo. Rows, tokens, batch order, weights and hidden rows are DataForge's;
the arithmetic is PyTorch's. Prints one JSON object with the loss of every step and the lift, to hold beside
`dataforge proof show PROOF --steps`. `--set learning_rate_micro=3000` tries another recipe; what changes the
plan itself (epochs, batch_rows, positions) has to be changed in the spec.
"""

import argparse
import json
import math
import tempfile

import torch

from peer import Case, Llama, Optimizer, run_bench, train_step

SCORING_ROWS = 64


def pack(rows, positions):
    """Token rows as ids, targets and learned mask, right-padded with 0."""
    ids = torch.zeros(len(rows), positions, dtype=torch.long)
    targets, learned = torch.zeros_like(ids), torch.zeros(len(rows), positions)
    for at, row in enumerate(rows):
        tokens, last = torch.tensor(row["ids"]), len(row["ids"]) - 1
        ids[at, :last], targets[at, :last] = tokens[:-1], tokens[1:]
        learned[at, row["prompt_tokens"] - 1 : last] = 1
    return ids, targets, learned


def train(case, recipe):
    """Every step of the plan; the trained model and the loss before each step."""
    plan = case.plan["plan"]
    model = Llama(case.plan["model"], case.weights())
    optimizer = Optimizer(model, recipe, len(plan["steps"]))
    positions = recipe["positions"]
    batches = ([plan["rows"][row] for row in step] for step in plan["steps"])
    losses = [train_step(model, optimizer, *pack(batch, positions)) for batch in batches]
    return model, losses


def choice(case, model):
    """Choice loss and accuracy over the hidden rows."""
    rows, scores = case.plan["candidates"], []
    with torch.no_grad():
        for first in range(0, len(rows), SCORING_ROWS):
            chunk = rows[first : first + SCORING_ROWS]
            ids, targets, learned = pack(chunk, max(len(row["ids"]) for row in chunk) - 1)
            scores += (-(model.token_losses(ids, targets) * learned).sum(1)).double().tolist()
    answers = torch.tensor(case.plan["answers"])
    scores = torch.tensor(scores, dtype=torch.float64).view(len(answers), -1)
    shares = torch.log_softmax(scores, 1).gather(1, answers[:, None])
    accuracy = (scores.argmax(1) == answers).double().mean().item()
    return -shares.mean().item(), accuracy, math.log(scores.shape[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="honest")
    parser.add_argument("--spec", default="date@1")
    parser.add_argument("--seed", default="01" * 32)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    changes = dict(change.split("=") for change in arguments.set)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run_bench(folder, "--steps", 1, "--spec", arguments.spec,
                  "--dataset", arguments.dataset, "--seed", arguments.seed)
        case = Case(folder)
    recipe = case.plan["training"]
    unknown = set(changes) - set(recipe)
    if unknown:
        parser.error(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(recipe)}")
    recipe |= {name: int(value) for name, value in changes.items()}
    model, losses = train(case, recipe)
    choice_loss, accuracy, chance = choice(case, model)
    print(json.dumps({
        "dataset": arguments.dataset,
        "recipe": recipe,
        "steps": len(losses),
        "losses": [round(loss, 6) for loss in losses],
        "choice_loss": choice_loss,
        "accuracy": accuracy,
        "lift": chance - choice_loss,
    }))


if __name__ == "__main__":
    main()
