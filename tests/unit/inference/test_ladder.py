"""What moves from one form of the model to the next is bound, not only what changes sides."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from engine.bundle.contents import recipe_of
from engine.evidence import Scores, Status
from engine.inference.exported_files import speed_notes
from engine.inference.ladder import (
    SAMPLED,
    ModelForm,
    form_result,
    parity,
    quantized_shift,
    sample,
    settings_check,
    shift_checks,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.render.report.sections.export import machine
from engine.values import replace

SCORES = Scores(rows=0, metrics=(), classes=(), confusion=())


def form(name: str, shares: Sequence[float]) -> ModelForm:
    answers = [
        Prediction(
            id=f"{at:016x}",
            target="good",
            label="good",
            text="good",
            probability=share,
            probabilities=(share, 1 - share),
        )
        for at, share in enumerate(shares)
    ]
    return ModelForm(name=name, predictions=answers, scores=SCORES)


def failed(name: str, shares: Sequence[float], *, precision: str = "fp32") -> list[str]:
    before = form("adapter", [0.9, 0.8, 0.7, 0.6])
    checks = shift_checks(form(name, shares), before, precision=precision)
    return [one.name for one in checks if one.status is Status.FAIL]


def test_a_rung_that_loses_nothing_moves_nothing() -> None:
    assert failed("merged", [0.9, 0.8, 0.7, 0.6]) == []
    assert failed("f16", [0.9002, 0.8001, 0.6999, 0.6]) == []


def test_a_small_shift_of_every_row_is_refused_though_no_answer_changes() -> None:
    assert failed("merged", [0.89, 0.79, 0.69, 0.59]) == ["shift.merged"]


def test_a_large_shift_of_one_row_is_refused() -> None:
    found = failed("merged", [0.9, 0.8, 0.7, 0.56])

    assert found == ["shift.merged", "largest_shift.merged"]


@pytest.mark.parametrize(
    ("rows", "moved", "expected"),
    [
        (99, 1, ["largest_shift.merged"]),
        (100, 1, []),
        (1000, 10, []),
        (1000, 11, ["largest_shift.merged"]),
    ],
)
def test_one_row_in_a_hundred_may_move_further(rows: int, moved: int, expected: list[str]) -> None:
    before, after = [0.6] * rows, [0.2] * moved + [0.6] * (rows - moved)

    checks = [*shift_checks(form("merged", after), form("adapter", before), precision="bf16")]

    assert [one.name for one in checks if one.status is Status.FAIL] == expected
    found = form_result(form("merged", after), form("adapter", before), confidence=0.95, checks=())
    assert found.largest_shift == checks[1].got


def test_what_is_run_in_sixteen_bits_may_move_more() -> None:
    assert failed("merged", [0.89, 0.79, 0.69, 0.59], precision="bf16") == []
    assert failed("merged", [0.85, 0.75, 0.66, 0.57], precision="bf16") == []
    assert failed("merged", [0.7, 0.9, 0.5, 0.9], precision="bf16") == ["shift.merged"]


@pytest.mark.parametrize(
    ("name", "share", "status"),
    [
        ("Q8_0", 0.88, Status.PASS),
        ("Q8_0", 0.70, Status.FAIL),
        ("Q4_K_M", 0.70, Status.PASS),
        ("Q4_K_M", 0.20, Status.FAIL),
        ("IQ2_XS", 0.20, Status.PASS),
        ("F16", 0.88, Status.FAIL),
    ],
)
def test_a_quantized_file_may_move_by_what_its_bits_cost(
    name: str, share: float, status: Status
) -> None:
    (check,) = quantized_shift(form(name, [share] * 4), form("f16", [0.9] * 4))

    assert (check.name, check.status) == (f"shift.{name}", status)


def test_long_answers_are_measured_by_the_token() -> None:
    def form(share: float) -> ModelForm:
        row = Prediction(id="0" * 16, target="", label="x", text="x" * 400, probability=share)
        return ModelForm(name="f16", predictions=[row], scores=SCORES)

    checks = shift_checks(form(0.50), form(0.52), precision="fp32")

    assert [one.status for one in checks] == [Status.PASS, Status.PASS]


def test_other_settings_of_a_file_are_named() -> None:
    check = settings_check(["`llama.block_count` is 3"])

    assert (check.status, check.note) == (Status.FAIL, "`llama.block_count` is 3")
    assert settings_check([]).status is Status.PASS


def test_of_a_large_holdout_the_longest_row_is_asked() -> None:
    sizes = [5, *[7, 8, 6] * 100, 9, 3]

    assert sample(sizes) == [301]
    assert sample([1] * SAMPLED) == [0]
    assert sample([1] * (SAMPLED - 1)) == [*range(SAMPLED - 1)]


WRITTEN = """\
recipe: v1
name: names
task:
  kind: extraction
  instruction: Which name?
  schema: {type: object, properties: {name: {type: string}}, required: [name]}
