from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import DataSummary, SplitSummary, to_json
from engine.metrics.predictions import Prediction, write_predictions
from engine.pipeline.power import UNCOUNTED, measured_discordance, power_estimates
from engine.recipe.model import Threshold
from engine.store import make_key
from support.stage_bench import Bench, make_bench


def split(name: str, rows: int, **labels: int) -> SplitSummary:
    return SplitSummary(name=name, rows=rows, seen=rows, labels=labels, digest="")


def counted(bench: Bench, *splits: SplitSummary) -> Any:
    summary = DataSummary(
        rows_read=0,
        rows_used=0,
        dropped={},
        splits=splits,
        findings=(),
        overlap_exact=0,
        overlap_near=0,
    )
    return bench.put("data", {"summary.json": to_json(summary)})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = make_bench(tmp_path)
    bench.accept(
        metrics=(Threshold(metric="f1.negative", direction="min", bound=0.8),), over_baselines=()
    )
    return bench


def test_the_classes_of_the_counted_holdout_are_used(bench: Bench) -> None:
    data = counted(bench, split("train", 400), split("holdout", 200, negative=20, positive=180))

    [line] = power_estimates(bench.recipe, data).lines

    assert line.startswith("`negative` has 20 of 200 holdout rows; about 300 holdout rows would")


def test_with_folds_all_rows_judge(bench: Bench) -> None:
    recipe = replace(bench.recipe, splits=replace(bench.recipe.splits, folds=5))
    data = counted(
        bench,
        split("train", 240, negative=120, positive=120),
        split("holdout", 60, negative=30, positive=30),
    )

    assert power_estimates(recipe, None).lines == (UNCOUNTED,)
    line = power_estimates(recipe, data).lines[0]
    assert line.startswith("f1.negative `min ")
    assert "on 300 holdout rows: power 0.80 at a true f1.negative of " in line


def test_an_empty_holdout_shows_nothing(bench: Bench) -> None:
    assert power_estimates(bench.recipe, counted(bench, split("holdout", 0))).lines == (UNCOUNTED,)


def test_nothing_is_reported_where_nothing_is_gated(bench: Bench) -> None:
    bench.accept(metrics=())

    assert power_estimates(bench.recipe, None).lines == ()


def test_the_discordance_is_measured_once_both_have_answered(bench: Bench) -> None:
    def answers(right: str) -> list[Prediction]:
        return [
            Prediction(
                id=f"{n:016x}",
                target="negative",
                label="negative" if hit == "1" else None,
                text="",
                probability=None,
            )
            for n, hit in enumerate(right)
        ]

    def put(name: str, **files: list[Prediction]) -> None:
        def build(folder: Path) -> None:
            for file, rows in files.items():
                write_predictions(folder / f"predictions.{file}.jsonl", rows)

        bench.artifacts[name] = bench.store.put(name, make_key({"test": name}), build)

    put("evaluate", holdout=answers("1110"))
    assert measured_discordance(bench.recipe, bench.artifacts) is None

    put(
        "baseline",
        majority=answers("0011"),
        tfidf_svm=answers("1100"),
    )
    assert measured_discordance(bench.recipe, bench.artifacts) == 0.75
