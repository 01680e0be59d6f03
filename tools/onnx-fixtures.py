"""Writes the ONNX models that tests of the import read, with inputs and expected outputs.

    python tools/onnx-fixtures.py runtime/graph/fixtures

Needs torch, onnx, onnxscript, onnxruntime and numpy (written with 2.15, 1.23.2, 0.7.2, 1.31.1 and
2.4.6). NAME.onnx is a model; the stored tensors of NAME.data.onnx are its inputs and the outputs
that onnx.reference gives, checked against ONNX Runtime, by name.
"""

import math
import pathlib
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

VOCABULARY, WIDTH, HEADS, KV_HEADS, HIDDEN = 32, 16, 4, 2, 24
ROWS, POSITIONS = 2, 6


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(WIDTH) + 0.5)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class NativeRMSNorm(RMSNorm):
    def forward(self, x):
        return F.rms_norm(x, (WIDTH,), self.weight, 1e-6)


def turn(x, cos, sin):
    """Rotary positions over the two halves of the last dimension."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Decoder(nn.Module):
    """A llama-like language model, written as people write them."""

    def __init__(self, norm=RMSNorm, layers=1):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList([Layer(norm) for _ in range(layers)])
        self.norm = norm()

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.embedding.weight)


class Layer(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.head = WIDTH // HEADS
        kv = self.head * KV_HEADS
        self.norms = nn.ModuleList([norm(), norm()])
        self.q, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(WIDTH, kv, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(WIDTH, HIDDEN, bias=False) for _ in range(2))
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)
        frequencies = 10000.0 ** (-torch.arange(0, self.head, 2) / self.head)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def attention(self, x):
        rows, positions, _ = x.shape
        q = self.q(x).view(rows, positions, HEADS, self.head).transpose(1, 2)
        k, v = (
            f(x).view(rows, positions, KV_HEADS, self.head).transpose(1, 2)
            for f in (self.k, self.v)
        )
        angles = torch.arange(positions)[:, None] * self.frequencies[None, :]
        angles = torch.cat([angles, angles], -1)
        q, k = (turn(t, angles.cos(), angles.sin()) for t in (q, k))
        shape = (rows, KV_HEADS, HEADS // KV_HEADS, positions, self.head)
        k, v = (
            t[:, :, None].expand(shape).reshape(rows, HEADS, positions, self.head) for t in (k, v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(rows, positions, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        z = self.norms[1](x)
        return x + self.down(F.silu(self.gate(z)) * self.up(z))


class Llama(nn.Module):
    """The built-in family with the weights of the fixture `llama`, as a PyTorch module."""

    def __init__(self, layers=2):
        super().__init__()
        head, kv = WIDTH // HEADS, WIDTH // HEADS * KV_HEADS
        shapes = {"embedding": (VOCABULARY, WIDTH), "final_norm": (WIDTH,)}
        block = {"attention_norm": (WIDTH,), "feed_forward_norm": (WIDTH,)}
        block |= {"query": (WIDTH, WIDTH), "attention_output": (WIDTH, WIDTH)}
        block |= {"key": (WIDTH, kv), "value": (WIDTH, kv)}
        block |= {"gate": (WIDTH, HIDDEN), "up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)}
        for i in range(layers):
            shapes |= {f"layer.{i}.{name}": shape for name, shape in block.items()}
        tensors = {k: floats(*v, name=k) + np.float32("norm" in k) for k, v in shapes.items()}
        named = {k.replace(".", "_"): nn.Parameter(torch.tensor(v)) for k, v in tensors.items()}
        self.weights = nn.ParameterDict(named)
        self.layers, self.head = layers, head

    def forward(self, ids):
        w = self.weights
        rows, positions = ids.shape
        exponents = -torch.arange(0, self.head, 2, dtype=torch.float32) / self.head
        angles = torch.arange(positions)[:, None] * torch.pow(10000.0, exponents)[None, :]

        def norm(x, name):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w[name]

        def turn(x):
            a, b = x[..., 0::2], x[..., 1::2]
            cos, sin = angles.cos(), angles.sin()
            return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)

        def heads(x, count):
            return x.view(rows, positions, count, self.head).transpose(1, 2)

        x = F.embedding(ids, w["embedding"])
        for i in range(self.layers):
            block = f"layer_{i}_"
            z = norm(x, block + "attention_norm")
            q = turn(heads(z @ w[block + "query"], HEADS))
            k = turn(heads(z @ w[block + "key"], KV_HEADS))
            v = heads(z @ w[block + "value"], KV_HEADS)
            k, v = (t.repeat_interleave(HEADS // KV_HEADS, dim=1) for t in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = y.transpose(1, 2).reshape(rows, positions, WIDTH)
            x = x + y @ w[block + "attention_output"]
            z = norm(x, block + "feed_forward_norm")
            inner = F.silu(z @ w[block + "gate"]) * (z @ w[block + "up"])
            x = x + inner @ w[block + "down"]
        return norm(x, "final_norm") @ w["embedding"].T


class Encoder(nn.Module):
    """A BERT-like encoder with mean pooling and a head of classes."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(16, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(3)])
        self.qkvo = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(4)])
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.pooler, self.classes = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, ids, mask):
        rows, positions = ids.shape
        x = self.norms[0](self.words(ids) + self.places(torch.arange(positions)))
        q, k, v = (
            f(x).view(rows, positions, HEADS, WIDTH // HEADS).transpose(1, 2)
            for f in self.qkvo[:3]
        )
        hidden = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + hidden
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, positions, WIDTH)
        x = self.norms[1](x + self.qkvo[3](y))
        x = self.norms[2](x + self.down(F.gelu(self.up(x))))
        share = mask[..., None].float()
        mean = (x * share).sum(1) / share.sum(1).clamp(min=1e-9)
        return F.normalize(mean, dim=1), self.classes(torch.tanh(self.pooler(x[:, 0])))