base_model: {path: base}
data: {sources: [{path: rows.csv}], answer: {fields: {name: name}}}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
acceptance: {metrics: {field_f1: {min: 0.5}}}
export: {formats: [gguf]}
"""


@pytest.mark.parametrize(("lost", "status"), [(0, Status.PASS), (1, Status.PASS), (2, Status.FAIL)])
def test_answers_that_are_written_may_change_where_their_score_does_not(
    lost: int, status: Status
) -> None:
    recipe = recipe_of(WRITTEN.encode(), "recipe.resolved.yaml")
    judging = Judging(task=recipe.task, confidence=0.95, seed=0)

    def named(name: str, answers: Sequence[str]) -> ModelForm:
        predicted = [
            Prediction(
                id=f"{at:016x}", target='{"name":"Ann"}', label=one, text=one, probability=None
            )
            for at, one in enumerate(answers)
        ]
        return ModelForm(name=name, predictions=predicted, scores=score(predicted, judging))

    right, wrong = '{"name":"Ann"}', '{"name":"Bob"}'
    before = named("adapter", [right] * 50 + [wrong] * 10)
    # ten wrong answers become other wrong ones
    after = named("merged", [wrong] * lost + [right] * (50 - lost) + ['{"name":"Cid"}'] * 10)
    check = parity(after, before, recipe, judging, precision="bf16")

    assert check.name == "parity.merged"
    assert (check.direction, check.bound) == ("max", pytest.approx(0.02))
    assert check.got == pytest.approx(lost / 60)
    assert check.status is status
    assert f"{10 + lost} of 60 answers changed" in check.note


SEVERAL = """\
recipe: v1
name: topics
task: {kind: multilabel, instruction: "Which, {labels}?", labels: [bug, bill], output: json}
base_model: {path: base}
data: {sources: [{path: rows.csv}], label: {column: topics, separator: ;}}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
export: {formats: [gguf]}
"""


@pytest.mark.parametrize(
    ("written", "target", "answer", "later", "status"),
    [
        # as wrong as before by its score
        (WRITTEN, '{"name":"Ann"}', '{"name":"Bob"}', '{"name":"Cid"}', Status.FAIL),
        (WRITTEN, '{"name":"Ann"}', '{"name":"Bob"}', '{"name":"Bob"}', Status.PASS),
        # without a bill, F1 over all labels is undefined
        (SEVERAL, "bug", "bug", "bug", Status.PASS),
        (SEVERAL, "bug", "bug", "bill", Status.FAIL),
    ],
)
def test_written_answers_of_a_sample_must_stay(
    written: str, target: str, answer: str, later: str, status: Status
) -> None:
    recipe = recipe_of(written.encode(), "recipe.resolved.yaml")

    def answered(name: str, label: str, sampled_of: int | None = None) -> ModelForm:
        row = Prediction(id="0" * 16, target=target, label=label, text=label, probability=None)
        return ModelForm(name=name, predictions=[row], scores=SCORES, sampled_of=sampled_of)

    judging = Judging(task=recipe.task, confidence=0.95, seed=0)
    after = answered("f16", later, sampled_of=300)
    check = parity(after, answered("merged", answer), recipe, judging, precision="bf16")

    assert (check.direction, check.bound) == ("min", pytest.approx(0.98))
    assert check.status is status


LABELLED = """\
recipe: v1
name: sides
task: {kind: classification, instruction: Which?, labels: [good, bad]}
base_model: {path: base}
data: {sources: [{path: rows.csv}], label: {column: side}}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
export: {formats: [gguf]}
"""


@pytest.mark.parametrize(
    ("share", "precision", "ties", "changed", "status"),
    [
        # 0.55 to 0.45 are 0.2 nats
        (0.55, "bf16", 1, 1, Status.PASS),
        (0.55, "fp32", 0, 1, Status.FAIL),
        # 0.505 to 0.495 are 0.02 nats
        (0.505, "fp32", 1, 1, Status.PASS),
        (0.9, "bf16", 0, 1, Status.FAIL),
        # more ties than a sound step changes
        (0.55, "bf16", 2, 2, Status.FAIL),
    ],
)
def test_parity_is_the_real_share_and_ties_lower_its_bound(
    share: float, precision: str, ties: int, changed: int, status: Status
) -> None:
    recipe = recipe_of(LABELLED.encode(), "recipe.resolved.yaml")
    judging = Judging(task=recipe.task, confidence=0.95, seed=0)
    kept = 10 - changed
    before = form("adapter", [0.99] * kept + [share] * changed)
    after = form("merged", [0.99] * kept + [0.49] * changed)
    other = [replace(one, label="bad") for one in after.predictions[kept:]]
    after = replace(after, predictions=[*after.predictions[:kept], *other])

    check = parity(after, before, recipe, judging, precision=precision)
    rung = form_result(after, before, confidence=0.95, checks=[check], precision=precision)

    assert (check.got, check.status) == (pytest.approx(kept / 10), status)
    # one row of ten is as much as ties may explain
    assert check.bound == pytest.approx(0.98 - min(ties, 1) / 10)
    assert (len(rung.flips), rung.ties) == (changed, ties)
    assert rung.agreement is not None
    assert rung.agreement.value == pytest.approx(kept / 10)


# How the speed of a file was measured, in words.
FOUND = {"speed": {"cached_seconds": None, "shared_tokens": 0, "prompt_tokens": 9}}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 core of this machine, 1 holdout prompt,"),
        (2, "2 cores of this machine, 2 holdout prompts,"),
    ],
)
def test_cores_and_prompts_are_counted_in_words(count: int, words: str) -> None:
    found = {"speed": {**FOUND["speed"], "prompts": count}}

    assert f"llama.cpp on {words}" in speed_notes(found, cores=count)["tokens_per_second"]


@pytest.mark.parametrize(("cores", "words"), [("1", "cpu, 1 core"), ("2", "cpu, 2 cores")])
def test_a_report_counts_cores_in_words(cores: str, words: str) -> None:
    report: Any = SimpleNamespace(environment={"device": "cpu", "cores": cores})

    assert machine(report) == f"measured on this machine: {words}"
