"""Compares the metrics kernel with the packages that the field computes its measures with.

    python answers.py PAIRS.jsonl SCORES.jsonl

A line of PAIRS is {"answer": TEXT, "reference": TEXT}; the same line of SCORES is what the kernel says
of that pair: {"exact_match": BOOL, "token_f1": X, "rouge1": {"precision": X, "recall": X, "f1": X},
"rouge2": ..., "rougeL": ..., "chrf": X}. Every number must be equal, not near. Exit code 1 names the
first pair that differs, with both values; 2 says what is wrong with the files or the packages.

PACKAGES are the references, each at the version that the kernel's README names: the SQuAD measures are
transformers.data.metrics.squad_metrics, ROUGE is rouge_score without stemming, chrF is sacrebleu's
sentence_chrf. Python needs nothing else.
"""

import importlib.metadata
import itertools
import json
import os
import sys

PACKAGES = [
    "rouge-score==0.1.2",
    "sacrebleu==2.6.0",
    "transformers==4.57.6",
]

# A missing torch is of no interest here.
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"


def check_packages():
    for package in PACKAGES:
        name, wanted = package.split("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            sys.exit(fault(f"{name} is {found}, not {wanted}: pip install {' '.join(PACKAGES)}"))


def fault(message):
    print(message, file=sys.stderr)
    return 2


def references():
    """Each measure by its name in SCORES: a function of an answer and its reference text."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import sentence_chrf
    from transformers.data.metrics import squad_metrics

    def rouge(kind):
        scorer = RougeScorer([kind], use_stemmer=False)

        def measure(answer, reference):
            score = scorer.score(reference, answer)[kind]
            return {"precision": score.precision, "recall": score.recall, "f1": score.fmeasure}

        return measure

    return {
        "exact_match": lambda answer, reference: bool(squad_metrics.compute_exact(reference, answer)),
        "token_f1": lambda answer, reference: squad_metrics.compute_f1(reference, answer),
        "rouge1": rouge("rouge1"),
        "rouge2": rouge("rouge2"),
        "rougeL": rouge("rougeL"),
        "chrf": lambda answer, reference: sentence_chrf(answer, [reference]).score,
    }


def compare(pairs, scores):
    """Prints how many pairs are equal in each measure, or the first that is not; the exit code."""
    measures = references()
    number = 0
    for number, (pair, score) in enumerate(itertools.zip_longest(pairs, scores), start=1):
        if pair is None or score is None:
            return fault(f"one file ends before line {number}, the other does not")
        pair, score = json.loads(pair), json.loads(score)
        if set(score) != set(measures):
            return fault(f"line {number} has the scores {sorted(score)}")
        for name, measure in measures.items():
            expected = measure(pair["answer"], pair["reference"])
            if score[name] != expected:
                print(f"pair {number}: {name} is {score[name]!r}, the reference says {expected!r}")
                print(json.dumps(pair))
                return 1
    if number == 0:
        return fault("there are no pairs")
    print(f"pairs {number}; " + ", ".join(f"{name} equal {number}" for name in measures))
    return 0


def main():
    if len(sys.argv) != 3:
        return fault(__doc__.strip())
    check_packages()
    with open(sys.argv[1], encoding="utf-8") as pairs, open(sys.argv[2], encoding="utf-8") as scores:
        return compare(pairs, scores)


if __name__ == "__main__":
    sys.exit(main())
