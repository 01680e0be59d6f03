"""Compares hashes of weights for the older commit-reveal with the Bittensor SDK's.

    python commit_hash.py PROGRAM SEED GOLDEN

PROGRAM is our side, SEED makes the cases, and to GOLDEN some of them are appended with the SDK's
answers. The reference is generate_weight_hash of bittensor 10; later releases have none. Exit code 1
names the first case that differs.
"""

import random
import sys

from bittensor.utils import get_mechid_storage_index
from bittensor.utils.weight_utils import generate_weight_hash
from bittensor_wallet import Keypair

from sides import compare, fault, write_golden

HASHES = 2_000
GOLDEN = 4

# Beyond, the SDK's index does not fit into the two bytes that it is hashed as.
INDEX_MAX = 65_535


def make(draw):
    count = draw.choice([0, 1, 63, 64, 256, draw.randrange(257)])
    netuid, mechanism = draw.choice([(0, 0), (4_095, 15), (draw.randrange(4_096), draw.randrange(16))])
    assert get_mechid_storage_index(netuid, mechanism) <= INDEX_MAX
    return {
        "do": "hash",
        "hotkey": draw.randbytes(32).hex(),
        "netuid": netuid,
        "mechanism": mechanism,
        "uids": [draw.randrange(1 << 16) for _ in range(count)],
        "values": [draw.randrange(1 << 16) for _ in range(count)],
        "salt": [draw.randrange(1 << 16) for _ in range(draw.choice([0, 8, draw.randrange(100)]))],
        "version_key": draw.choice([0, 1, draw.randrange(1 << 64)]),
    }


def answer(case):
    digest = generate_weight_hash(
        address=Keypair(public_key=case["hotkey"]).ss58_address,
        netuid=get_mechid_storage_index(case["netuid"], case["mechanism"]),
        uids=case["uids"],
        values=case["values"],
        version_key=case["version_key"],
        salt=case["salt"],
    )
    return {"hash": digest.removeprefix("0x")}


def main():
    if len(sys.argv) != 4:
        fault(__doc__.strip())
    program, draw, golden = sys.argv[1], random.Random(f"hashes {sys.argv[2]}"), sys.argv[3]
    cases = [make(draw) for _ in range(HASHES)]
    answers = [answer(case) for case in cases]
    compare(program, "commit hashes, bittensor 10", cases, answers)
    small = [case for case in range(HASHES) if len(cases[case]["uids"]) <= 3][:GOLDEN]
    write_golden(golden, [cases[i] for i in small], [answers[i] for i in small])


if __name__ == "__main__":
    main()
