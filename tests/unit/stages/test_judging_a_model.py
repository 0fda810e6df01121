"""Baseline and evaluate with a tiny real model; each stage once, then again to see what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import Scores
from engine.metrics.predictions import read_predictions
from engine.recipe.model import Baseline, BaselineKind, PathRef
from engine.stages import baseline, evaluate
from engine.store import Artifact, make_key
from engine.values import from_json, replace, to_json
from support.pico import make_pico_model
from support.reports import rich
from support.stage_bench import Bench, make_bench

pytestmark = pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
"""Torchao's, which PEFT imports; seen only until its bytecode is cached."""

BASELINES: tuple[BaselineKind, ...] = ("majority", "tfidf_svm", "zero_shot", "few_shot")
SVM = Baseline(kind="tfidf_svm", name="tfidf_svm")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("judging")
    bench = make_bench(folder)
    model = make_pico_model(folder / "pico")
    bench.recipe = replace(
        bench.recipe,
        baselines=tuple(Baseline(kind=name, name=name) for name in BASELINES),
        base_model=PathRef(path=model, written="pico"),
        method=replace(bench.recipe.method, max_length=512),
    )
    bench.artifacts["train"] = _train(bench, model)
    return bench


def _train(bench: Bench, base: Path) -> Artifact:
    """Leave an adapter that moves the model, as a training run would."""

    def build(folder: Path) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(0)
        config = LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
        )
        model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        model.save_pretrained(folder / "adapter")
        trained = rich().training
        assert trained is not None
        # a trainer that measured no validation loss
        summary = replace(trained, history=())
        (folder / "training.json").write_text(json.dumps(to_json(summary)), encoding="utf-8")

    return bench.store.put("train", make_key({"test": "train"}), build)


@pytest.fixture(scope="module")
def measured(bench: Bench) -> Artifact:
    return bench.run(baseline)


@pytest.fixture(scope="module")
def evaluated(bench: Bench, measured: Artifact) -> Artifact:
    assert measured.key
    return bench.run(evaluate)


def test_every_baseline_is_scored_on_the_same_holdout(measured: Artifact) -> None:
    found = json.loads(measured.file("baselines.json").read_text(encoding="utf-8"))

    assert [item["name"] for item in found] == list(BASELINES)
    ids = {
        tuple(row.id for row in read_predictions(measured.file(f"predictions.{name}.jsonl")))
        for name in BASELINES
    }
    assert len(ids) == 1
    assert [item["scores"]["rows"] for item in found] == [40] * 4
    assert all(item["note"] and item["seconds"] >= 0 for item in found)


def test_a_baseline_learns_what_can_be_learned(measured: Artifact) -> None:
    found = json.loads(measured.file("baselines.json").read_text(encoding="utf-8"))
    f1 = {
        item["name"]: from_json(Scores, item["scores"]).metric("macro_f1").value for item in found
    }

    assert f1["tfidf_svm"] == 1.0
    assert f1["majority"] is not None
    assert f1["majority"] < 0.5


def test_constrained_answers_are_always_labels(measured: Artifact, evaluated: Artifact) -> None:
    for artifact, name in ((measured, "zero_shot"), (measured, "few_shot"), (evaluated, "holdout")):
        for row in read_predictions(artifact.file(f"predictions.{name}.jsonl")):
            assert row.label in ("negative", "positive")
            assert row.probability is not None
            assert 0.5 <= row.probability <= 1


def test_free_answers_of_an_untrained_model_are_no_labels(evaluated: Artifact) -> None:
    scores = json.loads(evaluated.file("scores.json").read_text(encoding="utf-8"))

    assert list(scores) == ["holdout", "free", "train", "validation"]
    assert from_json(Scores, scores["free"]).metric("valid_output").value == 0.0
    assert from_json(Scores, scores["holdout"]).metric("valid_output").value == 1.0
    assert [scores[name]["rows"] for name in scores] == [40, 40, 60, 20]


def test_the_adapter_is_what_is_evaluated(measured: Artifact, evaluated: Artifact) -> None:
    untouched = read_predictions(measured.file("predictions.zero_shot.jsonl"))
    tuned = read_predictions(evaluated.file("predictions.holdout.jsonl"))

    assert [row.probability for row in untouched] != [row.probability for row in tuned]


def test_another_confidence_asks_no_model_again(
    bench: Bench, measured: Artifact, evaluated: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "built", [])
    monkeypatch.setattr(bench, "recipe", bench.recipe)
    monkeypatch.setattr(bench, "artifacts", dict(bench.artifacts))
    bench.accept(confidence=0.9)

    again = bench.run(baseline), bench.run(evaluate)

    assert bench.built == []
    assert again[0].key != measured.key
    assert again[1].key != evaluated.key


def test_one_more_baseline_leaves_the_others_as_they_are(
    bench: Bench, measured: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "built", [])
    monkeypatch.setattr(bench, "artifacts", dict(bench.artifacts))
    monkeypatch.setattr(bench, "recipe", replace(bench.recipe, baselines=(SVM,)))

    found = bench.run(baseline)

    assert bench.built == []
    assert found.key != measured.key
