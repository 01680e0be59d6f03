"""Decodes and checks score proofs and parts of them, from runtime/core/PROOF.md alone.

A second opinion: it shares no code with the Rust program. Standard library only, except that a
signature is checked with the package py-sr25519-bindings.

    python dataforge_proof.py FILE ...     prints digest and signer of each, and what a part shows;
                                           exit code 1 if one fails
    python dataforge_proof.py --batch      reads files as hexadecimal lines, and answers each with
                                           its digest and part, or "refused: REASON"
"""

import hashlib
import struct
import sys

FILE_BYTES_MAX = 128 * 1024 * 1024
PART_BYTES_MAX = 1024 * 1024
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

    def row(self):
        return self.list(self.i64)

    # From here on, `steps` and `rows` read those of a proof, or what an outline has for them.

    def measurement(self, rows):
        return {"final_state": self.digest(), "rows": rows(), "metrics": self.metrics()}

    def end(self, rows):
        variant = self.varint(32)
        if variant > 1:
            raise Refused("a run ended in no known way")
        return self.measurement(rows) if variant else None

    def run(self, steps, rows):
        return {
            "rows": self.list_root(),
            "batches": self.list_root(),
            "steps": steps(),
            "end": self.end(rows),
        }

    def training(self, steps, rows):
        return {
            "initial_state": self.digest(),
            "baseline": self.metrics(),
            "model": self.run(steps, rows),
            "control": self.option(lambda: self.run(steps, rows)),
            "lift": self.i64(),
        }

    def proof_of(self, steps, rows):
        inputs = [self.digest() for _ in range(4)]
        return {
            "inputs": inputs,
            "report": self.digest(),
            "training": self.option(lambda: self.training(steps, rows)),
        }

    def proof(self):
        return self.proof_of(lambda: self.list(self.step), lambda: self.list(self.row))

    def outline(self):
        return self.proof_of(self.list_root, self.list_root)

    def inclusion(self):
        return {"leaf": self.u32(), "leaves": self.u32(), "path": self.list(self.digest)}

    def whose(self):
        whose = self.varint(32)
        if whose > 1:
            raise Refused("a run is nobody's")
        return ("model", "control")[whose]

    def shown(self):
        """The name of what is shown, its leaf, and what leads to a root."""
        variant = self.varint(32)
        if variant > 3:
            raise Refused("it shows nothing known")
        whose = self.whose() if variant < 2 else None
        start = self.at
        number = None
        if variant == 0:
            number = self.step()["step"]
        elif variant == 1:
            self.row()
        elif variant == 2:
            leaf = bytes(self.list(lambda: self.bytes(1)[0]))
        else:
            self.text()
            self.list(self.text)
            self.u32()
        if variant != 2:
            leaf = self.data[start : self.at]
        salt = self.digest() if variant > 1 else b""
        inclusion = self.inclusion()
        if number not in (None, inclusion["leaf"]):
            raise Refused("a step has another number than its place")
        return variant, whose, salt + leaf, inclusion

    def text(self):
        data = bytes(self.list(lambda: self.bytes(1)[0]))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Refused("a text is not UTF-8") from None

    def signature(self):
        return {"validator": self.digest(), "halves": self.digest() + self.digest()}


def read_body(data, magic, version, limit, read):
    if len(data) > limit:
        raise Refused("too large")
    if data[:8] != magic:
        raise Refused("not a score proof")
    if len(data) < 50:
        raise Refused("cut short")
    found, length = struct.unpack_from("<HQ", data, 8)
    if found != version:
        raise Refused("unknown format")
    body = data[50:]
    if len(body) != length:
        raise Refused("cut short or extended")
    if sha256(body) != data[18:50]:
        raise Refused("damaged")
    reader = Reader(body)
    parts = read(reader)
    if reader.at != len(body):
        raise Refused("bytes after the end")
    return parts


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


