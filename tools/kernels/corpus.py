"""Real multilingual text for the kernels' comparisons, from the translations that Django's wheel carries.

`corpus.py WHEEL FOLDER` writes, the same bytes each time:

  texts.jsonl      50,000 different strings in some 100 languages
  passages.jsonl   neighbouring strings of one language, joined to passages of at least 400 bytes
  rows.jsonl       the same as rows with an input and an output
  documents.jsonl  every eighth passage: what an index of known documents is made of
  twins.jsonl      texts and edited copies of some, with the place of what each is a copy of, or null
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
    write(folder / "texts.jsonl", by_digest(texts)[:TEXTS])
    write(folder / "passages.jsonl", long)
    write(folder / "rows.jsonl", ({"input": a, "output": b} for a, b in zip(long, long[1:])))
    write(folder / "documents.jsonl", long[::8])
    write(folder / "twins.jsonl", ({"text": text, "of": of} for text, of in twins(long)))


if __name__ == "__main__":
    main(*sys.argv[1:])
