import random
from collections.abc import Sequence

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference.baselines.floors import majority, moved_answers, svm
from support.stage_bench import examples
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