def export(module, args, names, outputs, opset, dynamo):
    """The bytes of a PyTorch module with free rows and positions."""
    path = "/dev/shm/export.onnx" if pathlib.Path("/dev/shm").is_dir() else "export.onnx"
    common = dict(input_names=names, output_names=outputs, opset_version=opset)
    free = {0: "rows", 1: "positions"}
    if dynamo:
        dims = {i: torch.export.Dim(name) for i, name in free.items()}
        shapes = {name: dims for name in names}
        kwargs = dict(dynamo=True, external_data=False, dynamic_shapes=shapes)
    else:
        kwargs = dict(dynamo=False, dynamic_axes={name: free for name in names})
    torch.onnx.export(module.eval(), args, path, **common, **kwargs)
    return onnx.load(path)


def stripped(model):
    """Without what describes where the nodes came from."""
    for part in [model, model.graph, *model.graph.node]:
        part.doc_string = ""
        if "metadata_props" in part.DESCRIPTOR.fields_by_name:
            del part.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        if "metadata_props" in value.DESCRIPTOR.fields_by_name:
            del value.metadata_props[:]
    del model.graph.value_info[:]
    return model


def write(folder, name, model, inputs):
    model = stripped(model)
    onnx.checker.check_model(model)
    names = [value.name for value in model.graph.output]
    expected = ReferenceEvaluator(model).run(None, inputs)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for output, a, b in zip(names, expected, session.run(None, inputs)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=output)
    tensors = [*inputs.items(), *zip(names, expected)]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors]
    data = helper.make_model(helper.make_graph([], "data", [], [], tensors))
    for path, part in [(f"{name}.onnx", model), (f"{name}.data.onnx", data)]:
        (folder / path).write_bytes(part.SerializeToString())
        print(f"{path}: {part.ByteSize()} bytes")


