"""When labels, not training, are what holds a model back."""

from typing import Any

import pytest
import yaml

from engine.errors import Severity
from engine.evidence import Diagnosis, Fit
from engine.recipe import check_recipe, load_recipe
from engine.recipe.model import Recipe, Threshold
from engine.values import replace
from support.paths import EXAMPLES
from support.trained import (
    LEARNED,
    SETTLED,
    TURNED,
    checkpoint,
    data,
    falling,
    found,
    levelling,
    metric,
    recipe,
    scores,
    training,
)


@pytest.mark.parametrize(
    ("doubtful", "action", "fit"),
    [
        (64, "warn", Fit.NOISE_CEILING),
        (39, "warn", Fit.FITS),
        (200, "warn", Fit.FITS),
        (64, "drop", Fit.FITS),
    ],
)
def test_measured_label_errors_make_a_ceiling_that_the_holdout_has_to_reach(
    doubtful: int, action: str, fit: Fit
) -> None:
    diagnosis = found(data=data(label_errors=doubtful, action=action))

    assert diagnosis.fit is fit
    if fit is Fit.NOISE_CEILING:
        assert "8% of the rows have a doubtful label" in diagnosis.reasons[0]


@pytest.mark.parametrize(
    ("losses", "fit"),
    [
        (levelling(2.0, 0.8), Fit.NOISE_CEILING),
        (falling(2.0, 0.8), Fit.UNDERFITTED),
        (levelling(2.0, 0.8, 150), Fit.UNDERFITTED),
    ],
    ids=["had its time", "still falling", "short"],
)
def test_doubtful_labels_excuse_no_training_that_was_too_short(
    losses: list[float], fit: Fit
) -> None:
    doubtful = data(label_errors=160)

    assert found(0.8, 0.8, 0.8, training=training(losses), data=doubtful).fit is fit


@pytest.mark.parametrize(
    ("train", "unseen", "fit"),
    [
        (0.85, 0.84, Fit.NOISE_CEILING),
        (0.77, 0.76, Fit.UNDERFITTED),
        (0.99, 0.82, Fit.OVERFITTED),
        (0.99, 0.90, Fit.NOISE_CEILING),
    ],
)
def test_wrong_labels_that_nobody_doubts_lower_the_ceiling(
    train: float, unseen: float, fit: Fit
) -> None:
    """Of 800 labels 80 are doubted and up to 144 wrong; what was learned by heart is no ceiling below the first."""
    long = training(levelling(2.0, 0.8))

    diagnosis = found(train, unseen, unseen, training=long, data=data(label_errors=80))

    assert diagnosis.fit is fit
    if unseen == 0.84 and fit is Fit.NOISE_CEILING:
        assert "no more than about 0.82 to 0.90, as not" in diagnosis.reasons[0]


def test_of_contradicting_rows_half_are_wrong() -> None:
    assert found(data=data(conflicting_labels=128)).fit is Fit.NOISE_CEILING
    assert found(data=data(conflicting_labels=64)).fit is Fit.FITS


@pytest.mark.parametrize(
    ("losses", "changes"),
    [
        (levelling(2.0, 0.8, 150), {}),
        (levelling(2.0, 1.9), {}),
        (falling(2.0, 0.8), {}),
        (levelling(2.0, 0.8), {"learning_rate": 1e-4}),
    ],
    ids=["short", "nothing learned", "still falling", "slow"],
)
def test_a_flat_loss_is_a_ceiling_only_after_long_training_at_the_usual_rate(
    losses: list[float], changes: dict[str, Any]
) -> None:
    diagnosis = found(0.6, 0.6, 0.6, of=recipe(**changes), training=training(losses, SETTLED))

    assert diagnosis.fit is Fit.UNDERFITTED


@pytest.mark.parametrize(("train", "fit"), [(0.75, Fit.NOISE_CEILING), (0.77, Fit.UNDERFITTED)])
def test_a_flat_loss_is_a_ceiling_only_far_below_one(train: float, fit: Fit) -> None:
    assert found(train, 0.7, 0.7, training=training(levelling(2.0, 0.8), SETTLED)).fit is fit


def test_a_ceiling_that_was_not_measured_asks_for_the_check() -> None:
    given = recipe()
    checks = replace(given.data.checks, label_errors="off")
    unmeasured = replace(given, data=replace(given.data, checks=checks))
    flat = training(levelling(2.0, 0.8), SETTLED)

    assert found(0.6, 0.6, 0.6, training=flat).yaml == ""
    diagnosis = found(0.6, 0.6, 0.6, of=unmeasured, training=flat)
    assert diagnosis.fit is Fit.NOISE_CEILING
    assert diagnosis.yaml == "data: {checks: {label_errors: warn}}"


# Rules for kinds whose metric is no share, or whose rows have many right answers.
def test_free_text_is_held_to_the_threshold_of_the_recipe_alone() -> None:
    writer = recipe("generation")
    unbound = replace(writer, acceptance=replace(writer.acceptance, metrics=()))
    bound = Threshold(metric="rouge_l", direction="min", bound=0.5)
    strict = replace(writer, acceptance=replace(writer.acceptance, metrics=(bound,)))
    writer_task = replace(writer.task, answer_pattern="")

    for one, fit in ((unbound, Fit.FITS), (strict, Fit.UNDERFITTED)):
        given = replace(one, task=writer_task)
        assert found(0.4, 0.4, 0.4, of=given, name="rouge_l").fit is fit


