"""Compares the tokenizer kernel's chats with the library that the field renders and tokenizes chats with.

    python chats.py make STRINGS.jsonl CHATS.jsonl
    python chats.py answer TEMPLATES TOKENIZER.json CHATS.jsonl ANSWERS.jsonl
    python chats.py compare TEMPLATES TOKENIZER.json CHATS.jsonl ANSWERS.jsonl

A line of CHATS is {"messages": JSON as text, "reply": TEXT}. TEMPLATES is a folder of NAME.jinja and of
tokens.json, which gives each NAME its [bos_token, eos_token]. A line of ANSWERS is what one template makes
of one chat: {"prompt": [IDS], "reply": [IDS]}, or {"fault": REASON} where there is no such text; all chats
by the first NAME, then all by the next, in the order of names.

`make` makes chats of strings, some of them at fault. `answer` writes what the reference says. `compare`
holds the kernel's answers against it: every id must be equal, every fault a fault, for the reason that the
reference gives if it gives one (it has none for a template that does not work). Exit code 1 names the first
chat that differs; 2 says what is wrong with the files or the packages.

The reference is `apply_chat_template` of PACKAGES. Python needs nothing else.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import sys

PACKAGES = ["jinja2==3.1.6", "tokenizers==0.22.2", "transformers==4.57.6"]

# A missing torch is of no interest here.
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"

# Put around some strings: what Python strips and Rust does not, and what both do.
AROUND = ["", "", "", " ", "\n", "\x1c", "\u3000\t", "\r\n"]
# Of so many strings one is used: rendering and tokenizing in Python takes its time.
EVERY = 6
SPELLED = ["<|im_end|>", "</s>", "[SEP]"]


def fault(message):
    print(message, file=sys.stderr)
    return 2


def check_packages():
    for package in PACKAGES:
        name, wanted = package.split("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            sys.exit(fault(f"{name} is {found}, not {wanted}: pip install {' '.join(PACKAGES)}"))


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def make(strings, path):
    """Writes chats of one to nine messages, each string used once."""
    strings, number, role = iter(lines(strings)[::EVERY]), 0, ["user", "assistant"]
    with open(path, "w", encoding="utf-8") as file:
        while True:
            roles = ["system"] * (number % 3 == 0) + [role[turn % 2] for turn in range(1 + 2 * (number % 4))]
            if number % 31 == 30:  # Out of turn.
                roles.append("user")
            texts = [text for _, text in zip(range(len(roles) + 1), strings)]
            if len(texts) <= len(roles):
                return 0
            edge = AROUND[number % len(AROUND)]
            texts = [edge + text + edge for text in texts]
            if number % 37 == 36:
                texts[number % len(texts)] += SPELLED[number // 37 % len(SPELLED)]
            if number % 41 == 40:
                texts[-2] = "<think>\n" + texts[-2] + "\n</think>\n\n" + texts[-1]
            messages = [{"role": role, "content": text} for role, text in zip(roles, texts)]
            if number % 2:  # The order of members shows in `tojson`.
                messages = [dict(reversed(message.items())) for message in messages]
            chat = {"messages": json.dumps(messages, ensure_ascii=False), "reply": texts[-1]}
            file.write(json.dumps(chat, ensure_ascii=False) + "\n")
            number += 1


class Reference:
    def __init__(self, tokenizer):
        from transformers import PreTrainedTokenizerFast

        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=tokenizer)
        added = self.tokenizer.added_tokens_decoder.values()
        # The longest of those that begin at one place.
        special = sorted((token.content for token in added if token.special), key=len, reverse=True)
        self.special = re.compile("|".join(map(re.escape, special)) or "(?!)")

    def answer(self, template, tokens, chat):
        """What the kernel should say, and whether the two parts have the ids of the whole."""
        import jinja2

        messages, reply = json.loads(chat["messages"]), chat["reply"]
        texts = [(f"message {n}", text) for n, message in enumerate(messages, 1) for text in message.values()]
        for name, text in [*texts, ("the reply", reply)]:
            if spelled := self.special.search(text):
                return {"fault": f"{name} spells the control token {spelled.group()}"}, False
        whole = [*messages, {"role": "assistant", "content": reply}]
        named = {"chat_template": template, "bos_token": tokens[0], "eos_token": tokens[1]}
        apply = self.tokenizer.apply_chat_template
        try:
            prompt = apply(messages, tokenize=False, add_generation_prompt=True, **named)
            full = apply(whole, tokenize=False, add_generation_prompt=False, **named)
        except jinja2.exceptions.TemplateError as error:
            raised = type(error) is jinja2.exceptions.TemplateError
            return {"fault": str(error) if raised else ""}, False
        except TypeError:
            return {"fault": ""}, False
        if not full.startswith(prompt):
            return {"fault": "the text with the reply does not begin with the prompt"}, False
        ids = {
            "prompt": apply(messages, tokenize=True, add_generation_prompt=True, **named),
            "reply": self.tokenizer(full[len(prompt) :], add_special_tokens=False)["input_ids"],
        }
        joined = apply(whole, tokenize=True, add_generation_prompt=False, **named)
        return ids, joined == ids["prompt"] + ids["reply"]


def answers(folder, tokenizer, chats):
    """(name, chat, answer, whether its parts have the ids of the whole), in the order of ANSWERS."""
    reference, tokens = Reference(tokenizer), json.loads((folder / "tokens.json").read_text())
    for name in sorted(tokens):
        # As its bytes are: reading text would change line ends.
        template = (folder / f"{name}.jinja").read_bytes().decode()
        for number, chat in enumerate(lines(chats), 1):
            yield (name, number, chat, *reference.answer(template, tokens[name], chat))


def agree(answer, expected):
    if "fault" in expected:
        return expected["fault"] in answer.get("fault", [])
    return answer == expected


def compare(folder, tokenizer, chats, given):
    count, faults, joined, ids = 0, 0, 0, 0
    given = lines(given)
    for name, number, chat, expected, whole in answers(folder, tokenizer, chats):
        if count == len(given):
            return fault(f"there are only {len(given)} answers")
        if not agree(given[count], expected):
            print(f"{name}, chat {number}: the answer is {given[count]}, the reference says {expected}")
            print(json.dumps(chat))
            return 1
        count, joined = count + 1, joined + whole
        faults += "fault" in expected
        ids += sum(len(part) for part in expected.values()) if "fault" not in expected else 0
    if count == 0 or count != len(given):
        return fault(f"there are {len(given)} answers to {count} questions")
    print(
        f"chats by templates {count}, answers equal {count}; faults {faults}, {ids} ids; "
        f"parts with the ids of the whole {joined}"
    )
    return 0


def main():
    match sys.argv[1:]:
        case ["make", strings, chats]:
            return make(strings, chats)
        case ["answer", folder, tokenizer, chats, path]:
            check_packages()
            with open(path, "w", encoding="utf-8") as file:
                for _, _, _, expected, _ in answers(pathlib.Path(folder), tokenizer, chats):
                    file.write(json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n")
            return 0
        case ["compare", folder, tokenizer, chats, given]:
            check_packages()
            return compare(pathlib.Path(folder), tokenizer, chats, given)
    return fault(__doc__.strip())


if __name__ == "__main__":
    sys.exit(main())
