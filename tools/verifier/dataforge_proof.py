"""Decodes and checks score proofs, from runtime/core/PROOF.md alone.

A second opinion: it shares no code with the Rust program. Standard library only, except that a
signature is checked with the package py-sr25519-bindings.

    python dataforge_proof.py FILE ...     prints digest and signer of each; exit code 1 if one fails
    python dataforge_proof.py --batch      reads files as hexadecimal lines, and answers each with
                                           its digest or "refused: REASON"
"""

import hashlib
import struct
import sys

FILE_BYTES_MAX = 128 * 1024 * 1024
CANDIDATES_MAX = 64


class Refused(Exception):
    """The bytes are no proof, or one that contradicts itself."""


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def tagged(tag, data):
    return sha256(bytes([len(tag)]), tag, data)


# Decoding. Each reader returns a value and remembers nothing but where it is.


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise Refused("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self, bits):
        value = shift = 0
        while True:
            (byte,) = self.bytes(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise Refused("a number is too long")
        if value >> bits:
            raise Refused("a number is too large")
        if byte == 0 and shift > 7:
            raise Refused("a number is longer than it need be")
        return value

    def u32(self):
        return self.varint(32)

    def i64(self):
        value = self.varint(64)
        return (value >> 1) ^ -(value & 1)

    def digest(self):
        return self.bytes(32)

    def option(self, read):
        (present,) = self.bytes(1)
        if present > 1:
            raise Refused("an option is neither there nor not")
        return read() if present else None

    def list(self, read):
        count = self.varint(64)
        if count > len(self.data) - self.at:
            raise Refused("a list is longer than the file")
        return [read() for _ in range(count)]

    def list_root(self):
        return {"count": self.u32(), "root": self.digest()}

    def metrics(self):
        return {
            "choice_loss": self.i64(),
            "accuracy": self.u32(),
            "answer_nll": self.i64(),
            "token_nll": self.i64(),
        }

    def step(self):
        return {"step": self.u32(), "loss": self.i64(), "state": self.option(self.digest)}

    def measurement(self):
        return {
            "final_state": self.digest(),
            "rows": self.list(lambda: self.list(self.i64)),
            "metrics": self.metrics(),
        }

    def end(self):
        variant = self.varint(32)
        if variant > 1:
            raise Refused("a run ended in no known way")
        return self.measurement() if variant else None

    def run(self):
        return {
            "rows": self.list_root(),
            "batches": self.list_root(),
            "steps": self.list(self.step),
            "end": self.end(),
        }

    def training(self):
        return {
            "initial_state": self.digest(),
            "baseline": self.metrics(),
            "model": self.run(),
            "control": self.option(self.run),
            "lift": self.i64(),
        }

    def proof(self):
        inputs = [self.digest() for _ in range(4)]
        return {
            "inputs": inputs,
            "report": self.digest(),
            "training": self.option(self.training),
        }

    def signature(self):
        return {"validator": self.digest(), "halves": self.digest() + self.digest()}


def read_file(data):
    if len(data) > FILE_BYTES_MAX:
        raise Refused("too large")
    if data[:8] != b"DFPROOF\n":
        raise Refused("not a score proof")
    if len(data) < 50:
        raise Refused("cut short")
    version, length = struct.unpack_from("<HQ", data, 8)
    if version != 2:
        raise Refused("unknown format")
    body = data[50:]
    if len(body) != length:
        raise Refused("cut short or extended")
    if sha256(body) != data[18:50]:
        raise Refused("damaged")
    reader = Reader(body)
    proof, signature = reader.proof(), reader.option(reader.signature)
    if reader.at != len(body):
        raise Refused("bytes after the end")
    return proof, signature


# Encoding, of what is hashed.


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def i64(value):
    return varint(2 * value if value >= 0 else -2 * value - 1)


def option(value, write):
    return b"\0" if value is None else b"\1" + write(value)


def list_root(value):
    return varint(value["count"]) + value["root"]


def metrics(value):
    return b"".join(
        [
            i64(value["choice_loss"]),
            varint(value["accuracy"]),
            i64(value["answer_nll"]),
            i64(value["token_nll"]),
        ]
    )


def step(value):
    return varint(value["step"]) + i64(value["loss"]) + option(value["state"], bytes)


def row(value):
    return varint(len(value)) + b"".join(map(i64, value))


def tree(leaves):
    """RFC 9162, section 2.1.1."""

    def subtree(hashes):
        if len(hashes) == 1:
            return hashes[0]
        split = 1
        while 2 * split < len(hashes):
            split *= 2
        return sha256(b"\1", subtree(hashes[:split]), subtree(hashes[split:]))

    hashes = [sha256(b"\0", leaf) for leaf in leaves]
    return {"count": len(hashes), "root": subtree(hashes) if hashes else sha256()}


def run_outline(run):
    if run["end"] is None:
        end = b"\0"
    else:
        rows = tree(map(row, run["end"]["rows"]))
        end = b"\1" + run["end"]["final_state"] + list_root(rows) + metrics(run["end"]["metrics"])
    steps = tree(map(step, run["steps"]))
    return list_root(run["rows"]) + list_root(run["batches"]) + list_root(steps) + end


def training_outline(training):
    return b"".join(
        [
            training["initial_state"],
            metrics(training["baseline"]),
            run_outline(training["model"]),
            option(training["control"], run_outline),
            i64(training["lift"]),
        ]
    )


def digest(proof):
    outline = b"".join(proof["inputs"]) + proof["report"]
    outline += option(proof["training"], training_outline)
    return tagged(b"dataforge/score-proof/v2", outline)


# What holds within a proof; the numbers are those of PROOF.md.


def check_run(run, initial_state):
    steps, planned, end = run["steps"], run["batches"]["count"], run["end"]
    if any(step["step"] != place for place, step in enumerate(steps)):
        raise Refused("2: a step has another number than its place")
    if len(steps) > planned or (end is not None and len(steps) < planned):
        raise Refused("2: other than all steps of the plan were taken")
    if end is None:
        return
    if (steps[-1]["state"] if steps else initial_state) != end["final_state"]:
        raise Refused("3: the final state is not the one that training ended with")
    for candidates in end["rows"]:
        if not 1 <= len(candidates) <= CANDIDATES_MAX or max(candidates) > 0:
            raise Refused("4: a row is impossible")


def check(proof):
    training = proof["training"]
    if training is None:
        return
    model, control = training["model"], training["control"]
    check_run(model, training["initial_state"])
    if control is not None:
        check_run(control, training["initial_state"])
        counts = [[run[of]["count"] for of in ("rows", "batches")] for run in (model, control)]
        if counts[0] != counts[1]:
            raise Refused("5: the control was trained on another number of rows or batches")
        if model["end"] is None:
            raise Refused("5: a control stands beside a model that diverged")
    ends = [run["end"] for run in (model, control) if run is not None]
    if None in ends and training["lift"] != 0:
        raise Refused("6: a run diverged, and there is a lift")


def check_signature(proof, signature):
    import sr25519

    message = b"dataforge/signed-proof/v2" + digest(proof)
    try:
        good = sr25519.verify(signature["halves"], message, signature["validator"])
    except Exception as error:  # the package has no error of its own
        raise Refused(f"1: {error}") from None
    if not good:
        raise Refused("1: the signature is not the validator's on this proof")


def verify(data):
    """The proof's digest and who signed it, if all holds that can be checked without a spec."""
    proof, signature = read_file(data)
    check(proof)
    if signature is not None:
        check_signature(proof, signature)
    return digest(proof).hex(), None if signature is None else signature["validator"].hex()


def main(arguments):
    if arguments == ["--batch"]:
        for line in sys.stdin:
            try:
                print(verify(bytes.fromhex(line))[0])
            except Refused as reason:
                print(f"refused: {reason}")
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__.strip())
        return 2
    code = 0
    for path in arguments:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        try:
            found, signer = verify(data)
            print(f"{path}: {found}, signed by {signer or 'nobody'}")
        except Refused as reason:
            print(f"{path}: refused: {reason}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
