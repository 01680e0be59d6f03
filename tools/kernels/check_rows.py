"""Measures the memory and the time of `dataforge check` on large datasets of real text.

    python check_rows.py PROGRAM TEXTS.jsonl ROWS FOLDER

writes datasets of pairs of the texts into FOLDER, one at a time, has PROGRAM check each against date@1, and prints a
JSON list of {"dataset", "rows", "bytes", "seconds", "rows_per_s", "peak_mib"}: rows that differ, a tenth as many, and
rows that all stand in the dataset twice. Peak memory is that of the process (`ru_maxrss`).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def pairs(texts, rows):
    """Pairs that differ, of texts that the spec's schema takes."""
    inputs = [text[:64] for text in texts if text[:64].strip()]
    outputs = [text[:120] for text in texts]
    for row in range(rows):
        turn, place = divmod(row, len(inputs))
        output = outputs[(place + 1 + 7919 * turn) % len(outputs)]
        yield json.dumps({"input": inputs[place], "output": output}, ensure_ascii=False)


def measured(program, dataset, name, rows):
    # Of this child alone: `getrusage` of all children would give the largest.
    start = time.monotonic()
    command = [program, "check", "--spec", "date@1", "--json", str(dataset)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = json.load(child.stdout)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    # More rows than the spec takes are a fault, so the answer is no.
    if os.waitstatus_to_exitcode(status) != 1 or said["rows"] != rows:
        sys.exit(f"{name}: {said['rows']} of {rows} rows were checked: {said['faults'][:3]}")
    return {
        "dataset": name,
        "rows": rows,
        "bytes": dataset.stat().st_size,
        "copies": said["alike"]["copies"],
        "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def main(program, texts, rows, folder):
    rows, folder = int(rows), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(texts, encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    measurements = []
    for name, different, times in [
        ("a tenth", rows // 10, 1),
        ("different rows", rows, 1),
        ("each row twice", rows // 2, 2),
    ]:
        dataset = folder / "rows.jsonl"
        with open(dataset, "w", encoding="utf-8") as file:
            for _ in range(times):
                file.writelines(line + "\n" for line in pairs(texts, different))
        measurements.append(measured(program, dataset, name, different * times))
        dataset.unlink()
    print(json.dumps(measurements, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
