"""The curve over the steps: which checkpoints, on which rows, with which losses."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.evidence import HistoryPoint, TrainingSummary
from engine.metrics.predictions import Prediction
from engine.store import make_key
from engine.training import curves
from engine.training.curves import svm_curve
from engine.training.trials import discard
from engine.values import replace, to_json
from support.stage_bench import Bench, Quiet, examples, make_bench

HISTORY = (
    HistoryPoint(step=0, epoch=0.0, eval_loss=3.0),
    HistoryPoint(step=4, epoch=0.5, loss=2.0),
    HistoryPoint(step=4, epoch=0.5, eval_loss=2.5),
    HistoryPoint(step=8, epoch=1.0, loss=1.0),
    HistoryPoint(step=8, epoch=1.0, eval_loss=1.5),
)
SUMMARY = TrainingSummary(
    backend="trl",
    backend_version="1",
    device="test",
    precision="fp32",
    steps=8,
    epochs=1.0,
    seconds=1.0,
    rows=64,
    supervised_tokens=64,
    trainable_parameters=1,
    total_parameters=2,
    kept_step=8,
    stopped_early=False,
    resumed_from_step=None,
    adapter_norm=1.0,
    history=HISTORY,
)


def predictions(rows: Sequence[Example], *, wrong: int = 0) -> list[Prediction]:
    other = {"negative": "positive", "positive": "negative"}
    labels = [other[row.target] if place < wrong else row.target for place, row in enumerate(rows)]
    return [
        Prediction(id=row.id, target=row.target, label=label, text=label, probability=None)
        for row, label in zip(rows, labels, strict=True)
    ]


def curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, rows: list[Example], steps: tuple[int, ...]
) -> list[dict[str, Any]]:
    bench: Bench = make_bench(tmp_path)

    def train(folder: Path) -> None:
        (folder / "training.json").write_text(json.dumps(to_json(SUMMARY)), encoding="utf-8")
        for step in steps:
            (folder / "checkpoints" / str(step)).mkdir(parents=True)
            (folder / "checkpoints" / str(step) / "adapter").write_text("", encoding="utf-8")

    trained = bench.store.put("train", make_key({"test": "train"}), train)
    monkeypatch.setattr(
        curves,
        "_predictions",
        lambda _step, _context, _asked, sample: predictions(sample, wrong=10),
    )
    (tmp_path / "work").mkdir()
    context: Any = SimpleNamespace(
        recipe=bench.recipe,
        artifacts={"train": trained},
        workdir=tmp_path / "work",
        progress=Quiet(),
    )
    asked: Any = None
    curves.write_curve(context, asked, rows, final=predictions(rows))
    found: list[dict[str, Any]] = json.loads((tmp_path / "work" / curves.FILE).read_text())
    return found


def test_each_kept_step_has_its_losses_and_its_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = curve(tmp_path, monkeypatch, rows=examples(40), steps=(4,))

    assert [(one["step"], one["epoch"], one["loss"], one["eval_loss"]) for one in found] == [
        (4, 0.5, 2.0, 2.5),
        (8, 1.0, 1.0, 1.5),
    ]
    assert [one["metric"]["name"] for one in found] == ["macro_f1", "macro_f1"]
    assert found[0]["metric"]["value"] < found[1]["metric"]["value"] == 1.0
    assert found[0]["metric"]["interval"]["low"] < found[0]["metric"]["value"]


def test_at_most_two_hundred_rows_are_asked_and_the_same_of_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = curve(tmp_path, monkeypatch, rows=examples(240), steps=(4,))

    assert [one["metric"]["n"] for one in found] == [200, 200]


@pytest.mark.parametrize(("count", "steps"), [(40, ()), (0, (4,))])
def test_without_checkpoints_or_rows_there_is_no_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, steps: tuple[int, ...]
) -> None:
    rows = examples(40)[:count]

    assert curve(tmp_path, monkeypatch, rows=rows, steps=steps) == []


# What a sweep leaves for the training of its winner, and how it is cleared.
def test_weights_are_discarded_where_a_kill_has_left_half_of_those_before_them(
    tmp_path: Path,
) -> None:
    folder, half = tmp_path / "weights", tmp_path / "weights.gone"
    for one in (folder, half):
        (one / "result").mkdir(parents=True)

    discard(folder)

    assert [*tmp_path.iterdir()] == []


# The learning curve of the SVM where it can be none.
def test_rows_of_one_group_have_no_curve_and_the_reason_names_it(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    context = bench._context(bench.artifacts, "0" * 64, tmp_path)
    train = [replace(row, group="one speaker") for row in examples(60)]
    found = svm_curve(context, train=train, validation=[])

    assert "all of one group" in found.message
    assert bench.built == []
