"""Reads key files that the Bittensor SDK wrote by our side, and ours by the SDK.

    python keyfiles.py PROGRAM SEED

PROGRAM is the example `key_files` of the chain crate, SEED makes messages and passwords; the keys are
drawn by whoever makes them. Two SDKs are asked: bittensor-core, on which bittensor 11 is built, and
bittensor-wallet 4. Of each file the key is compared, and a signature with it verified by the other
side. Exit code 1 names the first file that differs.
"""

import contextlib
import io
import json
import os
import random
import stat
import sys
import tempfile
from pathlib import Path

import bittensor_core
import bittensor_wallet
from bittensor_wallet import keyfile as bittensor_wallet_keyfile

from sides import ask, fault

# Files of each kind. A password's key takes seconds on either side.
PLAIN = 400
ENCRYPTED = 6
LENGTHS = [12, 15, 18, 21, 24]

SDKS = {
    "bittensor-core 0.1": (bittensor_core, bittensor_core),
    "bittensor-wallet 4": (bittensor_wallet, bittensor_wallet_keyfile),
}

# Each way of keeping part of a file that is seen among older files.
KEPT = [
    None,
    ["publicKey", "privateKey", "ss58Address"],
    ["publicKey", "secretSeed", "ss58Address", "accountId"],
    ["publicKey", "secretPhrase", "ss58Address"],
]


def quiet(call, *arguments, **named):
    """Calls what prints of its own."""
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments, **named)


def passwords(draw):
    letters = "".join(draw.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(100))
    fixed = ["correct horse battery", "pässwörd-密码", " spaces kept inside ", "$NACL{}\"'\\"]
    return fixed + [letters.strip(), f"{draw.randrange(10**12):012}"]


def write(path, data):
    path.write_bytes(bytes(data))
    path.chmod(0o600)
    return str(path)


def part(data, kept):
    """The file with some members only."""
    if kept is None:
        return data
    return json.dumps({name: value for name, value in json.loads(data).items() if name in kept}).encode()


def check_theirs(program, draw, folder, name, sdk, files):
    """Files of the SDK, read by us."""
    cases, keys = [], []
    for number in range(PLAIN):
        key = sdk.Keypair.create_from_mnemonic(sdk.Keypair.generate_mnemonic(draw.choice(LENGTHS)))
        data = part(bytes(files.serialized_keypair_to_keyfile_data(key)), KEPT[number % len(KEPT)])
        path = write(folder / f"plain-{number}", data)
        cases.append({"do": "read", "path": path, "password": None, "message": f"{draw.random()}"})
        keys.append(key)
    for number, password in enumerate(passwords(draw)[:ENCRYPTED]):
        key = sdk.Keypair.create_from_mnemonic(sdk.Keypair.generate_mnemonic(12))
        plain = bytes(files.serialized_keypair_to_keyfile_data(key))
        path = write(folder / f"sealed-{number}", quiet(files.encrypt_keyfile_data, plain, password))
        cases.append({"do": "read", "path": path, "password": password, "message": f"{draw.random()}"})
        keys.append(key)
    for case, key, answer in zip(cases, keys, ask(program, cases), strict=True):
        if answer.get("address") != key.ss58_address:
            fault(f"{name}: {case['path']} is {key.ss58_address}, and we say {answer}")
        if not key.verify(case["message"].encode(), bytes.fromhex(answer["signature"])):
            fault(f"{name}: our signature with {case['path']} does not verify")
    wrong = dict(cases[-1], password="another password")
    [answer] = ask(program, [wrong])
    if "password is wrong" not in answer.get("error", ""):
        fault(f"{name}: a wrong password: {answer}")
    print(f"key files of {name}, read by ours: plain {PLAIN}, encrypted {ENCRYPTED}, equal")


