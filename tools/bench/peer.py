"""The reference model and one AdamW step in PyTorch eager: the peer that DataForge is compared with.

Written from the papers, not from the Rust graph: RMSNorm, interleaved rotary positions, grouped-query
attention, SwiGLU, tied embeddings (Touvron et al. 2023); AdamW (Loshchilov & Hutter 2019). Parameters have
DataForge's names and `[in, out]` matrices. Nothing here is exact: sums are in whatever order PyTorch
likes. Used by step.py and train.py.
"""

import json
import math
import subprocess
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

REPOSITORY = Path(__file__).resolve().parents[2]


def run_bench(out, *arguments):
    """Writes a test case with `dataforge-bench step` into `out` and returns what the command printed."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "dataforge-bench", "--", "step", "--out"]
    command += [str(Path(out).resolve()), *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


class Case:
    """A folder that `dataforge-bench step` wrote."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.plan = json.loads((self.folder / "plan.json").read_text())
        self.model = onnx.load(self.folder / "model.onnx")
        self.inputs = self._tensors("input")
        self.outputs = self._tensors("output")

    def _tensors(self, kind):
        tensors = {}
        for index, listed in enumerate(self.plan[f"{kind}s"]):
            proto = onnx.load_tensor(self.folder / "test_data_set_0" / f"{kind}_{index}.pb")
            tensors[listed["name"]] = numpy_helper.to_array(proto)
        return tensors

    def weights(self, dtype=torch.float32):
        """The parameters before the step: inputs that have moments."""
        names = [name for name in self.inputs if f"{name}.first" in self.inputs]
        return {name: torch.tensor(self.inputs[name]).to(dtype) for name in names}

    def batch(self):
        """The step's ids, targets and mask of learned positions, `[rows, positions]` each."""
        batch = self.plan["batch"]
        grid = (batch["shape"]["rows"], batch["shape"]["positions"])
        ids, targets, learned = (
            torch.tensor(batch[name]).view(grid) for name in ("ids", "targets", "learned")
        )
        return ids, targets, learned.float()


class Llama:
    """A decoder over a dictionary of parameters; `shape` is the spec's [model.llama] table."""

    def __init__(self, shape, parameters):
        self.shape = shape
        self.p = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        kind = self.p["embedding"].dtype
        self.head_width = shape["width"] // shape["heads"]
        even = torch.arange(0, self.head_width, 2, dtype=torch.float64)
        turn = float(shape["rope_base"]) ** (-even / self.head_width)
        angle = torch.outer(torch.arange(shape["context"], dtype=torch.float64), turn)
        self.cos, self.sin = angle.cos().to(kind), angle.sin().to(kind)

    def norm(self, x, gamma):
        epsilon = self.shape["norm_epsilon_nano"] / 1e9
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * self.p[gamma]

    def rotate(self, x):
        length = x.shape[-2]
        a, b = x[..., 0::2], x[..., 1::2]
        cos, sin = self.cos[:length], self.sin[:length]
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)

    def attention(self, x, layer):
        rows, length, width = x.shape

        def heads(name, count):
            projected = x @ self.p[f"layer.{layer}.{name}"]
            return projected.view(rows, length, count, self.head_width).transpose(1, 2)

        heads_all, kv = self.shape["heads"], self.shape["kv_heads"]
        q = self.rotate(heads("query", heads_all))
        k = self.rotate(heads("key", kv)).repeat_interleave(heads_all // kv, 1)
        v = heads("value", kv).repeat_interleave(heads_all // kv, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(rows, length, width)
        return mixed @ self.p[f"layer.{layer}.attention_output"]

    def logits(self, ids):
        """`[rows, positions]` ids to `[rows, positions, vocabulary]` logits."""
        x = self.p["embedding"][ids]
        for layer in range(self.shape["layers"]):
            x = x + self.attention(self.norm(x, f"layer.{layer}.attention_norm"), layer)
            h = self.norm(x, f"layer.{layer}.feed_forward_norm")
            gate, up = (h @ self.p[f"layer.{layer}.{name}"] for name in ("gate", "up"))
            x = x + (F.silu(gate) * up) @ self.p[f"layer.{layer}.down"]
        x = self.norm(x, "final_norm")
        head = self.p["embedding"].T if self.shape["tied_head"] else self.p["head"]
        return x @ head

    def token_losses(self, ids, targets):
        """−log-probability of each target, `[rows, positions]`."""
        logits = self.logits(ids)
        return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")


class Optimizer:
    """PyTorch's own AdamW, with the recipe's schedule and clipping; `recipe` is the [training] table."""

    def __init__(self, model, recipe, steps):
        def micro(name):
            return recipe[f"{name}_micro"] / 1e6

        self.peak, self.last, self.clip = micro("learning_rate"), micro("final_rate"), micro("clip_norm")
        self.warm, self.steps, self.step = math.ceil(micro("warmup") * steps), steps, 0
        self.parameters = list(model.p.values())
        self.adam = torch.optim.AdamW(
            self.parameters,
            lr=self.peak,
            betas=(micro("beta1"), micro("beta2")),
            eps=recipe["epsilon_nano"] / 1e9,
            weight_decay=micro("weight_decay"),
            foreach=True,
        )

    def rate(self):
        """The learning rate of the present step: linear up, then linear down to the last step."""
        if self.step < self.warm:
            return self.peak * (self.step + 1) / self.warm
        span = self.steps - self.warm
        left = (self.steps - 1 - self.step) / (span - 1) if span > 1 else 0.0
        return self.peak * (self.last + (1 - self.last) * left)

    def update(self):
        """Clips the gradients, moves the parameters and forgets the gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adam.step()
        self.adam.zero_grad()
        self.step += 1


def train_step(model, optimizer, ids, targets, learned):
    """One step on one batch; the mean loss of the learned positions before it."""
    loss = (model.token_losses(ids, targets) * learned).sum() / learned.sum()
    loss.backward()
    optimizer.update()
    return loss.item()
