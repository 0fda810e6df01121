import json
from pathlib import Path

import pytest

from engine.evidence import DataSummary, Metric, Scores, SplitSummary
from engine.metrics.power_text import Discordance
from engine.metrics.predictions import Prediction, write_predictions
from engine.pipeline.data_outlook import UNCOUNTED, measured_discordance, power_estimates
from engine.recipe.model import MinGain, Threshold
from engine.store import make_key
from engine.values import replace, to_json
from support.stage_bench import Bench, make_bench


def split(name: str, rows: int, **labels: int) -> SplitSummary:
    return SplitSummary(name=name, rows=rows, seen=rows, labels=labels, digest="")


def counted(*splits: SplitSummary) -> DataSummary:
    return DataSummary(
        rows_read=0,
        rows_used=0,
        dropped={},
        splits=splits,
        findings=(),
        overlap_exact=0,
        overlap_near=0,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = make_bench(tmp_path)
    bench.accept(
        metrics=(Threshold(metric="f1.negative", direction="min", bound=0.8),), over_baselines=()
    )
    return bench


def test_the_classes_of_the_counted_holdout_are_used(bench: Bench) -> None:
    data = counted(split("train", 400), split("holdout", 200, negative=20, positive=180))

    [line] = power_estimates(bench.recipe, data).lines

    assert line.startswith("`negative` has 20 of 200 holdout rows; about 300 holdout rows would")


def test_with_folds_all_rows_judge(bench: Bench) -> None:
    recipe = replace(bench.recipe, splits=replace(bench.recipe.splits, folds=5))
    data = replace(
        counted(
            split("train", 240, negative=120, positive=120),
            split("holdout", 60, negative=30, positive=30),
        ),
        folds=5,
    )

    assert power_estimates(recipe, None).lines == (UNCOUNTED,)
    line = power_estimates(recipe, data).lines[0]
    assert line.startswith("f1.negative `min ")
    assert "on 300 holdout rows: power 0.80 at a true f1.negative of " in line


def test_an_empty_holdout_shows_nothing(bench: Bench) -> None:
    assert power_estimates(bench.recipe, counted(split("holdout", 0))).lines == (UNCOUNTED,)


def test_nothing_is_reported_where_nothing_is_gated(bench: Bench) -> None:
    bench.accept(metrics=())

    assert power_estimates(bench.recipe, None).lines == ()


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


def put_answers(bench: Bench, stage: str, **models: str) -> None:
    """Store the answers of models, as rows that are right (1) or not, and their accuracy."""

    def build(folder: Path) -> None:
        for name, right in models.items():
            write_predictions(folder / f"predictions.{name}.jsonl", answers(right))
        scored = [
            {"name": name, "scores": to_json(accuracy(right)), "note": "", "seconds": 0.0}
            for name, right in models.items()
        ]
        (folder / "baselines.json").write_text(json.dumps(scored), encoding="utf-8")

    key = make_key({"test": stage, "models": sorted(models)})
    bench.artifacts[stage] = bench.store.put(stage, key, build)


def accuracy(right: str) -> Scores:
    value = right.count("1") / len(right)
    metric = Metric(name="accuracy", value=value, n=len(right))
    return Scores(rows=len(right), metrics=(metric,), classes=(), confusion=())


#                     0123456789
ASKED = {
    "majority": "1110000000",
    "few_shot": "0000001111",
    "tfidf_svm": "1111110000",
}
"""Right answers: the majority 3 of 10, the base model with examples 4, the SVM, the best of them, 6."""


def test_the_discordance_is_that_of_the_tuned_model_and_the_best_baseline(bench: Bench) -> None:
    """The largest one over all baselines was called that of the best."""
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    put_answers(bench, "baseline", **ASKED)
    put_answers(bench, "evaluate", holdout="1111111100")

    found = measured_discordance(bench.recipe, bench.artifacts)

    # against the SVM rows 6 and 7 differ; against few_shot 0 to 5, 8 and 9
    assert found == Discordance(share=0.2, source="measured, the tuned model against `tfidf_svm`")


def test_before_training_another_pair_is_named_and_not_called_measured(bench: Bench) -> None:
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    put_answers(bench, "baseline", **ASKED)

    found = measured_discordance(bench.recipe, bench.artifacts)

    stand_in = "`few_shot` against `tfidf_svm`, a stand-in until the model is trained"
    assert found == Discordance(share=1.0, source=stand_in)
    line = power_estimates(bench.recipe, counted(split("holdout", 10)), discordance=found)
    assert f"on 100 of 100 rows ({stand_in})" in line.note


def test_without_two_models_that_have_answered_nothing_is_measured(bench: Bench) -> None:
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    assert measured_discordance(bench.recipe, bench.artifacts) is None

    put_answers(bench, "baseline", tfidf_svm="10")

    assert measured_discordance(bench.recipe, bench.artifacts) is None
