"""The precision that was measured while training is the planned one, or the training is not believed."""

from pathlib import Path
from typing import Any

import pytest

from engine.backends.base import Trained
from engine.errors import StageError
from engine.training.train import refuse_other_precision


def trained(facts: dict[str, Any], *, resumed: int | None = None) -> Trained:
    return Trained(
        folder=Path("output"),
        log=Path("train.log"),
        steps=6,
        epochs=2.0,
        seconds=1.0,
        kept_step=6,
        stopped_early=False,
        resumed_from_step=resumed,
        trainable_parameters=1,
        total_parameters=2,
        history=(),
        facts=facts,
    )


@pytest.mark.parametrize("facts", [{"product_dtype": "float32"}, {}], ids=str)
def test_another_precision_or_none_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(StageError) as refused:
        refuse_other_precision(trained(facts), "bf16")

    assert [problem.code for problem in refused.value.problems] == ["B418"]


def test_a_training_that_had_been_done_before_measures_nothing() -> None:
    refuse_other_precision(trained({}, resumed=6), "bf16")
    refuse_other_precision(trained({"product_dtype": "bfloat16"}), "bf16")
    with pytest.raises(StageError):
        refuse_other_precision(trained({}, resumed=3), "bf16")
