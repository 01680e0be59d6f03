"""The reference model and one AdamW step in PyTorch: the peer that DataForge is compared with.

Written from the papers, not from the Rust graph: RMSNorm, interleaved rotary positions, grouped-query
attention, SwiGLU (Touvron et al. 2023); low-rank adapters (Hu et al. 2021); AdamW (Loshchilov & Hutter
2019). Parameters have DataForge's names and `[in, out]` matrices. Nothing here is exact: sums are in
whatever order PyTorch likes. As in DataForge, logits are computed for the positions that are learned
only, and frozen blocks below the first adapter run once per row. Used by party.py and step.py.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F


class Workload:
    """A folder that `dataforge-bench prepare` wrote."""

    def __init__(self, folder):
        self.folder = Path(folder)
        meta = json.loads((self.folder / "workload.json").read_text())
        self.shape, self.recipe, self.name = meta["model"], meta["training"], meta["name"]
        self.rows, self.steps = meta["plan"]["rows"], meta["plan"]["steps"]
        self.candidates, self.answers = meta["candidates"], meta["answers"]
        self._listed = meta["tensors"]

    def tensors(self, dtype=torch.float32):
        """Every parameter, and the adapters before the first step."""
        data, found, start = np.fromfile(self.folder / "tensors.f32", dtype="<f4"), {}, 0
        for tensor in self._listed:
            end = start + math.prod(tensor["shape"])
            found[tensor["name"]] = torch.from_numpy(data[start:end]).view(tensor["shape"]).to(dtype)
            start = end
        return found

    def batch(self, step, dtype=torch.float32):
        """The batch of one step; after the last one, the first batches come again."""
        members = self.steps[step % len(self.steps)]
        return Batch([self.rows[member] for member in members], self.recipe, members, dtype)


class Batch:
    """Token rows as tensors, laid out as in DataForge: each row's positions padded with token 0, and a
    fixed number of slots for the positions whose next token is learned."""

    def __init__(self, rows, recipe, members=None, dtype=torch.float32, count=None):
        count = count or recipe["batch_rows"]
        positions, slots = recipe["positions"], recipe["output_tokens"]
        self.members, self.rows = members, len(rows)
        self.ids = torch.zeros(count, positions, dtype=torch.long)
        self.at = (torch.arange(count) * positions)[:, None].repeat(1, slots)
        self.targets = torch.zeros(count, slots, dtype=torch.long)
        self.learned = torch.zeros(count, slots, dtype=dtype)
        for row, tokens in enumerate(rows):
            ids, prompt = torch.tensor(tokens["ids"]), tokens["prompt_tokens"]
            outputs = len(ids) - prompt
            self.ids[row, : len(ids) - 1] = ids[:-1]
            self.at[row, :outputs] += torch.arange(prompt - 1, len(ids) - 1)
            self.targets[row, :outputs] = ids[prompt:]
            self.learned[row, :outputs] = 1


class Llama:
    """A decoder over a dictionary of parameters; `shape` is a spec's [model.llama] table, `method` what
    its recipe trains."""

    def __init__(self, shape, method, parameters):
        self.shape, self.method, self.p = shape, method, parameters
        self.first = shape["layers"] - method["layers"] if "layers" in method else 0
        for name in self.trained():
            self.p[name] = self.p[name].clone().requires_grad_()
        kind = self.p["embedding"].dtype
        self.head_width = shape["width"] // shape["heads"]
        even = torch.arange(0, self.head_width, 2, dtype=torch.float64)
        turn = float(shape["rope_base"]) ** (-even / self.head_width)
        angle = torch.outer(torch.arange(shape["context"], dtype=torch.float64), turn)
        self.cos, self.sin = angle.cos().to(kind), angle.sin().to(kind)

    def trained(self):
        """Names of the parameters that training moves."""
        if self.method["kind"] == "full":
            return list(self.p)
        if self.method["kind"] == "lora":
            return [name for name in self.p if ".adapter_" in name]
        blocks = tuple(f"layer.{layer}." for layer in range(self.first, self.shape["layers"]))
        return [name for name in self.p if name.startswith(blocks) or name == "final_norm"]

    def project(self, x, name):
        found = x @ self.p[name]
        if f"{name}.adapter_a" in self.p:
            low = x @ self.p[f"{name}.adapter_a"]
            found = found + low @ self.p[f"{name}.adapter_b"] * (self.method["scale_micro"] / 1e6)
        return found

    def norm(self, x, gamma):
        return F.rms_norm(x, x.shape[-1:], self.p[gamma], self.shape["norm_epsilon_nano"] / 1e9)

    def rotate(self, x):
        length = x.shape[-2]
        a, b = x[..., 0::2], x[..., 1::2]
        cos, sin = self.cos[:length], self.sin[:length]
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)

    def attention(self, x, layer):
        rows, length, width = x.shape

        def heads(name, count):
            projected = self.project(x, f"layer.{layer}.{name}")
            return projected.view(rows, length, count, self.head_width).transpose(1, 2)

        heads_all, kv = self.shape["heads"], self.shape["kv_heads"]
        q = self.rotate(heads("query", heads_all))
        k = self.rotate(heads("key", kv)).repeat_interleave(heads_all // kv, 1)
        v = heads("value", kv).repeat_interleave(heads_all // kv, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(rows, length, width)
        return self.project(mixed, f"layer.{layer}.attention_output")

    def block(self, x, layer):
        x = x + self.attention(self.norm(x, f"layer.{layer}.attention_norm"), layer)
        h = self.norm(x, f"layer.{layer}.feed_forward_norm")
        gate, up = (self.project(h, f"layer.{layer}.{name}") for name in ("gate", "up"))
        return x + self.project(F.silu(gate) * up, f"layer.{layer}.down")

    def trunk(self, ids):
        """What goes into the first trained block, `[rows, positions, width]`."""
        x = self.p["embedding"][ids]
        for layer in range(self.first):
            x = self.block(x, layer)
        return x

    def token_losses(self, hidden, at, targets):
        """−log-probability of the target of every slot, `[rows, slots]`."""
        x = hidden
        for layer in range(self.first, self.shape["layers"]):
            x = self.block(x, layer)
        x = self.norm(x.flatten(0, 1)[at], "final_norm")
        head = self.p["embedding"].T if self.shape["tied_head"] else self.p["head"]
        losses = F.cross_entropy((x @ head).flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view(targets.shape)


class Optimizer:
    """PyTorch's own AdamW, with the recipe's schedule and clipping; `recipe` is the [training] table."""

    def __init__(self, model, recipe, steps):
        def micro(name):
            return recipe[f"{name}_micro"] / 1e6

        self.peak, self.last, self.clip = micro("learning_rate"), micro("final_rate"), micro("clip_norm")
        self.warm, self.steps, self.step = math.ceil(micro("warmup") * steps), steps, 0
        self.parameters = [model.p[name] for name in model.trained()]
        self.adam = torch.optim.AdamW(
            self.parameters,
            lr=self.peak,
            betas=(micro("beta1"), micro("beta2")),
            eps=recipe["epsilon_nano"] / 1e9,
            weight_decay=micro("weight_decay"),
            fused=True,
        )

    def rate(self):
        """The learning rate of the present step: linear up, then linear down to the last step."""
        step = self.step % self.steps
        if step < self.warm:
            return self.peak * (step + 1) / self.warm
        span = self.steps - self.warm
        left = (self.steps - 1 - step) / (span - 1) if span > 1 else 0.0
        return self.peak * (self.last + (1 - self.last) * left)

    def update(self):
        """Clips the gradients, moves the parameters and forgets the gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adam.step()
        self.adam.zero_grad()
        self.step += 1


