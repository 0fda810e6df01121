"""Edits that would help: each key, and when it is left as it is."""

import random
from typing import Any

import pytest

from engine.metrics.recipe_edits import (
    Checkpoints,
    edit_of,
    is_fast,
    is_slow,
    to_learn_less,
    to_learn_more,
    to_train_on,
    training_losses,
    usual_rates,
    validation_losses,
    yaml_of,
)
from engine.recipe import load_recipe
from support.paths import EXAMPLES
from support.trained import (
    LEARNED,
    TURNED,
    checkpoint,
    falling,
    history,
    levelling,
    recipe,
    training,
)

SHORT = falling(2.0, 1.9, 25)


def more(losses: list[float], changes: dict[str, Any], **method: Any) -> str:
    of, summary = recipe(**method), training(losses, **changes)
    return yaml_of(to_learn_more(of, summary, training_losses(history(losses))))


BUDGET: dict[str, Any] = {"epochs": 0, "tokens": 100_000, "packing": True, "max_length": 100}
# 60 rows: 25 epochs, as a recipe that writes neither epochs nor steps trains them.
LENGTHENED: dict[str, Any] = {"rows": 60, "epochs": 25.0}


def test_the_usual_rate_is_the_one_that_a_recipe_gets_by_itself() -> None:
    summary = training(SHORT, total_parameters=8_000_000_000)

    assert usual_rates(recipe(kind="qlora"), summary)[0] == pytest.approx(2e-4)
    assert usual_rates(recipe(kind="full"), summary)[0] == pytest.approx(2e-5)


@pytest.mark.parametrize("written", ["kind: lora", "kind: lora, loraplus_lr_ratio: 16"])
@pytest.mark.parametrize("name", ["minimal", "generation", "text", "preference"])
def test_the_rate_that_a_kind_gets_by_itself_is_the_usual_one(name: str, written: str) -> None:
    path = EXAMPLES / "valid" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8").replace("  kind: lora", f"  {{{written}}}")
    found, _ = load_recipe(path, read=lambda _: text.encode())

    summary = training(SHORT, total_parameters=360_000_000)
    assert usual_rates(found, summary)[0] == found.method.learning_rate
    assert not is_slow(found, summary)


@pytest.mark.parametrize("weights", [135e6, 1.5e9, 8e9])
def test_the_rate_that_a_recipe_gets_without_a_known_size_is_neither_slow_nor_fast(
    weights: float,
) -> None:
    path = EXAMPLES / "valid" / "minimal.yaml"
    text = path.read_text(encoding="utf-8").replace("SmolLM2-360M-Instruct", "Model")
    text = text.replace("kind: lora", "kind: full")
    found, _ = load_recipe(path, read=lambda _: text.encode())
    summary = training(SHORT, total_parameters=int(weights))

    assert found.method.learning_rate == pytest.approx(4e-5)
    assert not is_slow(found, summary)
    assert not is_fast(found, summary)


def test_the_rate_of_a_blank_model_is_near_the_one_that_it_gets_by_itself() -> None:
    found, _ = load_recipe(EXAMPLES / "valid" / "scratch.yaml")

    summary = training(SHORT, total_parameters=2_600_000)
    assert usual_rates(found, summary)[0] == found.method.learning_rate == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("method", "steps", "edit"),
    [
        ({"max_steps": 50}, 50, "method: {max_steps: 250}"),
        ({"max_steps": 50, "epochs": 2.0}, 50, "method: {epochs: 5, max_steps: 250}"),
        ({"max_steps": 50, "batch_size": 32}, 50, "method: {batch_size: 8, max_steps: 250}"),
        ({"max_steps": 2000, "epochs": 2.0}, 100, "method: {epochs: 5}"),
        ({"max_steps": 40, "epochs": 12.0, "rows": 20}, 36, "method: {epochs: 20, max_steps: 60}"),
    ],
)
def test_a_stated_bound_of_the_steps_does_not_undo_a_longer_training(
    method: dict[str, Any], steps: int, edit: str
) -> None:
    rows = method.pop("rows", 400)
    batch = method.get("batch_size", 8)
    changes = {"rows": rows, "epochs": steps / -(-rows // batch)}

    assert more(falling(2.0, 1.0, steps), changes, micro_batch_size=4, **method) == edit


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"epochs": 0.5}, "method: {epochs: 5}"),
        ({"learning_rate": 3e-4}, "method: {learning_rate: 0.001, epochs: 10}"),
        ({"batch_size": 16, "micro_batch_size": 4}, "method: {batch_size: 8}"),
        ({"kind": "full", "batch_size": 16, "learning_rate": 1e-4}, "method: {epochs: 10}"),
    ],
)
def test_a_short_training_gets_steps(method: dict[str, Any], expected: str) -> None:
    rows = {} if "batch_size" in method or "epochs" in method else {"rows": 100}

    assert more(SHORT, rows, **method) == expected


