"""`recipe runs` and `recipe compare`: on stored answers, so that nothing is trained here."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.metrics.predictions import Prediction, write_predictions
from engine.recipe import dump_resolved, load_recipe
from engine.store import Store, make_key
from engine.store.records import Runs
from support.paths import EXAMPLES
from support.project import Outcome

EXAMPLE = EXAMPLES / "valid" / "minimal.yaml"
Run = Callable[..., Outcome]


def answers(wrong: Sequence[int], *, rows: int = 60, start: int = 0) -> list[Prediction]:
    """Answers of a model that takes the rows of some numbers for the other label."""
    found = []
    for number in range(start, start + rows):
        target = ("billing", "bug")[number % 2]
        label = ("bug", "billing")[number % 2] if number in wrong else target
        found.append(
            Prediction(id=f"{number:016x}", target=target, label=label, text=label, probability=0.9)
        )
    return found


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a run with its answers into the store of the current folder."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / ".recipe")
    resolved = dump_resolved(load_recipe(EXAMPLE)[0])

    def write(
        name: str,
        predictions: Sequence[Prediction],
        *,
        outcome: str = "accepted",
        file: Sequence[Prediction] = (),
    ) -> None:
        key, verified = make_key({"name": name}), make_key({"file of": name})
        store.put(
            "evaluate", key,
            lambda folder: write_predictions(folder / "predictions.holdout.jsonl", predictions),
        )  # fmt: skip
        if file:
            store.put(
                "verify", verified,
                lambda folder: write_predictions(folder / "predictions.quantized.jsonl", file),
            )  # fmt: skip
        folder = tmp_path / ".recipe" / "runs" / "tickets" / name
        folder.mkdir(parents=True)
        (folder / "recipe.resolved.yaml").write_text(resolved, encoding="utf-8")
        right, of_file = (
            sum(row.label == row.target for row in rows) / max(len(rows), 1)
            for rows in (predictions, file)
        )
        report = {
            "outcome": outcome,
            "task": {"kind": "classification"},
            "holdout": {"metrics": [{"name": "macro_f1", "value": right}]},
            "quantized": {"metrics": [{"name": "macro_f1", "value": of_file}]} if file else None,
            "files": [
                {"name": "model/model.safetensors", "format": "safetensors", "bytes": 269_000_000},
                {"name": "model.gguf", "format": "gguf", "bytes": 105_000_000},
                {"name": "task.json", "format": "gguf", "bytes": 676},
            ],
        }
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        evaluated = {"evaluate": {"status": "ran", "key": key.digest}}
        evaluated |= {"verify": {"status": "ran", "key": verified.digest}} if file else {}
        stages = {} if outcome in ("failed", "baseline_passes") else evaluated
        record = {"started": name, "seconds": 61.5, "outcome": outcome, "stages": stages}
        Runs(tmp_path / ".recipe").record(folder, record)

    return write


def test_runs_are_listed_oldest_first(runs: Callable[..., None], run: Run) -> None:
    runs("2026-02", answers([]))
    runs("2026-01", answers([0, 1, 2]), outcome="refused")

    assert run("runs").out == (
        "recipe/run       outcome   main metric     size      took\n"
        "tickets/2026-01  refused   macro_f1 0.950  105.0 MB  61.5 s\n"
        "tickets/2026-02  accepted  macro_f1 1.000  105.0 MB  61.5 s\n"
    )
    assert len(json.loads(run("runs", "tickets", "--format", "json").out)["runs"]) == 2
    assert run("runs", "other").code == 2


def test_a_better_model_gains_and_its_turned_rows_are_listed(
    runs: Callable[..., None], run: Run
) -> None:
    runs("2026-01", answers(range(20)))
    runs("2026-02", answers([19, 40]))

    outcome = run("compare", "tickets/2026-01", "tickets")

    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("tickets/2026-02 against tickets/2026-01 on 60 rows\n")
    assert "  difference  95 % interval       p\n" in outcome.out
    assert "20 rows turned: 19 became right, 1 wrong, and 0 another wrong one\n" in outcome.out
    assert (
        "  wrong             `0000000000000028`  `billing` -> `bug`, right is `billing`"
        in outcome.out
    )
    assert "  … and 10 more: --all" in outcome.out
    assert "more: --all" not in run("compare", "tickets/2026-01", "tickets", "--all").out


def test_the_exported_file_leads_and_the_tuned_model_follows(
    runs: Callable[..., None], run: Run
) -> None:
    runs("2026-01", answers(range(6)), file=answers(range(12)))
    runs("2026-02", answers([]), file=answers(range(9)))

    found = json.loads(run("compare", "tickets/2026-01", "tickets", "--format", "json").out)
    listed = run("runs").out

    assert found["of"] == "exported files"
    metrics = {one["metric"]: one["difference"] for one in found["metrics"]}
    assert metrics["accuracy"] == pytest.approx(3 / 60)
    # macro-F1 of two labels of 30 rows each, three of each wrong: 27 of 30 both ways
    assert [(one["metric"], one["difference"]) for one in found["tuned"]] == [
        ("macro_f1", pytest.approx(6 / 60))
    ]
    assert len(found["flips"]) == 3
    assert "macro_f1 0.850 (tuned 1.000)" in listed
    assert "macro_f1 0.800 (tuned 0.900)" in listed


def test_the_difference_is_that_of_the_paired_test(runs: Callable[..., None], run: Run) -> None:
    runs("2026-01", answers(range(20)))
    runs("2026-02", answers([19, 40]))

    content = json.loads(run("compare", "tickets/2026-01", "tickets", "--format", "json").out)

    metrics = {one["metric"]: one for one in content["metrics"]}
    assert metrics["accuracy"]["difference"] == pytest.approx(18 / 60)
    assert metrics["macro_f1"]["p_value"] < 0.01
    assert metrics["macro_f1"]["interval"]["low"] > 0
    assert metrics["f1.bug"]["p_value"] is None
    assert (content["rows"], len(content["flips"]), content["second"]["bytes"]) == (
        60,
        20,
        105_000_000,
    )


def test_the_same_run_has_no_difference(runs: Callable[..., None], run: Run) -> None:
    runs("2026-01", answers(range(9)))

    out = run("compare", "tickets", "tickets").out

    assert "0 rows turned" in out
    assert "  macro_f1                    0.000" in out


def test_different_holdouts_are_refused_and_the_shared_rows_counted(
    runs: Callable[..., None], run: Run
) -> None:
    runs("2026-01", answers(range(20)))
    runs("2026-02", answers([40], start=10))

    refused = run("compare", "tickets/2026-01", "tickets/2026-02")
    shared = run("compare", "tickets/2026-01", "tickets/2026-02", "--shared")

    assert refused.code == 2
    assert (
        "R032  the two runs were judged on different holdouts: 60 and 60 rows, 50 of them shared"
        in refused.err
    )
    assert "on 50 rows, the rows that both holdouts have\n" in shared.out


def test_a_run_without_answers_is_reported(runs: Callable[..., None], run: Run) -> None:
    runs("2026-01", answers([]))
    runs("2026-02", answers([]), outcome="failed")

    outcome = run("compare", "tickets/2026-01", "tickets")

    assert outcome.code == 2
    assert (
        "R031  run `tickets/2026-02` holds no answers of a tuned model (it ended: failed)"
        in outcome.err
    )


def test_a_run_that_a_baseline_ended_says_what_trains_all_the_same(
    runs: Callable[..., None], run: Run
) -> None:
    runs("2026-01", answers([]))
    runs("2026-02", answers([]), outcome="baseline_passes")

    outcome = run("compare", "tickets/2026-01", "tickets")

    assert outcome.code == 2
    assert "set stop_if_baseline_passes: false in its recipe" in outcome.err
