"""The linear model over an encoder's vectors, on rows of which hardly any can be held apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference.baselines.models import linear
from engine.runtime.encoders.encoder import load_encoder
from engine.values import replace
from support.encoders import make_tiny_encoder
from support.stage_bench import CPU, Quiet, examples, make_bench


def of_one_group(rows: list[Example]) -> list[Example]:
    return [replace(row, group="one speaker") for row in rows]


def of_one_text(rows: list[Example]) -> list[Example]:
    return [replace(row, input="the film was good") for row in rows]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("made", [of_one_group, of_one_text])
def test_rows_that_are_all_one_unit_are_cross_validated_one_by_one(
    made: Callable[[list[Example]], list[Example]], tmp_path: Path
) -> None:
    encoder = load_encoder(make_tiny_encoder(tmp_path / "encoder"), device=CPU, precision="fp32")
    rows = examples(40)
    fold = Fold(number=0, train=tuple(made(rows[:30])), validation=(), judged=tuple(rows[30:]))
    task = make_bench(tmp_path).recipe.task
    answered = linear(encoder, fold, task, seed=7, progress=Quiet())

    assert len(answered.predictions) == 10
    assert max(answered.facts["macro_f1"].values()) > 0
