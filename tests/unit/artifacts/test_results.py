from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.artifacts.results import calibrated, load_baselines
from engine.evidence import to_json
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.model import Acceptance, Threshold
from support.tasks import task


def test_whether_a_baseline_passes_is_judged_by_the_thresholds_of_today(tmp_path: Path) -> None:
    rows = [
        Prediction(id=str(place), target=label, label=label, text=label, probability=None)
        for place, label in enumerate(["a", "b"] * 50)
    ]
    scores = score(
        rows, Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7)
    )
    file = tmp_path / "baselines.json"
    result = {"name": "tfidf_svm", "scores": to_json(scores), "seconds": 1.5, "note": "how"}
    file.write_text(json.dumps([result]), encoding="utf-8")

    def passes(bound: float) -> bool:
        acceptance = Acceptance(
            confidence=0.95,
            decide_on="lower_bound",
            metrics=(Threshold(metric="macro_f1", direction="min", bound=bound),),
            over_baselines=(),
            max_overfitting_gap=None,
        )
        (found,) = load_baselines(file, acceptance)
        assert (found.name, found.seconds, found.note, found.scores) == (
            "tfidf_svm",
            1.5,
            "how",
            scores,
        )
        return found.passes

    assert passes(0.9)
    assert not passes(0.99)


def test_a_run_that_calibrates_nothing_has_no_calibrated_forms(tmp_path: Path) -> None:
    stages: Any = {name: SimpleNamespace(path=tmp_path) for name in ("gate", "verify")}

    assert calibrated(stages) == ()
    assert calibrated({}) == ()
