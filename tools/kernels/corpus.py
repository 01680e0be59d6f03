"""Real multilingual text for the kernels' comparisons, from the translations that Django's wheel carries.

`corpus.py WHEEL FOLDER` writes, the same bytes each time:

  texts.jsonl      50,000 different strings in some 100 languages
  passages.jsonl   neighbouring strings of one language, joined to passages of at least 400 bytes
  rows.jsonl       the same as rows with an input and an output
  documents.jsonl  every eighth passage: what an index of known documents is made of
  twins.jsonl      texts and edited copies of some, with the place of what each is a copy of, or null
  pairs.jsonl      answers beside reference texts: edited copies, neighbours, and random Unicode
  strings.jsonl    all texts and passages, and some with the spelling of a special token inside
"""

import gettext
import hashlib
import json
import random
import re
import sys
import unicodedata
import zipfile
from pathlib import Path

TEXTS = 50_000
PASSAGE_BYTES = 400
BASES = 4_000

# Pairs of each kind.
COPIES, LONG_COPIES, NEIGHBOURS, RANDOM = 8_000, 2_000, 4_000, 8_000

# Spellings of special tokens of the tokenizers that are compared.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"]
SPECIAL_TEXTS = 50

# Assigned in Unicode 3.2, which every Python carries, so that every Python writes the same pairs. U+0295 is left
# out: whether it is cased, which counts beside a capital sigma, depends on the version of Unicode.
ASSIGNED = [
    chr(code)
    for code in range(0x110000)
    if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Co", "Cs") and code != 0x295
]

# What the measures treat in ways of their own: articles, their neighbours, sigmas, marks, white space, emoji.
ALPHABETS = [
    list(" ab."),
    list("aAnthe _-\u0301\u0300 "),
    ["the", "a", "an", " ", " ", "x", "\u0301", ".", "_", "ß", "İ", "Σ", "σ", "\u212a"],
    list("\t\n\x1c\x1f \x85\xa0\u200b\u2028\u3000\ufeff\u200daban"),
    [chr(code) for code in range(0x4E00, 0x4E20)] + ["。", " "],
    list("👨\u200d👩\u200d👧🏽🇩🇪❤\ufe0f1\u20e3 a"),
    [letter for letter in ASSIGNED if "\u0391" <= letter < "\u03ca"] + [" ", "'", "\u0301"],
]