def test_a_training_of_enough_steps_gets_epochs_only_while_its_loss_falls() -> None:
    assert more(falling(2.0, 1.0), {}) == "method: {epochs: 10}"
    assert more(levelling(2.0, 1.0), {}, rank=4, alpha=8) == "method: {rank: 16, alpha: 32}"


def test_where_a_bound_has_made_epochs_enough_the_rank_is_raised() -> None:
    bound = {"epochs": 8.0, "min_steps": 200, "max_steps": 2000, "rank": 4, "alpha": 8}

    assert more(falling(2.0, 1.0, 200), LENGTHENED, **bound) == "method: {rank: 16, alpha: 32}"
    assert more(falling(2.0, 1.0, 200), LENGTHENED, **(bound | {"rank": 16})) == ""


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ({"epochs": 0.9}, {"epochs": 0.9}),
        ({"epochs": 1.0}, {"epochs": 1.0}),
        ({"epochs": 1.0, "max_steps": 20}, {"epochs": 0.4, "steps": 20}),
        (
            {"epochs": 0, "tokens": 30_000, "packing": True, "max_length": 100},
            {"epochs": 0.75},
        ),
    ],
)
def test_a_training_of_an_epoch_or_less_is_not_made_longer_against_overfitting(
    method: dict[str, Any], changes: dict[str, Any]
) -> None:
    none = Checkpoints(judged=(), kept_step=25, is_lower_better=False)
    of = recipe(keep="best", **method).method
    summary = training(SHORT, **changes)

    assert to_learn_less(of, summary, checkpoints=none, losses=None, has_labels=True) == ()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"batch_size": 24, "micro_batch_size": 6}, "method: {batch_size: 12, epochs: 8}"),
        ({"batch_size": 9, "micro_batch_size": 3}, "method: {epochs: 6}"),
        (
            {"batch_size": 16, "micro_batch_size": 16, "epochs": 7.0},
            "method: {batch_size: 8, micro_batch_size: 8}",
        ),
    ],
)
def test_batches_are_whole_passes_and_a_pass_is_never_larger(
    method: dict[str, Any], expected: str
) -> None:
    changes = {"epochs": method.get("epochs", 5.0), "rows": 400}
    bound = {"min_steps": 10}  # so that the epochs are those that were trained

    assert more(SHORT, changes, **(bound | method)) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"rank": 8, "alpha": 40}, "method: {rank: 16, alpha: 80}"),
        ({"rank": 8, "alpha": 20, "ranks": (("q_proj", 3),)}, "method: {rank: 16, alpha: 48}"),
        ({"rank": 4, "alpha": 8, "rslora": True}, "method: {rank: 16}"),
        ({"rank": 1, "alpha": 4096}, "method: {epochs: 10}"),
    ],
)
def test_a_larger_rank_does_not_lower_the_effect_of_the_adapter(
    method: dict[str, Any], expected: str
) -> None:
    assert more(levelling(2.0, 1.0), {}, **method) == expected


def test_a_rate_far_above_the_usual_one_is_lowered_first() -> None:
    assert more(SHORT, {}, learning_rate=0.02, rank=4) == "method: {learning_rate: 0.001}"
    assert "learning_rate" not in more(SHORT, {}, learning_rate=0.01)


def test_ten_epochs_of_few_steps_become_more_while_the_loss_falls() -> None:
    few = {"rows": 60, "epochs": 10.0}

    assert more(falling(2.0, 1.0, 80), few, epochs=10.0, rank=4) == "method: {epochs: 20}"


@pytest.mark.parametrize(
    ("steps", "changes", "scores", "method", "edit"),
    [
        # a bound of the steps does not undo a shorter training
        (300, {"epochs": 6.0}, {100: 0.9, 300: 0.7}, {"min_steps": 300}, "{epochs: 2, min_steps: 100}"),
        (200, {"epochs": 4.0}, {100: 0.9, 200: 0.7}, {"epochs": 1.0, "min_steps": 200}, "{min_steps: 100}"),
        # fewer epochs alone would not keep a better checkpoint behind the lowest loss
        (250, {"kept_step": 100}, {100: 0.7, 200: 0.8, 250: 0.75}, {"keep": "best"}, "{epochs: 4, keep: last}"),
        # a budget of tokens is at least one step
        (25, {}, {1: 0.9, 25: 0.5}, BUDGET | {"tokens": 40_000, "max_length": 131}, "{tokens: 1048}"),
        # four epochs of 50 steps, the best checkpoint at 1.5
        (250, {"rows": 250, "kept_step": 200}, {75: 0.9, 200: 0.5}, BUDGET, "{tokens: 38000}"),
    ],
)  # fmt: skip
def test_an_overfitted_training_ends_where_its_best_checkpoint_was(
    steps: int,
    changes: dict[str, Any],
    scores: dict[int, float],
    method: dict[str, Any],
    edit: str,
) -> None:
    judged = tuple(checkpoint(step, value) for step, value in scores.items())
    kept = changes.get("kept_step", steps)
    found = to_learn_less(
        recipe(**({"keep": "last"} | method)).method,
        training(falling(2.0, 0.1, steps), **changes),
        checkpoints=Checkpoints(judged=judged, kept_step=kept, is_lower_better=False),
        losses=None,
        has_labels=True,
    )

    assert yaml_of(found) == f"method: {edit}"


