"""Values of `backend.overrides`: within reason, whatever the key."""

from __future__ import annotations

import pytest

from engine.backends.axolotl_keys import OVERRIDABLE, vocabulary
from engine.backends.overrides import RANGES, override_problems
from engine.backends.trl import VOCABULARY

NUMBERS = frozenset({"int", "float"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataloader_num_workers", 100_000),
        ("dataloader_num_workers", -1),
        ("eval_batch_size", 10**9),
        ("logging_steps", 0),
        ("save_total_limit", 10**9),
        ("adam_beta1", 2),
        ("max_grad_norm", -1.0),
    ],
)
def test_a_value_out_of_reason_is_refused(key: str, value: float) -> None:
    (problem,) = override_problems([(key, value)], vocabulary())

    assert problem.code == "B407"
    assert problem.path == f"backend.overrides.{key}"
    assert "must be from" in problem.message


def test_so_it_is_in_the_other_backend() -> None:
    (problem,) = override_problems([("per_device_eval_batch_size", 10**9)], VOCABULARY)

    assert problem.code == "B407"


def test_usual_values_are_taken() -> None:
    usual = [("dataloader_num_workers", 4), ("logging_steps", 10), ("adam_beta2", 0.95)]

    assert override_problems(usual, vocabulary()) == ()


def test_every_number_that_may_be_set_has_a_range() -> None:
    kinds = vocabulary().kinds
    open_ended = {key for key in OVERRIDABLE if kinds[key] & NUMBERS and key not in RANGES}
    open_ended |= {key for key, kind in VOCABULARY.kinds.items() if kind & NUMBERS} - RANGES.keys()

    assert open_ended == set()
