"""Which answers of a teacher are kept, and what a confidence would keep."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.evidence import KeptAtConfidence
from engine.inference import cached
from engine.inference.synthesis import TAUGHT_PART, ask_teacher, kept_by_confidence, why_refused
from engine.inference.synthetic_requests import (
    answer_key,
    row_requests,
    row_schema,
    writes_answer,
    writing_task,
)
from engine.metrics.predictions import Prediction, write_predictions
from engine.recipe.model import Baseline, Recipe
from engine.recipe.teacher import synthesis_of
from engine.values import replace
from support.tasks import task
from support.written_rows import labelled
from unit.data.test_unlabelled import recipe_with


def prediction(label: str | None, probability: float | None, target: str = "yes") -> Prediction:
    return Prediction(
        id="0", target=target, label=label, text=label or "?", probability=probability
    )


@pytest.mark.parametrize(
    ("row", "bound", "why"),
    [
        (prediction("yes", 0.8), 0.8, ""),
        (prediction("yes", 0.79), 0.8, "below the confidence"),
        (prediction("yes", None), None, ""),
        (prediction("yes", None), 0.5, "below the confidence"),
        (prediction(None, 0.99), None, "not an answer of the task"),
    ],
)
def test_an_answer_is_kept_by_its_form_and_its_confidence(
    row: Prediction, bound: float | None, why: str
) -> None:
    assert why_refused(row, min_confidence=bound) == why


def test_a_confidence_is_shown_with_what_it_keeps_and_how_much_of_that_is_right() -> None:
    rows = [
        prediction("yes", 0.95),
        prediction("no", 0.85),
        prediction("yes", 0.55),
        prediction("yes", 0.65, "no"),
    ]

    found = {one.confidence: one for one in kept_by_confidence(rows, also=0.82)}

    assert found[0.5] == KeptAtConfidence(confidence=0.5, kept=1.0, right=0.5)
    assert found[0.82] == KeptAtConfidence(confidence=0.82, kept=0.5, right=0.5)
    assert found[0.95] == KeptAtConfidence(confidence=0.95, kept=0.25, right=1.0)
    assert kept_by_confidence([prediction("yes", None)], also=None) == ()


def test_a_baseline_is_trained_once_and_asked_anew_where_its_training_rows_are_others(
    tmp_path: Path,
) -> None:
    asked: list[tuple[Fold, dict[str, str]]] = []

    def product(baseline: Baseline, fold: Fold, *, rows: dict[str, str]) -> Any:
        del baseline
        asked.append((fold, rows))
        write_predictions(
            tmp_path / "predictions.jsonl", [prediction("yes", None)] * len(fold.judged)
        )
        return SimpleNamespace(file=tmp_path.joinpath)

    def ask(data: str, count: int = TAUGHT_PART + 1) -> int:
        context = SimpleNamespace(
            inputs={"data": data},
            progress=SimpleNamespace(update=lambda *_: None),
            recipe=SimpleNamespace(splits=SimpleNamespace(seed=7), task=None),
        )
        asker: Any = SimpleNamespace(context=context, product=product)
        baseline = Baseline(kind="tfidf_svm", name="tfidf_svm")
        found = ask_teacher(asker, baseline, rows[:count], shown=rows[:2], validation=rows[2:3])
        return len(found.predictions)

    rows = [
        Example(id=str(number), origin="", input=f"text {number}", target="")
        for number in range(TAUGHT_PART + 1)
    ]

    assert [ask("one"), ask("other"), ask("one"), ask("one", 0)] == [TAUGHT_PART + 1] * 3 + [0]
    (fold, first), (_, second), (_, third) = asked
    assert first == third != second
    assert (fold.train, fold.validation) == (tuple(rows[:2]), tuple(rows[2:3]))


# The answer that is asked again is sure, and not that of the rows beside it.
def answered(*answers: tuple[str | None, float]) -> list[Prediction]:
    return [
        Prediction(id=str(at), target="a", label=label, text=label or "", probability=probability)
        for at, (label, probability) in enumerate(answers)
    ]


def between_others(written: Sequence[Prediction]) -> list[int]:
    return cached.between_others(written, [10 - at for at in range(len(written))])


def test_sure_ones_between_others_are_taken_the_shortest_first() -> None:
    found = answered(("a", 0.9), ("b", 0.85), ("a", 0.95), ("b", 0.99), ("b", 0.9))

    assert between_others(found) == [2, 1]
    assert cached.between_others(found, [3, 1, 2, 1, 1]) == [1, 2]


def test_of_many_the_surest_are_taken() -> None:
    found = answered(*(("ab"[at % 2], 0.9 + at / 1000) for at in range(90)))
    taken = cached.between_others(found, [len(found) - at for at in range(len(found))])

    assert taken == [88, 87, 86]
    assert min(cached.between_others(found, [*range(len(found))])) == 57


def test_none_is_where_none_is_sure() -> None:
    assert between_others(answered(("a", 0.9), ("b", 0.6), ("a", 0.9))) == []


def test_none_is_where_no_answer_differs_from_both() -> None:
    assert between_others(answered(("a", 0.9), ("a", 0.9), ("b", 0.9), ("b", 0.9))) == []
    assert between_others(answered(("a", 0.9), ("b", 0.9))) == []
    assert between_others([]) == []


def test_nor_beside_a_row_without_an_answer() -> None:
    assert between_others(answered((None, 0.0), ("b", 0.9), ("a", 0.9))) == []


# What each request for a synthetic row says, and what the answer to it has to look like.
TRAIN = [
    Example(id=text, origin="rows.csv:2", input=text, target=label, labels=(label,))
    for text, label in labelled(30, seed=3)
]


def asking(folder: Path, **changes: Any) -> Recipe:
    written = {"teacher": {"path": "base"}, "rows": 12, **changes}
    data = {"sources": [{"path": "rows.csv"}], "label": {"column": "label"}}
    return recipe_with(folder, data={**data, "synthesize": written})


def test_labels_are_wanted_in_turn_and_examples_have_the_wanted_one(tmp_path: Path) -> None:
    found = row_requests(asking(tmp_path, examples=3), TRAIN)

    assert [one.number for one in found] == list(range(1, 13))
    assert Counter(one.target for one in found) == {"negative": 6, "positive": 6}
    for one in found:
        shown = [row for row in TRAIN if row.input in one.text]
        assert len(shown) == 3
        assert {row.target for row in shown} == {one.target}
        assert f"has to be: {one.target}" in one.text
    assert len({one.text for one in found}) == 12, "examples are drawn anew"


def test_another_order_of_the_rows_asks_the_same_and_another_seed_does_not(tmp_path: Path) -> None:
    first = row_requests(asking(tmp_path), TRAIN)

    assert row_requests(asking(tmp_path), TRAIN[::-1]) == first
    assert row_requests(asking(tmp_path, rows=20), TRAIN)[:12] == first
    assert row_requests(asking(tmp_path, seed=8), TRAIN) != first


def test_as_data_wants_labels_as_the_training_rows_have_them(tmp_path: Path) -> None:
    mostly = [row for row in TRAIN if row.target == "positive"] + TRAIN[:1]
    lopsided = [row for row in mostly if row.target == "positive"][:15] + [
        row for row in TRAIN if row.target == "negative"
    ][:1]
    found = row_requests(asking(tmp_path, balance="as_data", rows=40), lopsided)

    counts = Counter(one.target for one in found)
    assert counts["positive"] > 30


def test_of_several_labels_those_of_a_row_are_wanted_together(tmp_path: Path) -> None:
    sets = (("negative", "positive"), ("positive",), ())
    rows = [
        Example(
            id=str(number),
            origin="rows.csv:2",
            input=f"row {number} of many words",
            target=", ".join(sets[number % 3]) or "none",
            labels=sets[number % 3],
        )
        for number in range(12)
    ]
    several = asking(tmp_path, rows=8)
    several = replace(several, task=replace(several.task, kind="multilabel"))
    found = row_requests(several, rows)
    all_kinds = row_requests(
        replace(
            several,
            data=replace(
                several.data, synthesize=replace(synthesis_of(several), balance="as_data", rows=40)
            ),
        ),
        rows,
    )

    assert {one.target for one in found[::2]} == {"negative, positive"}
    assert {one.target for one in found[1::2]} <= {"negative, positive", "positive"}
    assert {one.target for one in all_kinds} == {"negative, positive", "positive", "none"}
    for one in found:
        shown = [row for row in rows if row.input in one.text]
        assert {row.target for row in shown} == {one.target}


def test_a_prompt_names_the_answer_and_the_values(tmp_path: Path) -> None:
    prompt = "A {tone} sentence about {label}, {{as it is}}."
    found = row_requests(asking(tmp_path, prompt=prompt, vary={"tone": ["calm", "loud"]}), TRAIN)

    heads = {one.text.partition("\n\n")[0] for one in found}
    assert heads == {
        f"A {tone} sentence about {label}, {{as it is}}."
        for tone in ("calm", "loud")
        for label in ("negative", "positive")
    }


def test_without_examples_none_is_shown_and_a_label_without_a_row_is_asked_for(
    tmp_path: Path,
) -> None:
    none = row_requests(asking(tmp_path, examples=0), TRAIN)
    only = row_requests(asking(tmp_path), [row for row in TRAIN if row.target == "positive"])

    assert not [row for row in TRAIN for one in none if row.input in one.text]
    assert [one for one in only if one.target == "negative"]


def test_a_row_has_the_columns_and_of_extraction_its_answer() -> None:
    plain = task("classification", input="{title}: {body.text}, {title}")
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {}}}
    extraction = task("extraction", input="{answer}", schema=schema)

    assert list(row_schema(plain)["properties"]) == ["title", "body.text"]
    assert not writes_answer(plain)
    assert writes_answer(extraction)
    assert answer_key(extraction) == "_answer"
    found = row_schema(extraction)
    assert found["$defs"] == {"x": {}}, "references start at the root"
    assert found["properties"]["_answer"] == {k: schema[k] for k in ("type", "properties")}
    json.dumps(found)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_written_row_has_room_for_the_longest_training_row(tmp_path: Path, output: str) -> None:
    recipe = asking(tmp_path)
    found = writing_task(recipe, TRAIN)

    longest = max(len(row.input) for row in TRAIN)
    assert found.kind == "extraction"
    assert found.output == "text", output
    assert found.max_new_tokens >= longest
    assert not found.system
