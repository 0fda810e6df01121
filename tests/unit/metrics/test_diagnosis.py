"""Every rule on planted trainings: what it says, and from where on it says it."""

from typing import Any

import pytest
import yaml

from engine.evidence import DataSummary, Fit, SplitSummary
from engine.recipe.model import EarlyStopping, MethodDefault, Sweep, Threshold
from engine.values import replace
from support.trained import (
    LEARNED,
    SETTLED,
    TURNED,
    UNDONE,
    baseline,
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

LAST = recipe(keep="last")
UNDERFITTED, OVERFITTED, FITS = Fit.UNDERFITTED, Fit.OVERFITTED, Fit.FITS
CASES: dict[str, tuple[dict[str, Any], Fit, str, str]] = {
    "few validation rows leave it to the holdout": (
        {"validation": scores(0.2, rows=29), "holdout": scores(0.92)}, FITS, "", "0.920 [0.880, 0.960] on holdout rows",
    ),
    "few validation rows choose no checkpoint": (
        {"train": scores(0.99), "validation": scores(0.5, rows=10), "holdout": scores(0.6), "of": LAST},
        OVERFITTED, "{epochs: 2}", "",
    ),
    "a score is low where its whole interval is": (
        {"train": scores(0.85), "training": training(UNDONE)}, UNDERFITTED, "{epochs: 10}", "",
    ),
    "and else it is not": ({"train": scores(0.87), "training": training(UNDONE)}, FITS, "", ""),
    "a loss that still falls is named": (
        {"train": scores(0.7), "training": training(UNDONE, SETTLED)}, UNDERFITTED, "{epochs: 10}",
        "the training loss still fell at the end: 1.253 in the middle",
    ),
    "a loss that rose asks for a lower rate": (
        {"train": scores(0.2), "training": training(falling(2.0, 4.0))},
        UNDERFITTED, "{learning_rate: 0.0003}", "the rate is too high",
    ),
    "a later checkpoint that is surely better is kept": (
        {
            "train": scores(0.7),
            "training": training(LEARNED, TURNED, kept_step=150),
            "checkpoints": (checkpoint(100, 0.6), checkpoint(150, 0.7), checkpoint(250, 0.8)),
        },
        UNDERFITTED, "{keep: last}", "",
    ),
    "a training that was stopped early gets more patience": (
        {
            "train": scores(0.5),
            "of": recipe(early_stopping=EarlyStopping(patience=2)),
            "training": training(falling(2.0, 1.0, 60), (1.5, 1.2, 1.19), stopped_early=True),
        },
        UNDERFITTED, "{early_stopping: {patience: 4}}", "",
    ),
    "a wide gap is overfitting without validation losses": (
        {"train": scores(0.99), "holdout": scores(0.6), "validation": None, "training": training(LEARNED)},
        OVERFITTED, "{epochs: 2}", "",
    ),
    "and the best checkpoint is kept first": (
        {
            "train": scores(0.99), "holdout": scores(0.6), "validation": None,
            "training": training(LEARNED), "of": LAST,
        },
        OVERFITTED, "{keep: best}", "",
    ),
    "a gap is wide where its lower end is": (
        {"train": scores(0.99), "validation": scores(0.8)}, OVERFITTED, "", "",
    ),
    "else it is not": ({"train": scores(0.99), "validation": scores(0.84)}, FITS, "", ""),
    # the loss of labels rises long before answers get worse, so that it alone proposes no edit
    "a smaller gap counts where validation turned before the kept step": (
        {"train": scores(0.99), "validation": scores(0.85), "of": LAST, "training": training(LEARNED, TURNED)},
        OVERFITTED, "", "",
    ),
    "not where it turned after it": (
        {
            "train": scores(0.99), "validation": scores(0.85), "of": LAST,
            "training": training(LEARNED, TURNED, kept_step=150),
        },
        FITS, "", "",
    ),
    "nor where it hardly rose": (
        {
            "train": scores(0.99), "validation": scores(0.85), "of": LAST,
            "training": training(LEARNED, (1.0, 0.6, 0.5, 0.52, 0.54)),
        },
        FITS, "", "",
    ),
    "the epoch of a better checkpoint is proposed": (
        {
            "train": scores(0.99), "validation": scores(0.8), "of": LAST,
            "training": training(LEARNED, TURNED),
            "checkpoints": (checkpoint(100, 0.9), checkpoint(250, 0.8)),
        },
        OVERFITTED, "{epochs: 2}",
        "the validation loss was lowest at step 150 (0.500) and rose to 0.800 by step 250",
    ),
    "a loss that rose while answers got better is no overfitting": (
        {
            "train": scores(0.99), "validation": scores(0.85), "training": training(LEARNED, TURNED),
            "checkpoints": (checkpoint(150, 0.82), checkpoint(250, 0.85)),
        },
        FITS, "", "",
    ),
    "no edit is made up where no checkpoint is better": (
        {
            "train": scores(0.99), "validation": scores(0.5), "training": training(LEARNED, TURNED),
            "checkpoints": (checkpoint(150, 0.5), checkpoint(250, 0.51)),
        },
        OVERFITTED, "", "fewer epochs would not help",
    ),
    "rows are learned by heart before they are learned": (
        {
            "train": scores(0.6), "validation": scores(0.5),
            "training": training(falling(2.0, 0.2), TURNED, kept_step=150),
        },
        OVERFITTED, "", "more epochs would not change it",
    ),
    "longer training is proposed where the gate did not pass": (
        {"training": training(LEARNED, (1.0, 0.8, 0.6, 0.5, 0.4)), "passes": False},
        UNDERFITTED, "{epochs: 10}", "longer training",
    ),
    "and not where it passed": (
        {"training": training(LEARNED, (1.0, 0.8, 0.6, 0.5, 0.4)), "passes": True}, FITS, "", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_planted_training_has_its_diagnosis_and_edit(name: str) -> None:
    evidence, fit, edit, reason = CASES[name]
    # a model's scores are the same on rows that no case is about
    train = evidence.get("train", scores(0.97))
    validation = evidence.get("validation", train if "train" in evidence else scores(0.93))

    diagnosis = found(
        **{"holdout": validation, **evidence, "train": train, "validation": validation}
    )

    assert (diagnosis.fit, diagnosis.yaml) == (fit, f"method: {edit}" if edit else "")
    assert reason in " ".join(diagnosis.reasons)


# Not known.


@pytest.mark.parametrize("rows", [0, 29])
def test_few_training_rows_say_nothing(rows: int) -> None:
    diagnosis = found(train=scores(0.2, rows=rows) if rows else None)

    assert diagnosis.fit is Fit.NOT_KNOWN
    assert diagnosis.reasons == (f"{rows} training rows were judged, fewer than 30",)
    assert not diagnosis.edits


def test_an_undefined_metric_is_named_as_the_reason() -> None:
    assert found(None).reasons == ("macro_f1 on training rows is not known: no rows of `bug`",)


def test_a_set_without_rows_says_which() -> None:
    diagnosis = found(validation=None, holdout=None)

    assert diagnosis.reasons == ("0 unseen rows were judged, fewer than 30",)


@pytest.mark.parametrize(("rows", "fit"), [(100, Fit.OVERFITTED), (10, Fit.FITS)])
def test_the_loss_of_few_validation_rows_is_no_evidence(rows: int, fit: Fit) -> None:
    late = training(LEARNED, TURNED, kept_step=250)
    sides: dict[str, Any] = {
        "train": scores(0.98),
        "validation": scores(0.83, rows=rows),
        "holdout": scores(0.83, rows=300),
    }
    diagnosis = found(of=recipe("generation", keep="last"), name="rouge_l", training=late, **{
        key: replace(one, metrics=(metric(one.metrics[0].value, "rouge_l"),))
        for key, one in sides.items()
    })  # fmt: skip

    assert diagnosis.fit is fit


def test_bounds_that_the_recipe_leaves_open_are_not_edited_beside_epochs() -> None:
    bounds = (
        MethodDefault(key="min_steps", value=300, reason="few rows"),
        MethodDefault(key="max_steps", value=2000, reason="many rows"),
    )
    of = replace(recipe(min_steps=300, max_steps=2000, keep="last"), method_defaults=bounds)
    judged = (checkpoint(100, 0.9), checkpoint(300, 0.7))
    late = training(levelling(2.0, 0.1, 300), epochs=6.0)

    assert found(0.99, 0.7, 0.7, of=of, training=late, checkpoints=judged).yaml == (
        "method: {epochs: 2}"
    )


# Underfitted.


def test_one_epoch_at_a_tiny_rate_is_underfitted_and_rate_and_epochs_are_raised() -> None:
    method = recipe(epochs=1.0, learning_rate=1e-6, batch_size=16, micro_batch_size=16)
    diagnosis = found(0.33, 0.33, 0.33, of=method, training=training(falling(2.0, 1.99, 25)))

    assert diagnosis.fit is Fit.UNDERFITTED
    assert diagnosis.reasons == (
        "macro_f1 is 0.330 [0.290, 0.370] on 200 training rows",
        "25 optimizer steps at a learning rate of 0.000001, where 0.001 is usual for lora",
    )
    assert [(one.key, one.current, one.proposed) for one in diagnosis.edits] == [
        ("method.learning_rate", "0.000001", "0.001"),
        ("method.batch_size", "16", "8"),
        ("method.micro_batch_size", "16", "8"),
        ("method.epochs", "1", "5"),
    ]
    assert yaml.safe_load(diagnosis.yaml) == {
        "method": {"learning_rate": 0.001, "batch_size": 8, "micro_batch_size": 8, "epochs": 5}
    }


def test_a_micro_batch_that_was_left_open_is_not_edited() -> None:
    method = recipe(epochs=1.0, learning_rate=1e-6, batch_size=16, micro_batch_size=16)
    left_open = MethodDefault(key="micro_batch_size", value=16, reason="all rows of a step at once")
    method = replace(method, method_defaults=(left_open,))

    diagnosis = found(0.33, 0.33, 0.33, of=method, training=training(falling(2.0, 1.99, 25)))

    assert yaml.safe_load(diagnosis.yaml) == {
        "method": {"learning_rate": 0.001, "batch_size": 8, "epochs": 5}
    }


def test_the_measured_short_training_is_given_the_setting_that_was_measured_to_learn() -> None:
    """The numbers of docs/explanation/diagnosis.md: 0.636 with 75 steps at 5e-4, 1.000 after the edit."""
    short = training(falling(1.6, 1.0, 75), (1.4, 1.2, 1.1), epochs=3.0)
    stated = recipe(epochs=3.0, learning_rate=5e-4, batch_size=16, micro_batch_size=4)
    svm = (baseline("tfidf_svm", 0.767),)
    diagnosis = found(0.636, 0.64, 0.642, of=stated, training=short, baselines=svm)

    assert diagnosis.fit is Fit.UNDERFITTED
    assert yaml.safe_load(diagnosis.yaml) == {"method": {"batch_size": 8, "epochs": 5}}


def test_a_higher_threshold_of_the_recipe_is_the_goal() -> None:
    strict = recipe()
    bound = Threshold(metric="macro_f1", direction="min", bound=0.98)
    strict = replace(strict, acceptance=replace(strict.acceptance, metrics=(bound,)))

    assert found(0.93).fit is Fit.FITS
    assert found(0.93, of=strict).fit is Fit.UNDERFITTED


def test_a_baseline_that_beats_the_training_rows_is_named_and_denies_a_noise_ceiling() -> None:
    svm = (baseline("majority", 0.1), baseline("tfidf_svm", 0.77))
    flat = training(levelling(2.0, 0.8), SETTLED)

    seen = replace(flat, epochs=flat.epochs + 4 / 17)
    ceiling = found(0.64, 0.64, 0.64, training=seen)
    assert ceiling.fit is Fit.NOISE_CEILING
    assert f"flat after {flat.epochs + 0.2:g} epochs (" in ceiling.reasons[1]
    diagnosis = found(0.64, 0.64, 0.64, training=flat, baselines=svm)
    assert diagnosis.fit is Fit.UNDERFITTED
    assert diagnosis.reasons[-1] == "tfidf_svm reaches 0.770 on rows that it never saw"


@pytest.mark.parametrize(("valid", "fit"), [(0.85, Fit.UNDERFITTED), (0.87, Fit.FITS)])
def test_answers_that_only_a_constraint_makes_are_not_learned(valid: float, fit: Fit) -> None:
    diagnosis = found(free=scores(valid, name="valid_output"))

    assert diagnosis.fit is fit
    assert ("when decoding is free" in diagnosis.reasons[0]) is (fit is Fit.UNDERFITTED)


def test_an_ending_that_is_not_learned_with_the_answers_is_for_template_and_base() -> None:
    diagnosis = found(free=scores(0.5, name="valid_output"))
    short = training(falling(2.0, 1.0, 60), (1.5, 1.2, 1.19))
    still_falling = found(free=scores(0.5, name="valid_output"), training=short)

    assert "how the chat template of the base model ends a turn" in diagnosis.reasons[1]
    assert diagnosis.edits == ()
    assert still_falling.edits != ()


@pytest.mark.parametrize(("holdout", "is_apart"), [(0.70, True), (0.93, False)])
def test_a_holdout_of_other_rows_than_validation_is_for_the_splits(
    holdout: float, is_apart: bool
) -> None:
    diagnosis = found(0.95, 0.95, holdout)

    assert ("how they are divided" in " ".join(diagnosis.reasons)) is is_apart


# It fits.


def test_a_good_training_fits() -> None:
    diagnosis = found()

    assert diagnosis.fit is Fit.FITS
    assert diagnosis.reasons == (
        (
            "macro_f1 is 0.970 [0.930, 1.010] on 200 training rows, "
            "0.930 [0.890, 0.970] on validation rows"
        ),
    )
    assert not diagnosis.edits


# One cause first.

KOREAN = "the rows are in Korean and the base model was trained on English"


def few_negatives(rows: int) -> DataSummary:
    train = SplitSummary(
        name="train", rows=200 + rows, labels={"positive": 200, "negative": rows}, digest=""
    )
    return replace(data(), splits=(train,))


@pytest.mark.parametrize(
    ("unspoken", "rows", "reason", "cause"),
    [
        (KOREAN, 5, KOREAN, "a base model of the rows' language, before rows and epochs"),
        ("", 5, "the training rows hold only 5 of `negative`",
         "more rows of `negative`, before epochs and rate"),
        ("", 10, "macro_f1 is 0.500 [0.460, 0.540] on 200 training rows", ""),
    ],
)  # fmt: skip
def test_language_comes_before_rows_of_a_label_and_these_before_steps(
    unspoken: str, rows: int, reason: str, cause: str
) -> None:
    short = training(falling(2.0, 1.9, 25))

    diagnosis = found(0.5, 0.5, training=short, data=few_negatives(rows), unspoken=unspoken)

    assert (diagnosis.fit, diagnosis.reasons[0]) == (Fit.UNDERFITTED, reason)
    assert diagnosis.cause == cause
    assert (diagnosis.yaml == "") is bool(cause)


def test_no_cause_is_looked_for_where_the_gate_passed() -> None:
    diagnosis = found(data=few_negatives(5), unspoken=KOREAN, passes=True)

    assert (diagnosis.fit, diagnosis.cause) == (Fit.FITS, "")


# A sweep.


def test_a_key_that_the_sweep_varies_is_named_and_not_edited() -> None:
    swept = recipe(epochs=2.0)
    settings = tuple(replace(swept.method, epochs=epochs) for epochs in (1.0, 2.0))
    swept = replace(swept, sweep=Sweep(settings=settings, choose_by="macro_f1"))
    diagnosis = found(0.3, 0.3, 0.3, of=swept, training=training(falling(2.0, 1.0, 100)))

    assert diagnosis.yaml == ""
    assert diagnosis.reasons[-1] == "the sweep varies epochs: let it try 5 too"