def test_free_text_is_judged_by_the_metric_that_has_a_threshold() -> None:
    writer = recipe("generation")
    bound = Threshold(metric="numeric_match", direction="min", bound=0.4)
    of = replace(
        writer,
        task=replace(writer.task, answer_pattern=""),
        acceptance=replace(writer.acceptance, metrics=(bound,)),
    )

    def both(match: float | None) -> Any:
        found_by = (metric(0.3, "rouge_l"), metric(match, "numeric_match"))
        return replace(scores(0.3), metrics=found_by)

    # a later checkpoint has the better text, which says nothing of its numbers
    judged = (checkpoint(100, 0.3, name="rouge_l"), checkpoint(200, 0.6, name="rouge_l"))
    low, enough, unmeasured = (
        found(of=of, train=one, validation=one, holdout=one, training=training, checkpoints=judged)
        for one, training in (
            (both(0.02), training(falling(2.0, 1.9, 200), kept_step=100)),
            (both(0.6), training(SETTLED)),
            (both(None), training(SETTLED)),
        )
    )

    assert low.fit is Fit.UNDERFITTED
    assert low.reasons[0] == "numeric_match is 0.020 [0.000, 0.060] on 200 training rows"
    assert enough.fit is Fit.FITS
    assert enough.reasons[0].startswith("numeric_match is 0.600")
    assert unmeasured.reasons[0].startswith("rouge_l is 0.300")


def test_less_is_better_for_bits_per_byte() -> None:
    chat = recipe("chat")
    bound = Threshold(metric="bits_per_byte", direction="max", bound=0.5)
    strict = replace(chat, acceptance=replace(chat.acceptance, metrics=(bound,)))
    turned = training(LEARNED, TURNED)

    def of(train: float, unseen: float, **more: Any) -> Fit:
        return found(train, unseen, unseen, name="bits_per_byte", **more).fit

    assert of(0.6, 0.6, of=chat) is Fit.FITS
    assert of(0.6, 0.6, of=strict) is Fit.UNDERFITTED
    assert of(0.2, 0.9, of=chat) is Fit.FITS
    assert of(0.2, 0.9, of=chat, training=turned) is Fit.OVERFITTED
    assert of(0.9, 0.2, of=chat, training=turned) is Fit.FITS


# Edits of a diagnosis in the recipe that was trained: it is valid with them, and they say what to do.
SHORT = falling(2.0, 1.99, 25)
WORSE: dict[str, Any] = {"train": scores(0.99), "holdout": scores(0.5)}


def pasted(written: str, diagnosis: Diagnosis) -> list[str]:
    """Return the codes of what is wrong with a recipe after its edit; what was valid has none."""
    assert not codes(written)
    return codes(yaml.safe_dump(merged(yaml.safe_load(written), yaml.safe_load(diagnosis.yaml))))


def codes(written: str) -> list[str]:
    found = check_recipe(VALID, read=lambda _: written.encode())[1]
    return [problem.code for problem in found if problem.severity is Severity.ERROR]


def merged(recipe: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: merged(recipe[key], edit[key]) for key in recipe if isinstance(edit.get(key), dict)
    }
    return recipe | edit | both


VALID = EXAMPLES / "valid" / "minimal.yaml"


def valid(**sections: Any) -> tuple[str, Recipe]:
    """Return a recipe, as it is written and as it is read, with other sections."""
    fields = yaml.safe_load(VALID.read_text(encoding="utf-8")) | sections
    text = yaml.safe_dump(fields)
    return text, load_recipe(VALID, read=lambda _: text.encode())[0]


def test_no_validation_rows_are_asked_for_where_two_folds_leave_none() -> None:
    written, of = valid(
        splits={"by": "random", "folds": 2, "validation": 0, "seed": 1},
        method={"kind": "lora", "epochs": 6},
    )
    diagnosis = found(of=of, validation=None, training=training(LEARNED), **WORSE)

    assert diagnosis.yaml == "method: {epochs: 3}"
    assert not pasted(written, diagnosis)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"rank": 8}, {"rank": 16}),
        ({"rank": 8, "alpha": 20, "ranks": {"q_proj": 2}}, {"rank": 16, "alpha": 48}),
    ],
)
def test_an_alpha_that_was_left_open_follows_the_rank(
    method: dict[str, Any], expected: dict[str, Any]
) -> None:
    rate = {"learning_rate": 0.001, "epochs": 5}
    written, of = valid(method={"kind": "lora", **rate, **method})
    diagnosis = found(0.6, of=of, training=training(levelling(2.0, 1.7)))

    assert yaml.safe_load(diagnosis.yaml) == {"method": expected}
    assert not pasted(written, diagnosis)


def test_what_suits_one_value_of_a_sweep_is_tried_with_it() -> None:
    written, of = valid(
        method={"kind": "lora", "learning_rate": 0.001, "micro_batch_size": 12, "epochs": 1},
        sweep={"grid": {"batch_size": [12, 24]}},
    )
    of = replace(of, method=of.sweep.settings[1]) if of.sweep else of
    diagnosis = found(0.3, 0.3, 0.3, of=of, training=training(SHORT, epochs=1.0))

    assert "the sweep varies batch_size: let it try 8 with micro_batch_size 8 too" in (
        diagnosis.reasons
    )
    assert yaml.safe_load(diagnosis.yaml) == {"method": {"epochs": 5}}
    assert not pasted(written, diagnosis)


def test_where_nothing_is_left_to_raise_the_reasons_name_it() -> None:
    of = recipe(epochs=20.0, rank=16)
    diagnosis = found(0.6, of=of, training=training(levelling(2.0, 1.7, 1000), epochs=20.0))

    assert (diagnosis.fit, diagnosis.edits) == (Fit.UNDERFITTED, ())
    assert "rate, length and rank leave nothing to raise" in diagnosis.reasons[-1]
