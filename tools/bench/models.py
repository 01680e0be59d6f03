"""Forward passes of the two reference models in NumPy, in f64, written from the papers: what the
exact graphs are compared with. Knows nothing of the graphs but their parameters' names."""

import math

import numpy as np


def softmax(x):
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    """Over the last axis."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def attend(q, k, v, mask, heads, groups):
    """Attention of one row: q [n, heads * size], k and v [n, heads / groups * size]."""
    n, size = len(q), q.shape[1] // heads
    q = q.reshape(n, heads, size).transpose(1, 0, 2)
    k, v = (np.repeat(t.reshape(n, -1, size).transpose(1, 0, 2), groups, 0) for t in (k, v))
    shares = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(size) + mask)
    return (shares @ v).transpose(1, 0, 2).reshape(n, -1)


def llama(w, ids, heads, kv_heads, base, epsilon):
    """Logits [n, vocabulary] of one row of token ids. Touvron et al. 2023."""

    def norm(x, gamma):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gamma

    def turn(x):
        """Su et al. 2021, over neighbouring pairs, as complex numbers."""
        pairs = x.reshape(n, -1, size // 2, 2)
        z = (pairs[..., 0] + 1j * pairs[..., 1]) * angles[:, None]
        return np.stack([z.real, z.imag], -1).reshape(n, -1)

    n, size = len(ids), w["embedding"].shape[1] // heads
    angles = np.exp(1j * np.outer(np.arange(n), base ** (-np.arange(0, size, 2) / size)))
    mask = np.triu(np.full((n, n), -np.inf), 1)
    x = w["embedding"][ids].astype(np.float64)
    layer = 0
    while f"layer.{layer}.query" in w:
        p = {name: w[f"layer.{layer}.{name}"].astype(np.float64) for name in LLAMA}
        y = norm(x, p["attention_norm"])
        q, k, v = turn(y @ p["query"]), turn(y @ p["key"]), y @ p["value"]
        x = x + attend(q, k, v, mask, heads, heads // kv_heads) @ p["attention_output"]
        y = norm(x, p["feed_forward_norm"])
        gate = y @ p["gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (y @ p["up"])) @ p["down"]
        layer += 1
    head = w["head"] if "head" in w else w["embedding"].T
    return norm(x, w["final_norm"].astype(np.float64)) @ head.astype(np.float64)


LLAMA = (
    "attention_norm query key value attention_output feed_forward_norm gate up down".split()
)


def bert(w, ids, heads, epsilon):
    """The embedding [width], of length 1, of one row of token ids of type 0. Devlin et al. 2018."""

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
        return x * w[name] + w[name + "_bias"]

    def project(x, name):
        name = f"layer.{layer}.{name}"
        return x @ w[name] + w[name + "_bias"]

    w = {name: tensor.astype(np.float64) for name, tensor in w.items()}
    erf = np.vectorize(math.erf)
    x = w["word_embedding"][ids] + w["position_embedding"][: len(ids)] + w["type_embedding"][0]
    x = norm(x, "embedding_norm")
    layer = 0
    while f"layer.{layer}.query" in w:
        q, k, v = (project(x, name) for name in ("query", "key", "value"))
        attended = attend(q, k, v, 0.0, heads, 1)
        x = norm(x + project(attended, "attention_output"), f"layer.{layer}.attention_norm")
        y = project(x, "up")
        y = y / 2 * (1 + erf(y / math.sqrt(2)))
        x = norm(x + project(y, "down"), f"layer.{layer}.feed_forward_norm")
        layer += 1
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)