def catalogues(wheel):
    """Strings of each catalogue, in the order of their keys."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".mo"):
                with archive.open(name) as file:
                    catalogue = gettext.GNUTranslations(file)._catalog
                strings = [catalogue[key] for key in sorted(catalogue, key=str)]
                yield name, [text.strip() for text in strings if text.strip() and "POT-Creation" not in text]


def passages(strings):
    passage = []
    for text in strings:
        passage.append(text)
        joined = " ".join(passage)
        if len(joined.encode()) >= PASSAGE_BYTES:
            yield joined
            passage = []


def by_digest(texts):
    """An order that has nothing to do with language or length."""
    return sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).digest())


def words(text):
    return set(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def apart(texts, count):
    """Texts that share less than half of their words with any other, so that only edits make twins."""
    chosen, holding = [], {}
    for text in texts:
        mine = words(text)
        if len(mine) < 12:
            continue
        shared = {}
        for word in mine:
            for other in holding.get(word, ()):
                shared[other] = shared.get(other, 0) + 1
        if any(2 * both >= len(mine | words(chosen[other])) for other, both in shared.items()):
            continue
        for word in mine:
            holding.setdefault(word, []).append(len(chosen))
        chosen.append(text)
        if len(chosen) == count:
            break
    return chosen


def edited(random, text, vocabulary):
    """One of the ways in which copies are disguised; none touches more than a tenth of the words."""
    split = text.split()
    few = max(1, len(split) // 10)
    kind = random.randrange(8)
    if kind == 0:
        return text.upper()
    if kind == 1:
        return unicodedata.normalize("NFD", "  ".join(split)) + " …"
    if kind == 2:
        return re.sub(r"[^\w\s%(){}]", "", text)
    if kind == 3:
        for _ in range(few):
            split[random.randrange(len(split))] = random.choice(vocabulary)
    elif kind == 4:
        for _ in range(few):
            del split[random.randrange(len(split))]
    elif kind == 5:
        for _ in range(few):
            split.insert(random.randrange(len(split)), random.choice(vocabulary))
    elif kind == 6:
        place = random.randrange(len(split) - 1)
        split[place], split[place + 1] = split[place + 1], split[place]
    else:
        letters = list(text)
        for _ in range(few):
            place = random.randrange(len(letters) - 1)
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        return "".join(letters)
    return " ".join(split)


def twins(texts):
    """Bases in order, and behind each half of them an edited copy somewhere later."""
    generator = random.Random(20_261_123)
    bases = apart(texts, BASES)
    vocabulary = sorted(set(word for text in bases for word in text.split()))
    rows = [(text, None) for text in bases]
    for place in generator.sample(range(len(bases)), len(bases) // 2):
        rows.append((edited(generator, bases[place], vocabulary), place))
    return rows


def altered(random, text):
    """A text after a few changes, each of a kind that at least one measure has a rule for."""
    for _ in range(random.choice([0, 1, 1, 2, 3, 8])):
        split = text.split(" ")
        here, there = random.randrange(len(split)), random.randrange(len(split))
        kind = random.randrange(10)
        if kind == 0:
            del split[here]
        elif kind == 1:
            split[here], split[there] = split[there], split[here]
        elif kind == 2:
            split.insert(here, random.choice(["the", "a", "an", "The", "AN", "a,", "the.", "_a", "a_"]))
        elif kind == 3:
            split[here] = split[here].upper()
        elif kind == 4:
            split[here] += random.choice(".,!?;:'\"-_’…。、")
        elif kind == 5:
            split.insert(here, split[there])
        elif kind == 6:
            split[here] = split[here][:2] + random.choice(ASSIGNED) + split[here][2:]
        elif kind == 7:
            del split[max(1, len(split) // 2) :]
        elif kind == 8:
            split[here] = unicodedata.normalize(random.choice(["NFD", "NFKC"]), split[here])
        else:
            split.insert(here, random.choice(["\t", "\n", "\x1c", "\x85", "\u3000", "\u200b", "\xa0", "\u2028"]))
        text = " ".join(split)
    return text


def random_text(random, alphabet):
    return "".join(random.choice(alphabet) for _ in range(random.choice([0, 1, 2, 5, 6, 7, 30, 100])))


def pairs(short, long, neighbouring):
    """Pairs of an answer and its reference text."""
    generator = random.Random(20_261_124)
    for text in short[:COPIES] + long[:LONG_COPIES]:
        yield altered(generator, text), text
    for _ in range(NEIGHBOURS):
        place = generator.randrange(1, len(neighbouring))
        yield neighbouring[place - 1], neighbouring[place]
    for number in range(RANDOM):
        kind = number % (len(ALPHABETS) + 1)
        some = generator.choices(ASSIGNED, k=50) + [" ", "a", "an", "the"]
        text = random_text(generator, ALPHABETS[kind] if kind < len(ALPHABETS) else some)
        yield text, altered(generator, text)


def special(texts):
    """Texts with the spelling of a special token before, behind and between them."""
    for spelling in SPECIAL:
        yield spelling
        for one, other in zip(texts[:SPECIAL_TEXTS], texts[1:]):
            yield from (spelling + one, f"{one} {spelling}", f"{one}{spelling}\n{other}")


def write(path, values):
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")


def main(wheel, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts, long = [], []
    for _, strings in catalogues(wheel):
        texts.extend(strings)
        long.extend(passages(strings))
    long = by_digest(long)
    short = by_digest(texts)[:TEXTS]
    write(folder / "texts.jsonl", short)
    write(folder / "passages.jsonl", long)
    write(folder / "rows.jsonl", ({"input": a, "output": b} for a, b in zip(long, long[1:])))
    write(folder / "documents.jsonl", long[::8])
    write(folder / "twins.jsonl", ({"text": text, "of": of} for text, of in twins(long)))
    compared = pairs(short, long, texts)
    write(folder / "pairs.jsonl", ({"answer": answer, "reference": text} for answer, text in compared))
    write(folder / "strings.jsonl", [*short, *long, *special(short)])


if __name__ == "__main__":
    main(*sys.argv[1:])
