"""Compares the tokenizer kernel with the library that the field tokenizes with.

    python tokens.py TOKENIZER.json STRINGS.jsonl IDS.jsonl

A line of STRINGS is a string; the same line of IDS is the list of ids that the kernel gives it. The library
adds nothing, pads and truncates nothing, and takes the spelling of a special token for plain text. Every id
must be equal. Exit code 1 names the first string that differs, with both lists; 2 says what is wrong with
the files or the package.

The reference is PACKAGE. Python needs nothing else.
"""

import importlib.metadata
import json
import sys

PACKAGE = "tokenizers==0.22.2"

# Strings that the library encodes at once.
BATCH = 4096


def fault(message):
    print(message, file=sys.stderr)
    return 2


def found(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def reference(path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def compare(tokenizer, strings, ids):
    """Prints how many strings have equal ids, or the first that has not; the exit code."""
    if not strings or len(strings) != len(ids):
        return fault(f"there are {len(strings)} strings and {len(ids)} lists of ids")
    number, tokens = 0, 0
    for start in range(0, len(strings), BATCH):
        for expected in tokenizer.encode_batch(strings[start : start + BATCH], add_special_tokens=False):
            if ids[number] != expected.ids:
                print(f"string {number + 1}: the ids are {ids[number]}, the reference says {expected.ids}")
                print(json.dumps(strings[number]))
                return 1
            number += 1
            tokens += len(expected.ids)
    print(f"strings {number}, ids equal {number}; {tokens} ids")
    return 0


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    if len(sys.argv) != 4:
        return fault(__doc__.strip())
    name, wanted = PACKAGE.split("==")
    if found(name) != wanted:
        return fault(f"{name} is {found(name)}, not {wanted}: pip install {PACKAGE}")
    return compare(reference(sys.argv[1]), lines(sys.argv[2]), lines(sys.argv[3]))


if __name__ == "__main__":
    sys.exit(main())
