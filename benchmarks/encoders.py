"""Macro-F1 and CPU seconds of the baselines that train: TF-IDF with an SVM, a frozen encoder, a tuned one.

    OMP_NUM_THREADS=1 uv run python benchmarks/encoders.py
    OMP_NUM_THREADS=1 uv run python benchmarks/encoders.py --encoder FOLDER --cases snips,emotions --machines

Real rows from ../shared/data: 400 to learn from (banking77: 10 a class), 500 to judge. The encoder is the default one,
fetched into a store of its own, or the one in FOLDER. `--machines` compares LinearSVC with logistic regression.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from evaluate_cases import Rows, load_case
from scipy import sparse

from engine.data.examples.example import Example, content_id
from engine.data.splitting.subsets import inner_folds
from engine.environment import Device
from engine.recipe.baselines import DEFAULT_ENCODER
from engine.recipe.model import PathRef
from engine.runtime.encoders.classifiers import ALONE, BESIDE, LabelledTexts, linear_answers, tune
from engine.runtime.encoders.encoder import Encoder, load_encoder, locate_encoder
from engine.runtime.text.tfidf import fit_svm, words_and_characters
from engine.store import Store

CPU = Device(kind="cpu", name="cpu", memory_bytes=0, cores=1, bf16=False)
SEED = 7
TRAIN, TEST, PER_CLASS = 400, 500, {"banking77": 10}


class Quiet:
    """A progress that nobody watches."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


def rows_of(name: str) -> tuple[Rows, Rows]:
    """Return the rows to learn from and those to judge."""
    case = load_case(name)
    train = case.train
    if most := PER_CLASS.get(name):
        seen: Counter[str] = Counter()
        train = [row for row in train if seen[row[1]] < most and not seen.update([row[1]])]
        return train, case.test[:TEST]
    return train[:TRAIN], case.test[:TEST]


def timed(answers: Callable[[], Sequence[str]], test: Rows) -> str:
    """Return macro-F1 and CPU seconds."""
    start = time.process_time()
    found = list(answers())
    seconds = time.process_time() - start
    return f"{macro_f1(found, test):.3f} ({seconds:.0f} s)"


def macro_f1(answers: Sequence[str], test: Rows) -> float:
    """Return the mean of the F1 of each label."""
    from sklearn.metrics import f1_score  # brings scikit-learn

    labels = [label for _, label in test]
    return float(f1_score(labels, answers, average="macro", zero_division=0.0))


def linear(encoder: Encoder, train: Rows, test: Rows, feature_sets: Sequence[str]) -> list[str]:
    """Return the answers of a linear model with the better of some features."""
    examples = [
        Example(id=content_id(text, label), origin="", input=text, target=label)
        for text, label in train
    ]
    found = linear_answers(
        labelled(encoder, train),
        None,
        labelled(encoder, test),
        folds=inner_folds(examples, 5, seed=SEED),
        seed=SEED,
        feature_sets=feature_sets,
    )
    return [str(answer) for answer in found.answers]


def labelled(encoder: Encoder, rows: Rows) -> LabelledTexts:
    """Return rows with their vectors."""
    texts = [text for text, _ in rows]
    labels = np.array([label for _, label in rows])
    return LabelledTexts(texts=texts, vectors=encoder.vectors(texts, Quiet()), labels=labels)


def logistic(encoder: Encoder, train: Rows, test: Rows, *, beside: bool) -> list[str]:
    """Return what logistic regression says in the place of LinearSVC."""
    from sklearn.linear_model import LogisticRegression  # brings scikit-learn
    from sklearn.model_selection import GridSearchCV

    given, asked = labelled(encoder, train), labelled(encoder, test)
    rows, judged = given.vectors, asked.vectors
    if beside:
        weights = words_and_characters().fit(given.texts)
        rows = sparse.hstack([rows, weights.transform(given.texts)]).tocsr()
        judged = sparse.hstack([judged, weights.transform(asked.texts)]).tocsr()
    machine = LogisticRegression(max_iter=1000)
    search = GridSearchCV(machine, {"C": [1, 3, 10, 30, 100]}, scoring="f1_macro", cv=5)
    return [str(answer) for answer in search.fit(rows, given.labels).predict(judged)]


def compare(name: str, load: Callable[[], Encoder], *, machines: bool) -> list[str]:
    """Return one row of the table. Each way reads the texts anew, so that its seconds are whole."""
    train, test = rows_of(name)
    texts, labels = [text for text, _ in train], [label for _, label in train]
    asked = [text for text, _ in test]
    found = [name, f"{len(train)}"]
    found.append(timed(lambda: [*fit_svm(texts, np.array(labels), seed=SEED).answers(asked)], test))
    for feature_sets in ((ALONE,), (BESIDE,), (ALONE, BESIDE)):
        encoder = load()
        found.append(timed(partial(linear, encoder, train, test, feature_sets), test))
    if machines:
        for beside in (False, True):
            encoder = load()
            found.append(timed(partial(logistic, encoder, train, test, beside=beside), test))
        return found
    encoder = load()

    def tuned() -> list[str]:
        model = tune(encoder, texts, np.array(labels), seed=SEED, progress=Quiet())
        return [str(answer) for answer in model.answers(asked)]

    return [*found, timed(tuned, test)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="snips,headlines,banking77,sms_spam")
    parser.add_argument("--encoder", type=Path, help="a folder, in the place of the default")
    parser.add_argument("--store", type=Path, default=Path("~/.cache/slm-recipe/benchmarks"))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--machines", action="store_true", help="compare with logistic regression")
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1: CPU seconds of several threads are no measure")
    given = options.encoder
    ref = PathRef(path=given.absolute(), written=str(given)) if given else DEFAULT_ENCODER
    folder = locate_encoder(ref, Store(options.store.expanduser()).cached, Quiet())
    last = ["LR alone", "LR beside"] if options.machines else ["encoder_tuned"]
    print("| rows | train | tfidf_svm | alone | beside TF-IDF | encoder_linear |", *last, "|")
    for name in options.cases.split(","):
        row = compare(
            name,
            lambda: load_encoder(folder, device=CPU, precision=options.precision),
            machines=options.machines,
        )
        print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
