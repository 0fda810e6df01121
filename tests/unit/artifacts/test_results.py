from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.artifacts.results import after, calibrated, load_baselines
from engine.evidence import to_json
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.model import Acceptance, Threshold
from support.tasks import task


def baseline(name: str) -> dict[str, Any]:
    """As it stands in `baselines.json`, right on each of 100 rows."""
    rows = [
        Prediction(id=str(place), target=label, label=label, text=label, probability=None)
        for place, label in enumerate(["a", "b"] * 50)
    ]
    judging = Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7)
    return {"name": name, "scores": to_json(score(rows, judging)), "seconds": 1.5, "note": "how"}


def at_least(bound: float) -> Acceptance:
    return Acceptance(
        confidence=0.95,
        decide_on="lower_bound",
        metrics=(Threshold(metric="macro_f1", direction="min", bound=bound),),
        over_baselines=(),
        max_overfitting_gap=None,
    )


def test_whether_a_baseline_passes_is_judged_by_the_thresholds_of_today(tmp_path: Path) -> None:
    written = baseline("tfidf_svm")
    file = tmp_path / "baselines.json"
    file.write_text(json.dumps([written]), encoding="utf-8")

    def passes(bound: float) -> bool:
        (found,) = load_baselines(file, at_least(bound))
        assert (found.name, found.seconds, found.note) == ("tfidf_svm", 1.5, "how")
        assert to_json(found.scores) == written["scores"]
        return found.passes

    assert passes(0.9)
    assert not passes(0.99)


def test_a_run_that_ends_before_training_lists_the_baselines_that_pass(tmp_path: Path) -> None:
    names = ("majority", "tfidf_svm", "zero_shot")
    (tmp_path / "baselines.json").write_text(json.dumps([*map(baseline, names)]), encoding="utf-8")
    stages: Any = {"baseline": SimpleNamespace(file=tmp_path.joinpath)}
    recipe: Any = SimpleNamespace(acceptance=at_least(0.9), stop_if_baseline_passes=True)

    stop = after("baseline", stages, recipe)

    assert stop is not None
    assert stop.why == "majority, tfidf_svm and zero_shot already meet every threshold"


def test_a_run_that_calibrates_nothing_has_no_calibrated_forms(tmp_path: Path) -> None:
    stages: Any = {name: SimpleNamespace(path=tmp_path) for name in ("gate", "verify")}

    assert calibrated(stages) == ()
    assert calibrated({}) == ()
