"""Compares time-lock encryption of weights with the Bittensor SDK's.

    LD_PRELOAD=fixed_world.so python timelock.py PROGRAM SEED GOLDEN

PROGRAM is our side, SEED makes the cases, and to GOLDEN some of them are appended with the SDK's
answers. The references are the packages bittensor-core and bittensor-drand, each asked for every
case: commits byte by byte (same weights, schedule, time and random bytes), anything sealed to any
round, reveal rounds, and decryption either way by the signature of a past round. Exit code 1 names
the first case that differs.
"""

import os
import random
import struct
import sys

import bittensor_core
import bittensor_drand

from sides import FixedWorld, ask, compare, fault, write_golden

REFERENCES = {"bittensor-core": bittensor_core, "bittensor-drand": bittensor_drand}

GENESIS_MS = 1_692_803_367_000
PERIOD_MS = 3_000

# Published by quicknet.
PAST_ROUND = 1000
PAST_SIGNATURE = (
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
    "e342b73a8dd2bacbe47e4b6b63ed5e39"
)

COMMITS = 300
SEALS = 200
ROUNDS = 3_000
OPENED = 100
GOLDEN = 4

# A key, a nonce, and numbers below the group's order, each of which is missed one time in eleven.
RANDOM_BYTES = 32 + 12 + 32 * 24
PLAIN_BYTES_MAX = 4_756
TEMPO_MAX = 50_400


def weights(draw):
    count = draw.choice([0, 1, 2, 63, 64, 255, 256, draw.randrange(257)])
    return {
        "hotkey": draw.randbytes(32).hex(),
        "uids": [draw.choice([i, draw.randrange(1 << 16)]) for i in range(count)],
        "values": [draw.choice([0, 65535, draw.randrange(1 << 16)]) for _ in range(count)],
        "version_key": draw.choice([0, 1, draw.randrange(1 << 64)]),
    }


def payload(case):
    """Weights as they are encrypted, written out once more and apart from both sides."""

    def compact(count):
        if count < 1 << 6:
            return struct.pack("<B", count << 2)
        if count < 1 << 14:
            return struct.pack("<H", count << 2 | 1)
        return struct.pack("<I", count << 2 | 2)

    def vector(numbers):
        return compact(len(numbers)) + struct.pack(f"<{len(numbers)}H", *numbers)

    hotkey = bytes.fromhex(case["hotkey"])
    version_key = struct.pack("<Q", case["version_key"])
    return compact(32) + hotkey + vector(case["uids"]) + vector(case["values"]) + version_key


def schedule(draw):
    """A schedule as the chain has it, or near one of the places where its rules change."""
    block = draw.choice([draw.randrange(1, 10_000_000), draw.randrange(60_000, 200_000)])
    near = lambda middle: max(0, middle + draw.randrange(-3, 4))
    tempo = draw.choice([360, 360, 99, 1, 2, 3, TEMPO_MAX, draw.randrange(1, TEMPO_MAX)])
    tempo = draw.choice([tempo, tempo, tempo, draw.choice([0, TEMPO_MAX + 1, TEMPO_MAX + 2, 65_535])])
    last = draw.choice([block - draw.randrange(min(block, 360) + 1), near(block - tempo), near(block)])
    since = draw.choice([max(0, block - last), draw.randrange(400), near(TEMPO_MAX), near(TEMPO_MAX)])
    pending = draw.choice([0, 0, near(block), block + draw.randrange(1000)])
    return {
        "last_epoch_block": last,
        "pending_epoch_at": pending,
        "tempo": tempo,
        "blocks_since_last_step": since,
        "current_block": block,
        "reveal_period_epochs": draw.choice([1, 1, 1, 0, 2, 3, draw.randrange(1, 20)]),
        "block_time_ms": draw.choice([12_000, 12_000, 250, 125 * draw.randrange(1, 200)]),
    }


def now_ms(draw):
    """A time, some on the beginning of a round and some before the first."""
    any_time = GENESIS_MS + draw.randrange(20 * 365 * 86_400_000)
    on_round = GENESIS_MS + draw.randrange(100_000_000) * PERIOD_MS
    early = GENESIS_MS - draw.randrange(10_000_000_000)
    return draw.choice([any_time, any_time, any_time, on_round, on_round + 2_999, early])


def commit_by(package, world, case, weights, random_bytes=None):
    """What the SDK makes of weights, a schedule and a time."""
    plan = case["schedule"]
    call = lambda: package.get_encrypted_commit_v2(
        uids=weights["uids"],
        weights=weights["values"],
        version_key=weights["version_key"],
        last_epoch_block=plan["last_epoch_block"],
        pending_epoch_at=plan["pending_epoch_at"],
        # Its value must not matter.
        subnet_epoch_index=plan["current_block"] % 1_000,
        tempo=plan["tempo"],
        blocks_since_last_step=plan["blocks_since_last_step"],
        current_block=plan["current_block"],
        subnet_reveal_period_epochs=plan["reveal_period_epochs"],
        block_time=plan["block_time_ms"] / 1000,
        hotkey=bytes.fromhex(weights["hotkey"]),
    )
    try:
        (commit, number), drawn = world.run(call, random_bytes, case["now_ms"])
    except ValueError as error:
        for words, name in [("tempo is zero", "NoEpochs"), ("exceeded budget", "NoReveal")]:
            if words in str(error):
                return {"error": name}
        raise
    return {"round": number, "commit": bytes(commit).hex(), "drawn": drawn}