@pytest.mark.parametrize(
    ("method", "changes", "edit"),
    [
        ({"min_steps": 200}, {"epochs": 8.0}, "method: {epochs: 16}"),
        ({"epochs": 8.0, "min_steps": 200, "max_steps": 2000}, LENGTHENED, ""),
        ({"epochs": 12.0}, {}, "method: {epochs: 20}"),
        ({"epochs": 20.0}, {}, ""),
        ({"epochs": 40.0}, {}, ""),
        # two epochs of 500 rows of 100 tokens
        (BUDGET, {"rows": 500}, "method: {tokens: 200000}"),
        (BUDGET | {"tokens": 1_000_000}, {"rows": 500}, ""),
    ],
)
def test_a_longer_training_goes_on_from_what_was_trained_to_twenty_epochs(
    method: dict[str, Any], changes: dict[str, Any], edit: str
) -> None:
    summary = training(falling(2.0, 1.0, 200), **changes)

    assert yaml_of(to_train_on(recipe(**method).method, summary)) == edit


def test_the_first_of_equal_checkpoints_is_the_better_one() -> None:
    def better(*values: float, kept: int = 2, lower: bool = False) -> int | None:
        judged = tuple(checkpoint(step, value) for step, value in enumerate(values))
        found = Checkpoints(judged=judged, kept_step=kept, is_lower_better=lower).better
        return None if found is None else found.step

    assert better(0.9, 0.9, 0.8) == 0
    assert better(0.81, 0.815, 0.8) is None
    assert better(0.9, 0.7, 0.8, lower=True) == 1
    assert better(0.9, 0.7, 0.8, kept=9) is None


def test_values_are_written_so_that_every_reader_of_yaml_takes_them_for_numbers() -> None:
    edits = [edit_of("method.learning_rate", 2e-6, 2e-5), edit_of("method.epochs", 0.5, 3.0)]
    edits.append(edit_of("data.checks.label_errors", "off", "warn"))

    assert yaml_of(edits) == (
        "method: {learning_rate: 0.00002, epochs: 3}\ndata: {checks: {label_errors: warn}}"
    )


@pytest.mark.parametrize(("has_labels", "edit"), [(False, "method: {keep: best}"), (True, "")])
def test_a_risen_validation_loss_alone_decides_where_no_labels_are_chosen(
    *, has_labels: bool, edit: str
) -> None:
    of, summary = recipe(keep="last").method, training(LEARNED, TURNED, kept_step=250)
    none = Checkpoints(judged=(), kept_step=250, is_lower_better=False)
    losses = validation_losses(summary.history)

    edits = to_learn_less(of, summary, checkpoints=none, losses=losses, has_labels=has_labels)

    assert yaml_of(edits) == edit


# The course of losses: falling, flat, diverged, risen.
def test_eight_losses_are_too_few() -> None:
    assert training_losses(history(falling(2.0, 1.0, 8))) is None
    assert training_losses(history(falling(2.0, 1.0, 9))) is not None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (falling(2.0, 1.0), (True, False, True, False)),
        (levelling(2.0, 1.0), (False, True, True, False)),
        ([2.0] * 250, (False, True, False, False)),
        (falling(1.0, 2.0), (False, True, False, True)),
    ],
)
def test_a_course_is_described_by_the_thirds_of_the_steps(
    losses: list[float], expected: tuple[bool, ...]
) -> None:
    course = training_losses(history(losses))

    assert course is not None
    assert expected == (
        course.is_falling,
        course.is_flat,
        course.has_learned,
        course.has_diverged,
    )


def test_noise_of_batches_is_neither_a_fall_nor_surely_flat() -> None:
    draw = random.Random(3)
    course = training_losses(history([1.0 + draw.uniform(-0.9, 0.9) for _ in range(30)]))

    assert course is not None
    assert not course.is_falling
    assert not course.is_flat


@pytest.mark.parametrize(
    ("losses", "risen", "still_falling"),
    [
        ((1.0, 0.5, 0.56), True, False),
        ((1.0, 0.5, 0.54), False, False),
        ((1.0, 0.8, 0.6), False, True),
        ((1.0, 0.61, 0.6), False, False),
    ],
)
def test_validation_turned_or_still_falls(
    losses: tuple[float, ...], risen: bool, still_falling: bool
) -> None:
    course = validation_losses(history(falling(2.0, 1.0, 30), losses))

    assert course is not None
    assert (course.has_risen, course.is_falling) == (risen, still_falling)
