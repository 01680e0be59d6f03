"""What the comparisons with the Bittensor SDK share: our side, the fixed world, and counting.

Our side is the example `sdk_cases` of the chain crate: a case as a line of JSON in, an answer as a
line out. The fixed world is `fixed_world.c`, preloaded into this process. Python needs nothing else.
"""

import ctypes
import json
import os
import subprocess
import sys


def fault(message):
    print(message, file=sys.stderr)
    sys.exit(1)


def ask(program, cases):
    """Our answers to the cases, in order."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    # What is preloaded is meant for the SDK.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    run = subprocess.run(
        [program], input=lines, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    if len(answers) != len(cases):
        fault(f"{len(cases)} cases, {len(answers)} answers")
    return answers


def compare(program, what, cases, theirs):
    """Prints how many answers are equal, or the first that differs."""
    for number, (case, our, their) in enumerate(
        zip(cases, ask(program, cases), theirs, strict=True), start=1
    ):
        if our != their:
            fault(f"{what}: case {number} differs\ncase: {json.dumps(case)}\nours: {our}\nSDK:  {their}")
    if not cases:
        fault(f"{what}: there are no cases")
    errors = sum("error" in answer for answer in theirs)
    print(f"{what}: cases {len(cases)}, equal {len(cases)}" + (f" ({errors} errors)" if errors else ""))


def write_golden(path, cases, answers):
    """Cases with the SDK's answers, for the tests of the chain crate."""
    with open(path, "a", encoding="utf-8") as file:
        for case, answer in zip(cases, answers, strict=True):
            file.write(json.dumps({"case": case, "answer": answer}) + "\n")


class FixedWorld:
    """Random bytes and a time for the packages in this process."""

    def __init__(self):
        self.library = ctypes.CDLL(None)
        if not hasattr(self.library, "fixed_random"):
            fault("fixed_world.c is not preloaded")
        self.library.fixed_random.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.library.fixed_random_left.restype = ctypes.c_size_t
        self.library.fixed_clock.argtypes = [ctypes.c_longlong, ctypes.c_long]

    def run(self, call, random=None, now_ms=None):
        """Calls with these random bytes at this time; the result, and how many bytes it drew."""
        if now_ms is not None:
            self.library.fixed_clock(now_ms // 1000, now_ms % 1000 * 1_000_000)
        if random is not None:
            self.library.fixed_random(random, len(random))
        try:
            result = call()
        finally:
            drawn = len(random) - self.library.fixed_random_left() if random is not None else 0
            self.library.fixed_random(None, 0)
            self.library.real_clock()
        return result, drawn
