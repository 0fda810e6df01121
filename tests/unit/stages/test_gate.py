import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.artifacts import results
from engine.evidence import Status, Verdict
from engine.lock.previous import Previous
from engine.metrics.predictions import Judging, Prediction, write_predictions
from engine.metrics.scoring import score
from engine.pipeline.loop import _require_passed
from engine.recipe.model import MaxDrop, MinGain, Threshold
from engine.stages import PRODUCTS, STAGES, after_of, gate, load_stage
from engine.store import make_key
from engine.store.records import AcceptedRun
from engine.values import from_json, to_json
from support.stage_bench import Bench, make_bench
from support.tasks import task

LABELS = ("negative", "positive")


def predictions(wrong: int, *, rows: int = 100, invalid: int = 0) -> list[Prediction]:
    found = []
    for place in range(rows):
        target, other = LABELS[place % 2], LABELS[1 - place % 2]
        label = other if place < wrong else None if place >= rows - invalid else target
        found.append(
            Prediction(
                id=f"{place:016x}", target=target, label=label, text=label or "?", probability=None
            )
        )
    return found


def judged(found: list[Prediction]) -> dict[str, Any]:
    return to_json(
        score(found, Judging(task=task("classification", labels=LABELS), confidence=0.95, seed=7))
    )


def put_results(
    bench: Bench, *, wrong: int, invalid: int = 0, baseline_wrong: int = 40, train_wrong: int = 0
) -> None:
    """Leave what evaluate and baseline leave."""
    sets = {
        "holdout": predictions(wrong),
        "free": predictions(wrong, invalid=invalid),
        "train": predictions(train_wrong),
        "validation": predictions(wrong),
    }

    def evaluated(folder: Path) -> None:
        scores = {name: judged(found) for name, found in sets.items()}
        (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
        sampling = {"train": {"rows": 100, "of": 400}}
        (folder / "sampling.json").write_text(json.dumps(sampling), encoding="utf-8")
        write_predictions(folder / "predictions.holdout.jsonl", sets["holdout"])

    def measured(folder: Path) -> None:
        found = predictions(baseline_wrong)
        result = {"name": "tfidf_svm", "scores": judged(found), "seconds": 0.1, "note": ""}
        (folder / "baselines.json").write_text(json.dumps([result]), encoding="utf-8")
        write_predictions(folder / "predictions.tfidf_svm.jsonl", found)

    for name, build in (("evaluate", evaluated), ("baseline", measured)):
        bench.artifacts[name] = bench.store.put(name, make_key({"test": name}), build, anew=True)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = make_bench(tmp_path)
    bench.accept(
        metrics=(Threshold(metric="macro_f1", direction="min", bound=0.8),),
        over_baselines=(MinGain(metric="macro_f1", min_gain=0.05),),
        max_overfitting_gap=0.15,
    )
    return bench


def answer(bench: Bench) -> Verdict:
    return from_json(Verdict, json.loads(bench.run(gate).file("verdict.json").read_text()))


def test_a_good_model_passes_all_three_questions(bench: Bench) -> None:
    put_results(bench, wrong=5)

    found = answer(bench)

    assert found.status is Status.PASS
    assert [check.name for check in found.checks] == [
        "macro_f1",
        "over_baselines.macro_f1",
        "overfitting",
        "free_output",
    ]


def test_a_poor_model_is_refused(bench: Bench) -> None:
    put_results(bench, wrong=25)

    assert answer(bench).status is Status.FAIL


def test_a_model_that_may_be_good_enough_is_not_decided(bench: Bench) -> None:
    put_results(bench, wrong=15, train_wrong=10)

    found = answer(bench)

    assert found.status is Status.INCONCLUSIVE
    assert "rows would decide with power 0.80 (an estimate)" in found.checks[0].note


def test_a_model_no_better_than_a_baseline_is_refused(bench: Bench) -> None:
    put_results(bench, wrong=5, baseline_wrong=4)

    found = answer(bench)

    status = [check.status for check in found.checks]
    assert status == [Status.PASS, Status.FAIL, Status.PASS, Status.PASS]
    assert "against `tfidf_svm`" in found.checks[1].note


def test_an_overfitted_model_is_refused_and_the_sample_is_reported(bench: Bench) -> None:
    bench.accept(max_overfitting_gap=0.04)
    put_results(bench, wrong=5)

    check = answer(bench).checks[2]

    assert (check.name, check.status) == ("overfitting", Status.FAIL)
    assert check.note == "macro_f1 on 100 of 400 train rows minus 100 validation rows"


def accepted_before(bench: Bench, answers: list[Prediction]) -> Previous:
    def build(folder: Path) -> None:
        write_predictions(folder / "predictions.holdout.jsonl", answers)

    made = bench.store.put("evaluate", make_key({"test": "before"}), build, anew=True)
    run = AcceptedRun(folder=bench.folder, keys={}, started="2026-11-23T10:00:00+00:00")
    return Previous(run=run, answers=made, file="predictions.holdout.jsonl")


def test_a_model_that_lost_too_much_since_the_last_accepted_one_is_refused(bench: Bench) -> None:
    bench.accept(over_previous=(MaxDrop(metric="macro_f1", max_drop=0.02),))
    put_results(bench, wrong=5)
    bench.previous = accepted_before(bench, predictions(1))

    found = answer(bench)

    check = found.checks[2]
    assert (check.name, check.status) == ("over_previous.macro_f1", Status.FAIL)
    assert check.got == pytest.approx(0.04, abs=1e-4)
    assert check.note.startswith("against the model accepted on 2026-11-23")
    assert found.status is Status.FAIL


def test_the_first_model_of_a_recipe_has_nothing_to_lose(bench: Bench) -> None:
    bench.accept(over_previous=(MaxDrop(metric="macro_f1", max_drop=0.02),))
    put_results(bench, wrong=5)

    found = answer(bench)

    assert (found.checks[2].status, found.status) == (Status.WARN, Status.PASS)


def test_a_model_judged_on_another_holdout_cannot_be_compared(bench: Bench) -> None:
    bench.accept(over_previous=(MaxDrop(metric="macro_f1", max_drop=0.5),))
    put_results(bench, wrong=5)
    bench.previous = accepted_before(bench, predictions(1, rows=60))

    found = answer(bench)

    assert found.status is Status.INCONCLUSIVE
    assert found.checks[2].note == (
        "the model accepted on 2026-11-23 cannot be compared: it was judged on another holdout, 60 "
        "of whose 60 rows are in this one"
    )


def test_every_comparison_is_kept_with_its_p_value(bench: Bench) -> None:
    put_results(bench, wrong=5)
    bench.previous = accepted_before(bench, predictions(6))

    found = results.comparisons({"gate": bench.run(gate)})

    assert [(x.name, x.metric) for x in found] == [
        ("tfidf_svm", "macro_f1"),
        ("previous", "macro_f1"),
    ]
    assert all(x.p_value and x.interval for x in found)


def test_valid_output_is_that_of_free_decoding(bench: Bench) -> None:
    bench.accept(metrics=(Threshold(metric="valid_output", direction="min", bound=0.9),))
    put_results(bench, wrong=0, invalid=20)

    check = answer(bench).checks[0]

    assert (check.status, check.got) == (Status.FAIL, 0.8)
    assert check.note == "free decoding: what a caller without a grammar gets"


def test_thresholds_and_labels_are_all_the_recipe_can_change(bench: Bench) -> None:
    assert set(gate.recipe_slice(bench.recipe)) == {"acceptance", "task", "splits"}


# Stages read and follow only stages that stand before them, and the loop holds `AFTER`.
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_and_follows_only_stages_before_it(name: str) -> None:
    stage = load_stage(name)
    before = STAGES[: STAGES.index(name)]

    assert {PRODUCTS.get(need, need) for need in stage.NEEDS} <= set(before)
    assert set(after_of(name)) <= set(before)


def test_a_stage_is_not_begun_before_what_must_have_passed(tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text('{"status": "fail", "checks": []}', encoding="utf-8")
    gate = SimpleNamespace(file=lambda name: tmp_path / name)
    state = cast("Any", SimpleNamespace(artifacts={}, recipe=None))

    with pytest.raises(AssertionError, match="merge before gate"):
        _require_passed("merge", state)
    state.artifacts["gate"] = gate
    with pytest.raises(AssertionError, match="merge before gate"):
        _require_passed("merge", state)
    verdict.write_text('{"status": "pass", "checks": []}', encoding="utf-8")

    _require_passed("merge", state)