def outline_of(proof):
    """The same with the roots of its lists in their place."""

    def run(of):
        end = of["end"] and {**of["end"], "rows": tree(map(row, of["end"]["rows"]))}
        return {**of, "steps": tree(map(step, of["steps"])), "end": end}

    training = proof["training"]
    if training is not None:
        control = training["control"] and run(training["control"])
        training = {**training, "model": run(training["model"]), "control": control}
    return {**proof, "training": training}


def end(value):
    return value["final_state"] + list_root(value["rows"]) + metrics(value["metrics"])


def run(value):
    lists = list_root(value["rows"]) + list_root(value["batches"]) + list_root(value["steps"])
    return lists + option(value["end"], end)


def training(value):
    return b"".join(
        [
            value["initial_state"],
            metrics(value["baseline"]),
            run(value["model"]),
            option(value["control"], run),
            i64(value["lift"]),
        ]
    )


def digest(outline):
    data = b"".join(outline["inputs"]) + outline["report"]
    data += option(outline["training"], training)
    return tagged(b"dataforge/score-proof/v2", data)


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


def check_signature(outline, signature):
    if signature is None:
        return "nobody"
    import sr25519

    message = b"dataforge/signed-proof/v2" + digest(outline)
    try:
        good = sr25519.verify(signature["halves"], message, signature["validator"])
    except Exception as error:  # the package has no error of its own
        raise Refused(f"1: {error}") from None
    if not good:
        raise Refused("1: the signature is not the validator's on this proof")
    return signature["validator"].hex()


# What is shown by itself.


def root_above(leaf, inclusion):
    """RFC 9162, section 2.1.3.2; none when the path is not as long as it should be."""
    at, last, found = inclusion["leaf"], inclusion["leaves"] - 1, sha256(b"\0", leaf)
    if at > last:
        return None
    for other in inclusion["path"]:
        if last == 0:
            return None
        if at % 2 or at == last:
            found = sha256(b"\1", other, found)
            while at and at % 2 == 0:
                at, last = at >> 1, last >> 1
        else:
            found = sha256(b"\1", found, other)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None


def check_shown(outline, shown):
    variant, whose, leaf, inclusion = shown
    found = {"count": inclusion["leaves"], "root": root_above(leaf, inclusion)}
    place = inclusion["leaf"]
    if found["root"] is None:
        raise Refused("a path is not as long as its place makes it")
    _, dataset, benchmark, _ = outline["inputs"]
    if variant == 2:
        what, good = f"dataset row {place + 1}", dataset == tagged(
            b"dataforge/dataset/v2", list_root(found)
        )
    elif variant == 3:
        what, good = f"benchmark row {place + 1}", benchmark == found["root"]
    else:
        of = (outline["training"] or {}).get(whose) or {}
        prefix = "" if whose == "model" else "control, "
        if variant == 0:
            what, good = f"{prefix}step {place}", of.get("steps") == found
        else:
            what = f"{prefix}result of benchmark row {place + 1}"
            good = (of.get("end") or {}).get("rows") == found
    if not good:
        raise Refused(f"{what} is not what the proof commits to")
    return what


def verify(data):
    """The proof's digest, who signed it, and which part is shown, if all holds that can be checked
    without a spec."""
    if data[:8] == b"DFSHOWN\n":
        read = lambda r: (r.outline(), r.option(r.signature), r.shown())
        outline, signature, shown = read_body(data, data[:8], 1, PART_BYTES_MAX, read)
        return digest(outline).hex(), check_signature(outline, signature), check_shown(outline, shown)
    read = lambda r: (r.proof(), r.option(r.signature))
    proof, signature = read_body(data, b"DFPROOF\n", 2, FILE_BYTES_MAX, read)
    check(proof)
    outline = outline_of(proof)
    return digest(outline).hex(), check_signature(outline, signature), None


def main(arguments):
    if arguments == ["--batch"]:
        for line in sys.stdin:
            try:
                found, _, shown = verify(bytes.fromhex(line))
                print(f"{found} {shown}" if shown else found)
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
            found, signer, shown = verify(data)
            part = f", shows {shown}" if shown else ""
            print(f"{path}: {found}, signed by {signer}{part}")
        except Refused as reason:
            print(f"{path}: refused: {reason}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
