"""Compares the exact forward pass of the reference models with NumPy in f64. Run by hand:

    python tools/bench/forward.py [--operand-bits N] [--lowering NAME]

needs numpy, onnxruntime, safetensors and tokenizers in that Python, and cargo. The models are fetched on first
use (180 MB). Prints one JSON object; exits 1 when a check fails. README.md has what it printed.

(a) SmolLM2-135M-Instruct: logits and log-probabilities at every token of every sentence, and the probability
    that "The capital of France is" goes on with " Paris".
(b) all-MiniLM-L6-v2: the embedding of every sentence, and its bits when the sentence is alone in its batch
    instead of padded among others.

models.py has the peer's side. Both read the derived weights and tokenizers that `artifacts.lock` pins.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import models

REPOSITORY = Path(__file__).resolve().parents[2]

SENTENCES = [
    "The capital of France is",
    "The tenant must give notice in writing at least thirty days before the lease ends.",
    "Operating income rose 12.5% to $1,204 million, driven by lower freight costs.",
    "The patient was admitted with acute kidney failure and discharged after nine days.",
    "My order arrived damaged; can I get a refund or a replacement?",
    "Der Vertrag verlängert sich um ein Jahr, wenn er nicht gekündigt wird.",
    "Les résultats du troisième trimestre dépassent nos prévisions.",
    "契約書は二部作成し、各自一部を保管する。",
    "Сколько стоит доставка в другой город?",
    "def area(radius):\n    return 3.14159 * radius ** 2\n",
]

# Operands of products keep 20 bits below the largest of their slice. Where a token's hidden state has a few
# elements far above the others, as decoders have at the beginning of a text, the others keep fewer.
LOGIT_RELATIVE_TOLERANCE = 5e-3
LOGIT_MEAN_TOLERANCE = 2e-3
EMBEDDING_TOLERANCE = 1e-5


class Exact:
    """A reference model's exact graph, run by ONNX Runtime without graph optimisation."""

    def __init__(self, model, options):
        self.model, self.options = model, options
        with tempfile.TemporaryDirectory() as folder:
            made = self.write(1, 1, Path(folder) / "model.onnx")
        self.weights = load_file(made["weights"])
        self.tokenizer = Tokenizer.from_file(made["tokenizer"])
        self.rows = [self.tokenizer.encode(text).ids for text in SENTENCES]

    def write(self, rows, positions, out):
        """Writes the graph for a batch and returns the paths of the model's files."""
        arguments = ["--model", self.model, "--rows", rows, "--positions", positions]
        arguments += ["--operand-bits", self.options.operand_bits]
        arguments += ["--lowering", self.options.lowering, "--out", out]
        command = ["cargo", "run", "--quiet", "--package", "dataforge-bench", "--", "forward"]
        command += map(str, arguments)
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True)
        return json.loads(done.stdout)

    def __call__(self, rows):
        """The graph's output for rows of token ids, padded to the longest."""
        shape = len(rows), max(map(len, rows))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            self.write(*shape, path)
            settings = onnxruntime.SessionOptions()
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        ids = np.zeros(shape, np.int64)
        real = np.zeros(shape, np.float32)
        for index, row in enumerate(rows):
            ids[index, : len(row)], real[index, : len(row)] = row, 1
        given = self.weights | {"ids": ids, "types": np.zeros_like(ids), "real": real}
        given = {put.name: given[put.name] for put in session.get_inputs()}
        return session.run(None, given)[0]


def decoder(options):
    model = Exact("smollm2", options)
    found = model(model.rows)
    logits, logprobs, chosen, largest, same_top = [], [], [], 0.0, 0
    for row, exact in zip(model.rows, found):
        exact = exact[: len(row)].astype(np.float64)
        peer = models.llama(model.weights, row, heads=9, kv_heads=3, base=1e5, epsilon=1e-5)
        logprob = np.abs(models.log_softmax(exact) - models.log_softmax(peer))
        logits.append(np.abs(exact - peer))
        logprobs.append(logprob)
        chosen.append(logprob[np.arange(len(row) - 1), row[1:]])
        largest = max(largest, np.abs(peer).max())
        same_top += int((exact.argmax(-1) == peer.argmax(-1)).sum())
    paris = model.tokenizer.encode(" Paris").ids[0]
    logits, logprobs, chosen = map(np.concatenate, (logits, logprobs, chosen))
    return {
        "tokens": len(logits),
        "largest_logit": largest,
        "logit_max_abs": logits.max(),
        "logit_max_abs_of_median_token": np.median(logits.max(-1)),
        "logit_mean_abs": logits.mean(),
        "logprob_max_abs": logprobs.max(),
        "next_token_logprob_max_abs": chosen.max(),
        "next_token_logprob_mean_abs": chosen.mean(),
        "same_top_token": same_top,
        "paris": models.softmax(found[0, len(model.rows[0]) - 1].astype(np.float64))[paris],
    }


def encoder(options):
    model = Exact("minilm", options)
    found = model(model.rows)
    peers = np.array([models.bert(model.weights, row, heads=12, epsilon=1e-12) for row in model.rows])
    alone = [model([row])[0] for row in model.rows]
    wide = found.astype(np.float64)
    cosines = (wide * peers).sum(-1) / np.linalg.norm(wide, axis=-1)
    return {
        "sentences": len(peers),
        "max_abs": np.abs(wide - peers).max(),
        "one_minus_cosine_max": (1 - cosines).max(),
        "similarity_max_abs": np.abs(wide @ wide.T - peers @ peers.T).max(),
        "alone_has_the_same_bits": all(a.tobytes() == b.tobytes() for a, b in zip(found, alone)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operand-bits", type=int, default=20)
    parser.add_argument("--lowering", default="stock")
    options = parser.parse_args()
    result = {"smollm2": decoder(options), "minilm": encoder(options)}
    lm = result["smollm2"]
    checks = {
        "logits": lm["logit_max_abs"] <= LOGIT_RELATIVE_TOLERANCE * lm["largest_logit"],
        "mean logits": lm["logit_mean_abs"] <= LOGIT_MEAN_TOLERANCE,
        "top tokens": lm["same_top_token"] == lm["tokens"],
        "paris": abs(lm["paris"] - 0.77) < 0.01,
        "embeddings": result["minilm"]["max_abs"] <= EMBEDDING_TOLERANCE,
        "alone": result["minilm"]["alone_has_the_same_bits"],
    }
    print(json.dumps(result | {"failed": [name for name, good in checks.items() if not good]}, default=float))
    sys.exit(0 if all(checks.values()) else 1)


if __name__ == "__main__":
    main()
