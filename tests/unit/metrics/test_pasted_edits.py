"""Edits of a diagnosis in the recipe that was trained: it is valid with them, and they say what to do."""

from typing import Any

import pytest
import yaml

from engine.errors import Severity
from engine.evidence import Diagnosis, Fit
from engine.recipe import check_recipe, load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.paths import EXAMPLES
from support.trained import LEARNED, falling, found, levelling, recipe, scores, training

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


def test_a_rate_far_above_the_usual_one_is_the_reason() -> None:
    diagnosis = found(0.3, 0.3, 0.3, of=recipe(learning_rate=0.1), training=training(SHORT))

    assert diagnosis.reasons[1] == (
        "25 optimizer steps at a learning rate of 0.1, where 0.001 is usual for lora"
    )
    assert diagnosis.yaml == "method: {learning_rate: 0.001}"
