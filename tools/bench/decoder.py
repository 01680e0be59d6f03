"""Times one exact training step of a decoder with random weights beside PyTorch's. Run by hand:

    python tools/bench/decoder.py [--rounds N] [--torch-threads N] [-- OPTIONS OF dataforge-bench decoder]

needs torch and onnx in that Python, and cargo. Every lowering and PyTorch eager f32 (forward, backward,
clip, AdamW) take steps in turns on the same sizes, so that all see the same machine. Prints one JSON object:
medians of wall-clock milliseconds and, where the system tells, of processor milliseconds; ratios to PyTorch.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch

from peer import REPOSITORY, Llama, Optimizer, train_step

RECIPE = {
    "learning_rate_micro": 1000,
    "final_rate_micro": 100_000,
    "clip_norm_micro": 1_000_000,
    "warmup_micro": 100_000,
    "beta1_micro": 900_000,
    "beta2_micro": 950_000,
    "epsilon_nano": 10,
    "weight_decay_micro": 10_000,
}


def processor_ms(pid):
    """Milliseconds that a process's threads have run, or 0 where the system does not tell."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
    except OSError:
        return 0.0
    return total / 1e6


class Torch:
    def __init__(self, size):
        torch.manual_seed(0)
        d, h, v = size.width, size.hidden, size.vocabulary
        kv = d // size.heads * size.kv_heads
        shapes = {"embedding": (v, d), "final_norm": (d,)}
        for layer in range(size.layers):
            shapes |= {
                f"layer.{layer}.{name}": shape
                for name, shape in {
                    "attention_norm": (d,),
                    "query": (d, d),
                    "key": (d, kv),
                    "value": (d, kv),
                    "attention_output": (d, d),
                    "feed_forward_norm": (d,),
                    "gate": (d, h),
                    "up": (d, h),
                    "down": (h, d),
                }.items()
            }
        weights = {
            name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape) / shape[0] ** 0.5
            for name, shape in shapes.items()
        }
        shape = {
            "layers": size.layers,
            "width": d,
            "heads": size.heads,
            "kv_heads": size.kv_heads,
            "context": size.positions,
            "rope_base": 10_000,
            "norm_epsilon_nano": 10_000,
            "tied_head": True,
        }
        self.model = Llama(shape, weights)
        self.optimizer = Optimizer(self.model, RECIPE, 1000)
        ids = torch.randint(v, (size.rows, size.positions + 1))
        self.ids, self.targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
        self.learned = torch.ones(self.ids.shape)

    def step(self):
        train_step(self.model, self.optimizer, self.ids, self.targets, self.learned)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--program", help="a dataforge-bench that is built already")
    for name, default in [
        ("threads", 1), ("bits", 20), ("vocabulary", 2048), ("width", 128), ("layers", 4),
        ("heads", 4), ("kv-heads", 4), ("hidden", 512), ("rows", 16), ("positions", 64),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default)
    size = parser.parse_args()
    torch.set_num_threads(size.threads)
    cargo = ["cargo", "run", "--quiet", "--release", "-p", "dataforge-bench", "--"]
    command = [size.program] if size.program else cargo
    names = "threads bits vocabulary width layers heads kv_heads hidden rows positions".split()
    for name in names:
        command += [f"--{name.replace('_', '-')}", str(getattr(size, name))]
    command.insert(1 if size.program else len(cargo), "decoder")
    ours = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    header = json.loads(ours.stdout.readline())
    peer = Torch(size)

    def take(name):
        pid = os.getpid() if name == "torch" else ours.pid
        before, start = processor_ms(pid), time.perf_counter()
        if name == "torch":
            peer.step()
            wall = (time.perf_counter() - start) * 1e3
        else:
            print(name, file=ours.stdin, flush=True)
            wall = float(ours.stdout.readline())
        return wall, processor_ms(pid) - before

    runners = ["torch", *header["lowerings"]]
    for name in runners * 2:
        take(name)
    times = {name: [] for name in runners}
    for _ in range(size.rounds):
        for name in runners:
            times[name].append(take(name))
    ours.stdin.close()
    wall = {name: statistics.median(t[0] for t in times[name]) for name in runners}
    processor = {name: statistics.median(t[1] for t in times[name]) for name in runners}
    print(json.dumps({
        **header,
        "sizes": {name: getattr(size, name) for name in names},
        "rounds": size.rounds,
        "load": os.getloadavg()[0],
        "wall_ms": {name: round(ms, 1) for name, ms in wall.items()},
        "processor_ms": {name: round(ms, 1) for name, ms in processor.items()},
        "over_torch": {name: round(wall[name] / wall["torch"], 2) for name in header["lowerings"]},
        "processor_over_torch": {
            name: round(processor[name] / max(processor["torch"], 1e-9), 2)
            for name in header["lowerings"]
        },
    }, indent=1))


if __name__ == "__main__":
    main()
