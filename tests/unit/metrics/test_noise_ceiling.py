"""When labels, not training, are what holds a model back."""

from typing import Any

import pytest

from engine.evidence import Fit
from engine.values import replace
from support.trained import (
    SETTLED,
    data,
    falling,
    found,
    levelling,
    recipe,
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