def check_commits(program, draw, world, golden):
    cases = []
    for _ in range(COMMITS):
        plan = schedule(draw)
        plan["tempo"] = max(plan["tempo"], 2)
        case = {"do": "commit", **weights(draw), "schedule": plan, "now_ms": now_ms(draw)}
        cases.append({**case, "random": draw.randbytes(RANDOM_BYTES).hex()})
    for name, package in REFERENCES.items():
        answers = [
            commit_by(package, world, case, case, bytes.fromhex(case["random"])) for case in cases
        ]
        redrawn = sum(answer.get("drawn", 0) > 76 for answer in answers)
        compare(program, f"commits, {name}", cases, answers)
        if not redrawn:
            fault("no case has a number drawn twice")
    small = [case for case in range(COMMITS) if len(cases[case]["uids"]) <= 3][:GOLDEN]
    write_golden(golden, [cases[i] for i in small], [answers[i] for i in small])


def check_seals(program, draw, world, golden):
    cases = []
    for _ in range(SEALS):
        size = draw.choice([0, 1, PLAIN_BYTES_MAX, draw.randrange(PLAIN_BYTES_MAX)])
        number = draw.choice([0, 1, draw.randrange(1 << 32), draw.randrange(1 << 64)])
        case = {"do": "seal", "plain": draw.randbytes(size).hex(), "round": number}
        cases.append({**case, "random": draw.randbytes(RANDOM_BYTES).hex()})
    for name, package in REFERENCES.items():
        answers = []
        for case in cases:
            plain, number = bytes.fromhex(case["plain"]), case["round"]
            call = lambda: package.encrypt_at_round(plain, number)
            (sealed, _), drawn = world.run(call, bytes.fromhex(case["random"]))
            answers.append({"commit": opened_envelope(bytes(sealed), number).hex(), "drawn": drawn})
        compare(program, f"seals, {name}", cases, answers)
    small = [case for case in range(SEALS) if len(cases[case]["plain"]) <= 2][:GOLDEN]
    write_golden(golden, [cases[i] for i in small], [answers[i] for i in small])


def opened_envelope(sealed, number):
    """The ciphertext in the envelope that the SDK puts sealed files into."""
    inner = bytes(bittensor_core.inner_ciphertext(sealed))
    if not sealed.endswith(b"AES_GCM_" + struct.pack("<Q", number)):
        fault("an envelope does not end with the suite and the round")
    return inner


def envelope(commit, number):
    """The envelope around a ciphertext of ours."""
    size = len(commit) << 2
    length = struct.pack("<H", size | 1) if len(commit) < 1 << 14 else struct.pack("<I", size | 2)
    return length + commit + struct.pack("<Q", number)


def check_rounds(program, draw, world, golden):
    cases = [{"do": "round", "schedule": schedule(draw), "now_ms": now_ms(draw)} for _ in range(ROUNDS)]
    one = {"hotkey": "00" * 32, "uids": [], "values": [], "version_key": 0}
    for name, package in REFERENCES.items():
        answers = [commit_by(package, world, case, one) for case in cases]
        answers = [{key: answer[key] for key in answer if key in ("round", "error")} for answer in answers]
        compare(program, f"reveal rounds, {name}", cases, answers)
    some = sorted(draw.sample(range(ROUNDS), 8 * GOLDEN))
    some += [i for i in range(ROUNDS) if "error" in answers[i]][: 2 * GOLDEN]
    write_golden(golden, [cases[i] for i in some], [answers[i] for i in some])


def check_opening(program, draw, world, golden):
    """Decryption either way, of commits that each side makes with randomness of its own."""
    plan = dict(schedule(draw), tempo=360, reveal_period_epochs=1, block_time_ms=12_000)
    plan.update(current_block=1_000, last_epoch_block=800, pending_epoch_at=0, blocks_since_last_step=200)
    # From the block 1000 to three after the next epoch.
    wait_ms = (1_160 + 3 - 1_000) * 12_000
    time = {"schedule": plan, "now_ms": GENESIS_MS + PAST_ROUND * PERIOD_MS - wait_ms}
    cases = [{"do": "commit", **weights(draw), **time} for _ in range(OPENED)]
    ours = ask(program, [{**case, "random": os.urandom(RANDOM_BYTES).hex()} for case in cases])
    for name, package in REFERENCES.items():
        for case, answer in zip(cases, ours, strict=True):
            if answer["round"] != PAST_ROUND:
                fault(f"the commit is for round {answer['round']}")
            sealed = envelope(bytes.fromhex(answer["commit"]), PAST_ROUND)
            plain = package.decrypt_with_signature(sealed, PAST_SIGNATURE)
            if bytes(plain) != payload(case):
                fault(f"{name} reads otherwise what we encrypt: {case}")
        print(f"ours opened by {name}: cases {OPENED}, equal {OPENED}")
        opening, expected = opened(package, world, cases)
        compare(program, f"{name}'s opened by ours", opening, expected)
    # These must be the same bytes every time.
    for case in cases[:GOLDEN]:
        case["random"] = draw.randbytes(RANDOM_BYTES).hex()
    write_golden(golden, *opened(bittensor_core, world, cases[:GOLDEN]))


def opened(package, world, cases):
    """Commits that the SDK makes of the cases, to be opened, and what must be found in them."""
    opening, expected = [], []
    for case in cases:
        chosen = bytes.fromhex(case["random"]) if "random" in case else None
        answer = commit_by(package, world, case, case, chosen)
        opening.append({"do": "open", "commit": answer["commit"], "signature": PAST_SIGNATURE})
        expected.append({key: case[key] for key in ("hotkey", "uids", "values", "version_key")})
    return opening, expected


def main():
    if len(sys.argv) != 4:
        fault(__doc__.strip())
    program, seed, golden = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    world = FixedWorld()
    for check in (check_commits, check_seals, check_rounds, check_opening):
        check(program, random.Random(f"{check.__name__} {seed}"), world, golden)


if __name__ == "__main__":
    main()
