"""Draws benchmark loss against operand width from quality.csv: python plot.py quality.csv widths.svg.

One panel per workload, one line per seed, relative to PyTorch f32 of the same seed; the band is the
tolerance of 0.5 %, the dots at the right edge are PyTorch f64. Called by `cargo xtask quality --out`.
"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
# The same data give the same file.
matplotlib.rcParams["svg.hashsalt"] = "dataforge"
from matplotlib import pyplot  # noqa: E402

TOLERANCE = 0.5
LINEAR = 1.0


def main():
    source, target = sys.argv[1:]
    with open(source, newline="", encoding="utf-8") as file:
        runs = [run for run in csv.DictReader(file) if run["relative_to_f32"]]
    cases = list(dict.fromkeys(run["case"] for run in runs))
    figure, panels = pyplot.subplots(1, len(cases), figsize=(4.2 * len(cases), 3.8), squeeze=False)
    for case, panel in zip(cases, panels[0]):
        own = [run for run in runs if run["case"] == case]
        draw(panel, case, own)
    panels[0][0].set_ylabel("benchmark loss relative to PyTorch f32, %")
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def draw(panel, case, runs):
    panel.axhspan(-TOLERANCE, TOLERANCE, color="0.9")
    panel.axhline(0, color="0.6", linewidth=0.8)
    widths = []
    for seed in sorted({run["seed"] for run in runs}):
        points = {run["party"]: 100 * float(run["relative_to_f32"]) for run in runs if run["seed"] == seed}
        exact = sorted((int(party[7:]), loss) for party, loss in points.items() if party[:7] == "exact-b")
        widths = [width for width, _ in exact]
        (line,) = panel.plot(widths, [loss for _, loss in exact], marker=".", label=f"seed {seed}")
        if "torch-float64" in points:
            panel.plot(24, points["torch-float64"], marker="o", color=line.get_color(), fillstyle="none")
    panel.set_yscale("symlog", linthresh=LINEAR)
    panel.set_xticks([*widths, 24], [*map(str, widths), "f64"], fontsize=8)
    panel.set_title(case)
    panel.set_xlabel("operand width, bits")
    panel.legend(fontsize=8)


if __name__ == "__main__":
    main()
