"""What datasets of several qualities earn: real evaluations of date@1.

    calibrate.py DATAFORGE FOLDER REPEATS

Writes datasets of 500 dates with their weekdays, of which a share has the outputs of other rows,
evaluates each with a seed of its own, and prints one JSON object: for each quality (the share of
right rows) the lifts in millionths of a nat, and how far their bounds lie below them. Datasets and proofs stay in FOLDER;
what is there already is not evaluated again.
"""

import datetime
import json
import pathlib
import random
import subprocess
import sys

SPEC = "date@1"
ROWS = 500
QUALITIES = [1.0, 0.9, 0.75, 0.5, 0.25, 0.0]


def dataset(number: int, quality: float) -> list[str]:
    """Rows that no other number has, but by chance."""
    draw = random.Random(f"{number}/{quality}")
    days = draw.sample(range(200 * 365), ROWS)
    dates = [datetime.date(1900, 1, 1) + datetime.timedelta(days=day) for day in days]
    outputs = [f"{date:%A}, {date:%B} {date.day}, {date.year}." for date in dates]
    wrong = draw.sample(range(ROWS), round((1 - quality) * ROWS))
    for place, other in zip(wrong, wrong[1:] + wrong[:1]):
        outputs[place], outputs[other] = outputs[other], outputs[place]
    rows = zip(dates, outputs)
    return [json.dumps({"input": f"{date:%Y-%m-%d}", "output": text}) for date, text in rows]


def evaluated(dataforge: str, folder: pathlib.Path, number: int, quality: float) -> dict:
    name = f"{quality:.2f}-{number}"
    found = folder / f"{name}.json"
    if not found.exists():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(line + "\n" for line in dataset(number, quality)))
        seed = random.Random(f"seed/{number}/{quality}").randbytes(32).hex()
        options = ["--spec", SPEC, "--seed", seed, "--out", folder / f"{name}.proof", "--json"]
        command = [dataforge, "evaluate", path, "--checkpoint-mib", "0", *options]
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        if run.returncode not in (0, 1):
            sys.exit(run.stderr)
        found.write_text(run.stdout)
        print(name, json.loads(run.stdout).get("lift"), file=sys.stderr)
    return json.loads(found.read_text())


def main() -> None:
    dataforge, folder, repeats = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for quality in QUALITIES:
        runs = [evaluated(dataforge, folder, number, quality) for number in range(int(repeats))]
        micro = [round(1e6 * run["lift"]) for run in runs]
        mean = sum(micro) / len(micro)
        spread = (sum((lift - mean) ** 2 for lift in micro) / max(1, len(micro) - 1)) ** 0.5
        table.append(
            {
                "quality_ppm": round(1e6 * quality),
                "mean": round(mean),
                "deviation": round(spread),
                "bound_below": round(sum(1e6 * (run["lift"] - run["bound"]) for run in runs) / len(runs)),
                "verdicts": sorted({run["verdict"] for run in runs}),
                "lifts": micro,
            }
        )
    print(json.dumps({"spec": SPEC, "rows": ROWS, "qualities": table}, indent=2))


if __name__ == "__main__":
    main()