def transformers(out):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCABULARY, (ROWS, POSITIONS), generator=generator)
    mask = torch.ones(ROWS, POSITIONS, dtype=torch.int64)
    mask[1, 4:] = 0
    for name, opset, dynamo, module in [
        ("decoder-torchscript-17", 17, False, lambda: Decoder(RMSNorm)),
        ("decoder-dynamo-23", 23, True, lambda: Decoder(NativeRMSNorm)),
        ("llama-dynamo-18", 18, True, Llama),
    ]:
        torch.manual_seed(2)
        model = export(module(), (ids,), ["ids"], ["logits"], opset, dynamo)
        write(out, name, model, {"ids": ids.numpy()})
    for name, opset, dynamo in [
        ("encoder-torchscript-17", 17, False),
        ("encoder-dynamo-23", 23, True),
    ]:
        torch.manual_seed(3)
        names = ["ids", "mask"]
        model = export(Encoder(), (ids, mask), names, ["pooled", "logits"], opset, dynamo)
        write(out, name, model, {"ids": ids.numpy(), "mask": mask.numpy()})


class Nodes:
    """A graph under construction."""

    def __init__(self):
        self.nodes, self.stored = [], []

    def __call__(self, op, *inputs, **attributes):
        names = [self.value(x) for x in inputs]
        outputs = attributes.pop("outputs", 1)
        results = [f"{op.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, results, **attributes))
        return results[0] if outputs == 1 else results

    def value(self, x):
        if isinstance(x, str):
            return x
        name = f"constant_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.asarray(x))
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def store(self, name, array):
        self.stored.append(numpy_helper.from_array(array, name))
        return name

    def model(self, inputs, outputs, opset=17):
        graph = helper.make_graph(self.nodes, "fixture", inputs, outputs, self.stored)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def floats(*shape, name="x"):
    """Elements that depend on the name and the shape alone."""
    seed = zlib.crc32(f"{name} {shape}".encode())
    return (np.random.default_rng(seed).standard_normal(shape) * 0.3).astype(np.float32)


def operators(out):
    """Every operator that the transformers leave out, on one input of floats and one of indices."""
    n = Nodes()
    x = floats(2, 3, 8)
    ids = np.array([[1, 0, 2], [2, 2, 7]], np.int64)
    w, table = n.store("w", floats(8, 5)), n.store("table", floats(9, 4))
    i64 = lambda *v: np.array(v, np.int64)
    f32 = lambda v: np.array(v, np.float32)
    total = n("Softmax", n("Mul", "x", f32(3.0)), axis=1)
    results = {
        "gemm": n("Gemm", n("Reshape", "x", i64(-1, 8)), w, floats(5), alpha=0.5, beta=2.0),
        "gemm_t": n("Gemm", w, n("Reshape", "x", i64(6, 8)), transA=1, transB=1),
        "vector": n("MatMul", "x", floats(8)),
        "row": n("MatMul", floats(8), w),
        "stacks": n("MatMul", "x", n("Transpose", "x", perm=[0, 2, 1])),
        "stack_of_one": n("MatMul", floats(1, 4, 8), n("Transpose", "x", perm=[0, 2, 1])),
        "pow": n("Add", n("Pow", "x", f32(2.0)), n("Pow", "x", f32(3.0))),
        "pow_half": n("Pow", n("Abs", "x"), f32(0.5)),
        "pow_minus": n("Pow", n("Add", n("Abs", "x"), f32(1.0)), f32(-2.0)),
        "reciprocal": n("Reciprocal", n("Add", n("Abs", "x"), f32(0.5))),
        "clip": n("Clip", "x", f32(-0.2), f32(0.25)),
        "relu": n("Relu", "x"),
        "ceil": n("Ceil", "x"),
        "floor": n("Floor", n("Mul", "x", f32(4.0))),
        "exp": n("Exp", "x"),
        "min": n("Min", "x", f32(0.1), floats(8)),
        "max": n("Max", "x", floats(3, 8)),
        "sum": n("Sum", "x", "x", floats(8)),
        "softmax": total,
        "mean": n("ReduceMean", "x", axes=[0, -1]),
        "mean_all": n("ReduceMean", "x", keepdims=0),
        "reduce_sum": n("ReduceSum", "x", i64(1), keepdims=0),
        "reduce_max": n("ReduceMax", "x", axes=[1, 0], keepdims=0),
        "reduce_min": n("ReduceMin", "x", axes=[-1]),
        "l2": n("ReduceL2", "x", axes=[2]),
        "square": n("ReduceSumSquare", "x", axes=[1], keepdims=0),
        "lookup": n("Gather", table, "ids"),
        "gather_last": n("Gather", "x", i64(3, 1, -1, 1), axis=2),
        "gather_one": n("Gather", "x", np.array(-1, np.int64), axis=1),
        "gather_live": n("Gather", w, "ids", axis=0),
        "gather_axis": n("Gather", n("Transpose", w, perm=[1, 0]), "ids", axis=1),
        "elements": n("GatherElements", "x", n("Unsqueeze", "ids", i64(-1)), axis=2),
        "slices": n("Slice", "x", i64(-1, 1), i64(-100, 100), i64(2, 1), i64(-3, 1)),
        "slice_even": n("Slice", "x", i64(1), i64(2**63 - 1), i64(-1), i64(2)),
        "split": n("Concat", *reversed(n("Split", "x", i64(2, 5, 1), axis=2, outputs=3)), axis=2),
        "halves": n("Sub", *n("Split", "x", axis=2, outputs=2)),
        "concat": n("Concat", "x", floats(2, 2, 8), axis=1),
        "tile": n("Tile", "x", i64(1, 2, 3)),
        "expand": n("Expand", n("Slice", "x", i64(0), i64(1), i64(1)), i64(2, 2, 5, 1)[[0, 1, 3]]),
        "squeeze": n("Squeeze", n("Slice", "x", i64(0), i64(1), i64(1)), i64(1)),
        "flatten": n("Flatten", "x", axis=2),
        "trilu": n("Trilu", "x", np.array(1, np.int64)),
        "tril": n("Trilu", "x", upper=0),
        "where": n("Where", n("Greater", "x", f32(0.0)), "x", floats(3, 8)),
        "logic": n(
            "Where",
            n(
                "And",
                n("Or", n("Less", "x", f32(-0.2)), n("GreaterOrEqual", "x", f32(0.2))),
                n("Not", n("LessOrEqual", "x", floats(8))),
            ),
            f32(1.0),
            "x",
        ),
        "hit": n("Cast", n("Equal", "ids", i64(2)), to=TensorProto.FLOAT),
        "some": n("Cast", n("Cast", "ids", to=TensorProto.BOOL), to=TensorProto.FLOAT),
        "number": n("Cast", "ids", to=TensorProto.FLOAT),
        "norm": n("LayerNormalization", "x", floats(3, 8), floats(3, 8), axis=1, epsilon=1e-3),
        "positions": n(
            "Cos",
            n("Mul", n("Cast", n("Range", *map(np.int64, (0, 8, 1))), to=1), f32(0.3)),
        ),
        "tuples": n("GatherND", "x", np.array([[1, 2], [0, -1]], np.int64)),
        "tuples_live": n("GatherND", w, n("Unsqueeze", "ids", i64(-1))),
        "tuples_hit": n(
            "Cast",
            n("GatherND", n("Greater", "x", f32(0.0)), np.array([[0, 1, 2], [1, 2, 7]], np.int64)),
            to=TensorProto.FLOAT,
        ),
        "elements_known": n(
            "Add",
            n("GatherElements", floats(3, 4), np.array([[2, 0, 1, 1], [1, 1, 0, 2]], np.int64), axis=0),
            n("ReduceMax", "x"),
        ),
    }
    given = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 8]),
        helper.make_tensor_value_info("ids", TensorProto.INT64, [2, 3]),
    ]
    outputs = []
    for name, value in results.items():
        n.nodes.append(helper.make_node("Identity", [value], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    model = onnx.shape_inference.infer_shapes(n.model(given, outputs))
    write(out, "operators", model, {"x": x, "ids": ids})


def rotary(positions, head, base):
    """Cosines and signed sines for pairs (2i, 2i+1)."""
    exponents = -(np.arange(head) // 2 * 2).astype(np.float64) / head
    angles = np.arange(positions)[:, None] * np.power(float(base), exponents)[None, :]
    signs = np.where(np.arange(head) % 2 == 0, -1.0, 1.0)
    return np.cos(angles).astype(np.float32), (signs * np.sin(angles)).astype(np.float32)


def llama(out):
    """The built-in family, operator for operator: runtime/graph/src/llama.rs."""
    vocabulary, width, heads, kv_heads, hidden = 32, 16, 4, 2, 24
    head, group, rows, positions = width // heads, heads // kv_heads, ROWS, POSITIONS
    n = Nodes()
    i64 = lambda *v: np.array(v, np.int64)
    norm_count = np.array(1.0 / width, np.float32)
    cosine, sine = rotary(positions, head, 10000)
    swap = i64(*(i ^ 1 for i in range(head)))
    mask = np.where(np.triu(np.ones((positions, positions)), 1) > 0, -1e9, 0.0).astype(np.float32)

    def norm(x, name):
        gamma = n.store(name, floats(width, name=name) + np.float32(1.0))
        mean = n("Mul", n("ReduceSum", n("Mul", x, x), i64(1)), norm_count)
        root = n("Sqrt", n("Add", mean, np.array(1e-6, np.float32)))
        return n("Mul", n("Div", x, root), gamma)

    def turn(x):
        return n("Add", n("Mul", x, cosine), n("Mul", n("Gather", x, swap, axis=-1), sine))

    def split(x, shape, perm):
        return n("Transpose", n("Reshape", x, i64(*shape)), perm=perm)

    table = n.store("embedding", floats(vocabulary, width, name="embedding"))
    x = n("Reshape", n("Gather", table, "ids"), i64(rows * positions, width))
    for layer in range(2):

        def weight(name, *shape):
            name = f"layer.{layer}.{name}"
            return n.store(name, floats(*shape, name=name))

        normed = norm(x, f"layer.{layer}.attention_norm")
        kv = head * kv_heads
        sizes = {"query": width, "key": kv, "value": kv}
        q, k, v = (n("MatMul", normed, weight(name, width, d)) for name, d in sizes.items())
        q = split(q, (rows, positions, kv_heads, group, head), [0, 2, 3, 1, 4])
        q = n("Mul", turn(q), np.array(1.0 / math.sqrt(head), np.float32))
        q = n("Reshape", q, i64(rows, kv_heads, group * positions, head))
        k, v = (split(t, (rows, positions, kv_heads, head), [0, 2, 1, 3]) for t in (k, v))
        k = turn(k)
        scores = n("MatMul", q, n("Transpose", k, perm=[0, 1, 3, 2]))
        scores = n("Reshape", scores, i64(rows, kv_heads, group, positions, positions))
        shares = n("Softmax", n("Add", scores, mask), axis=-1)
        shares = n("Reshape", shares, i64(rows, kv_heads, group * positions, positions))
        mixed = n("Reshape", n("MatMul", shares, v), i64(rows, kv_heads, group, positions, head))
        mixed = n("Transpose", mixed, perm=[0, 3, 1, 2, 4])
        mixed = n("Reshape", mixed, i64(rows * positions, width))
        x = n("Add", x, n("MatMul", mixed, weight("attention_output", width, width)))
        normed = norm(x, f"layer.{layer}.feed_forward_norm")
        gate = n("MatMul", normed, weight("gate", width, hidden))
        up = n("MatMul", normed, weight("up", width, hidden))
        inner = n("Mul", n("Mul", gate, n("Sigmoid", gate)), up)
        x = n("Add", x, n("MatMul", inner, weight("down", hidden, width)))
    x = norm(n("Gather", x, "at"), "final_norm")
    logits = n("MatMul", x, n("Transpose", table, perm=[1, 0]))
    n.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    given = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, [rows, positions]),
        helper.make_tensor_value_info("at", TensorProto.INT64, ["slots"]),
    ]
    shape = ["slots", vocabulary]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)]
    ids = np.random.default_rng(5).integers(0, vocabulary, (rows, positions))
    write(out, "llama", n.model(given, outputs), {"ids": ids, "at": i64(1, 2, 7, 10)})


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(exist_ok=True)
    operators(target)
    llama(target)
    transformers(target)