class Training:
    """A workload in training."""

    def __init__(self, workload, dtype=torch.float32, compiled=False):
        self.workload, self.dtype = workload, dtype
        self.model = Llama(workload.shape, workload.recipe["method"], workload.tensors(dtype))
        self.optimizer = Optimizer(self.model, workload.recipe, len(workload.steps))
        self.losses = self.model.token_losses
        if compiled:
            self.losses = torch.compile(self.losses, dynamic=False)
        self.features = self._features() if self.model.first else None

    def _features(self):
        rows, recipe = self.workload.rows, self.workload.recipe
        with torch.no_grad():
            each = [self.model.trunk(Batch([row], recipe, count=1).ids)[0] for row in rows]
        return torch.stack(each)

    def hidden(self, batch):
        """What the first trained block is given."""
        if self.features is None:
            return self.model.trunk(batch.ids)
        hidden = self.features.new_zeros(*batch.ids.shape, self.features.shape[-1])
        hidden[: batch.rows] = self.features[batch.members]
        return hidden

    def step(self, batch):
        """One step on one batch; the mean loss of the learned positions before it."""
        losses = self.losses(self.hidden(batch), batch.at, batch.targets)
        loss = (losses * batch.learned).sum() / batch.learned.sum()
        loss.backward()
        self.optimizer.update()
        return loss.item()