def check_ours(program, draw, folder):
    """Files of ours, read by each SDK."""
    words = passwords(draw)[:ENCRYPTED]
    cases = [
        {"do": "make", "folder": str(folder), "wallet": f"w{number}", "words": [12, 24][number % 2]}
        for number in range(PLAIN)
    ]
    for case, password in zip(cases, words):
        case["password"] = password
    answers = ask(program, cases)
    for name, (sdk, files) in SDKS.items():
        for case, answer in zip(cases, answers, strict=True):
            if "error" in answer:
                fault(f"nothing is made: {case}: {answer}")
            check_made(name, sdk, files, answer["hotkey"], None)
            if answer["coldkey"]:
                check_made(name, sdk, files, answer["coldkey"], case["password"])
        print(f"key files of ours, read by {name}: plain {PLAIN}, encrypted {ENCRYPTED}, equal")
    for case, answer in zip(cases[:ENCRYPTED], answers, strict=False):
        wallet = bittensor_wallet.Wallet(case["wallet"], "hot", str(folder))
        found = [wallet.coldkeypub.ss58_address, wallet.hotkeypub.ss58_address, wallet.hotkey.ss58_address]
        hot = answer["hotkey"]["address"]
        if found != [answer["coldkey"]["address"], hot, hot]:
            fault(f"a wallet of ours is read otherwise by bittensor-wallet: {case}")


def check_made(name, sdk, files, made, password):
    data = Path(made["path"]).read_bytes()
    if files.keyfile_data_is_encrypted(data) != (password is not None):
        fault(f"{name} takes {made['path']} for encrypted or not, wrongly")
    if password is not None:
        data = bytes(quiet(files.decrypt_keyfile_data, data, password))
    key = files.deserialize_keypair_from_keyfile_data(data)
    again = sdk.Keypair.create_from_mnemonic(made["mnemonic"])
    if not key.ss58_address == again.ss58_address == made["address"]:
        fault(f"{name}: {made['path']} is {key.ss58_address}, its words are {again.ss58_address}")
    if not again.verify(b"message", bytes(key.sign(b"message"))):
        fault(f"{name}: the secret in {made['path']} is not its key's")
    if stat.S_IMODE(os.stat(made["path"]).st_mode) != 0o600:
        fault(f"{made['path']} may be read by others")


def check_wallets(program, folder):
    """Whole wallets that the SDK made, where it puts them."""
    password = "correct horse battery"
    wallet = bittensor_wallet.Wallet("theirs", "hot", str(folder))
    quiet(wallet.create_new_coldkey, coldkey_password=password, suppress=True, overwrite=False)
    quiet(wallet.create_new_hotkey, use_password=False, suppress=True, overwrite=False)
    cold, hot = wallet.coldkeypub.ss58_address, wallet.hotkey.ss58_address
    base = folder / "theirs"
    cases = [
        {"do": "public", "folder": str(folder), "wallet": "theirs"},
        {"do": "read", "path": str(base / "coldkey"), "password": password, "message": ""},
        {"do": "read", "path": str(base / "hotkeys/hot"), "password": None, "message": ""},
    ]
    public, cold_read, hot_read = ask(program, cases)
    if public != {"coldkey": cold, "hotkey": hot}:
        fault(f"a wallet of bittensor-wallet's is read otherwise: {public}, not {cold}, {hot}")
    if (cold_read.get("address"), hot_read.get("address")) != (cold, hot):
        fault(f"a wallet of bittensor-wallet's is read otherwise: {cold_read}, {hot_read}")
    print("wallets of bittensor-wallet 4, read by ours: 1, equal")


def main():
    if len(sys.argv) != 3:
        fault(__doc__.strip())
    program, seed = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, (sdk, files)) in enumerate(SDKS.items()):
            folder = Path(temporary) / f"theirs-{number}"
            folder.mkdir()
            check_theirs(program, random.Random(f"theirs {number} {seed}"), folder, name, sdk, files)
        check_ours(program, random.Random(f"ours {seed}"), Path(temporary) / "ours")
        check_wallets(program, Path(temporary) / "wallets")


if __name__ == "__main__":
    main()
