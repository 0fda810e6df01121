"""merge, quantize and verify on a pico model: what they leave, and what verify says."""

import json
import shutil
from typing import Any

import pytest

from engine.evidence import (
    ExportedFile,
    FormResult,
    Scores,
    Verdict,
)
from engine.inference import ladder as rungs
from engine.inference.exported_files import leaving
from engine.recipe.model import MaxDrop, Threshold
from engine.runtime.llama import client
from engine.stages import quantize, verify
from engine.values import from_json
from support.export_bench import Bench, exporting


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return exporting(tmp_path_factory.mktemp("bench"))


def _verify(bench: Bench) -> dict[str, Any]:
    return dict(json.loads((bench.run(verify) / "verify.json").read_text()))


def test_merge_leaves_a_complete_model(bench: Bench) -> None:
    model = bench.artifacts["merge"].file("model")

    assert {path.name for path in bench.base.iterdir()} == {path.name for path in model.iterdir()}


def test_quantize_describes_the_files_it_leaves(bench: Bench) -> None:
    files = json.loads(bench.artifacts["quantize"].file("export.json").read_text())

    assert {"safetensors", "gguf", "ollama"} == {file["format"] for file in files}


def test_another_format_does_not_quantize_again(bench: Bench) -> None:
    bench.formats = ("safetensors", "gguf")
    bench.run(quantize)
    built = bench.built.count("gguf")
    bench.formats = ("safetensors", "gguf", "ollama")
    bench.run(quantize)

    assert bench.built.count("gguf") == built


def test_verify_compares_the_file_with_the_merged_model(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="agreement", direction="min", bound=0.5),)
    bench.max_drops = (MaxDrop(metric="macro_f1", max_drop=1.0),)

    result = _verify(bench)

    checks = [check.name for check in from_json(Verdict, result["verdict"]).checks]
    assert checks == [
        "agreement",
        "token_parity.training",
        "token_parity",
        "token_parity.ollama",
        "token_parity.template",
        "token_parity.users",
        "token_parity.corpus",
        "weights",
        "shift.Q8_0",
        "free_output",
        "drop.macro_f1",
        "parity.merged",
        "shift.merged",
        "largest_shift.merged",
        "parity.f16",
        "shift.f16",
        "largest_shift.f16",
    ]
    assert result["verdict"]["status"] == "pass"
    assert [from_json(Scores, result["scores"][name]).rows for name in ("merged", "quantized")] == [
        8,
        8,
    ]
    assert len(result["flips"]) == round(8 * (1 - result["agreement"]))


def test_a_bound_the_file_does_not_meet_fails(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="valid_output", direction="min", bound=0.9),)

    assert _verify(bench)["verdict"]["status"] == "fail"


def test_another_bound_runs_no_model_again(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="accuracy", direction="min", bound=0.0),)
    _verify(bench)
    before = list(bench.built)

    bench.thresholds = (Threshold(metric="accuracy", direction="min", bound=1.0),)
    _verify(bench)

    assert before == bench.built


@pytest.mark.thorough
def test_prompts_read_as_other_tokens_fail_and_name_the_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = client.ask_gguf

    def misread(*args: Any, **options: Any) -> Any:
        answers = ask(*args, **options)
        if answers.token_ids:
            answers.token_ids[2] = [0, *answers.token_ids[2]]
        return answers

    monkeypatch.setattr(client, "ask_gguf", misread)
    for product in (bench.root / "products").glob("predictions-*"):
        shutil.rmtree(product)
    bench.thresholds = ()

    checks = from_json(Verdict, _verify(bench)["verdict"]).checks
    (parity,) = [check for check in checks if check.name == "token_parity"]

    for product in (bench.root / "products").glob("predictions-*"):
        shutil.rmtree(product)
    assert (parity.name, parity.status, parity.got) == ("token_parity", "fail", 7 / 8)
    assert f"row {2:016x}" in parity.note


def test_without_a_quantized_file_the_exported_folder_must_answer(bench: Bench) -> None:
    bench.formats = ("safetensors",)
    try:
        result = _verify(bench)
    finally:
        bench.formats = ("safetensors", "gguf", "ollama")

    assert (
        result["scores"]["quantized"],
        result["verdict"]["status"],
        [check["name"] for check in result["verdict"]["checks"]],
    ) == (None, "pass", ["reload", "parity.merged", "shift.merged", "largest_shift.merged"])


def _refused(result: dict[str, Any]) -> dict[str, str]:
    checks = from_json(Verdict, result["verdict"]).checks
    return {check.name: check.note for check in checks if check.status == "fail"}


def _rungs(result: dict[str, Any]) -> list[FormResult]:
    return [from_json(FormResult, rung) for rung in result["ladder"]]


def _plain(bench: Bench) -> None:
    bench.thresholds, bench.max_drops = (), ()


def test_the_ladder_has_a_rung_for_every_form_of_the_model(bench: Bench) -> None:
    _plain(bench)

    ladder = _rungs(_verify(bench))

    assert [rung.name for rung in ladder] == ["adapter", "merged", "f16", "Q8_0"]
    assert [rung.agreement.n for rung in ladder[1:] if rung.agreement] == [8, 8, 8]
    assert all(rung.mean_shift is not None for rung in ladder[1:])
    measured = {metric.name: metric.value for metric in ladder[-1].scores.metrics}
    assert measured["file_megabytes"]
    assert measured["tokens_per_second"]
    assert measured["peak_memory_megabytes"]
    assert measured["first_token_milliseconds"]


def test_the_16_bit_file_is_asked_a_sample_and_what_is_quantized_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plain(bench)
    monkeypatch.setattr(rungs, "SAMPLED", 8)

    ladder = {one.name: one for one in _rungs(_verify(bench))}

    assert (ladder["f16"].scores.rows, ladder["f16"].sampled_of) == (1, 8)
    assert ladder["f16"].agreement is not None
    assert ladder["f16"].agreement.n == 1
    assert (ladder["Q8_0"].scores.rows, ladder["Q8_0"].note) == (8, "compared with merged")


@pytest.mark.thorough
def test_a_16_bit_file_whose_sample_does_not_hold_is_asked_all_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plain(bench)
    monkeypatch.setattr(rungs, "SAMPLED", 8)
    monkeypatch.setattr(rungs, "LARGEST_SHIFT", {"fp32": 0.0})

    result = _verify(bench)

    assert "largest_shift.f16" in _refused(result)
    (sixteen,) = [one for one in _rungs(result) if one.name == "f16"]
    assert (sixteen.scores.rows, sixteen.sampled_of) == (8, None)


@pytest.mark.thorough
def test_size_and_speed_are_bounded_by_their_values(bench: Bench) -> None:
    _plain(bench)
    bench.thresholds = (
        Threshold(metric="file_megabytes", direction="max", bound=0.01),
        Threshold(metric="tokens_per_second", direction="min", bound=0.001),
    )

    result = _verify(bench)

    _plain(bench)
    checks = {check.name: check for check in from_json(Verdict, result["verdict"]).checks}
    assert checks["file_megabytes"].status == "fail"
    assert (checks["tokens_per_second"].status, checks["tokens_per_second"].decided_on) == (
        "pass",
        "point",
    )
    assert "one at a time" in checks["tokens_per_second"].note


@pytest.mark.thorough
def test_a_rung_that_loses_answers_is_named_with_how_many(bench: Bench) -> None:
    _plain(bench)
    path = bench.artifacts["evaluate"].path / "predictions.holdout.jsonl"
    before = path.read_text()
    rows = [json.loads(line) for line in before.splitlines()]
    for row in rows[:2]:
        # without probabilities nothing says that it was a tie
        row |= {"label": "bad" if row["label"] == "good" else "good", "probabilities": []}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        result = _verify(bench)
    finally:
        path.write_text(before)

    refused = _refused(result)
    assert list(refused) == ["parity.merged"]
    assert "adapter → merged" in refused["parity.merged"]
    assert "of 8 answers changed" in refused["parity.merged"]
    assert result["exported"] is None


@pytest.mark.thorough
def test_of_a_list_the_smallest_that_passes_leaves(bench: Bench) -> None:
    _plain(bench)
    bench.quantizations = ("F16", "Q8_0", "Q4_0")
    bench.thresholds = (Threshold(metric="file_megabytes", direction="max", bound=100.0),)
    sizes = {}
    try:
        folder = bench.run(quantize)
        sizes = {path.name: path.stat().st_size for path in folder.glob("*.gguf")}
        smallest = _verify(bench)
        bench.thresholds = (Threshold(metric="agreement", direction="min", bound=1.01),)
        none = _verify(bench)
        # of 8 rows that all agree the lower bound is 0.676 at 95 %, and 0.583 at 98.3 %
        bench.thresholds = (Threshold(metric="agreement", direction="min", bound=0.63),)
        bench.decide_on = "lower_bound"
        by_luck = _verify(bench)
    finally:
        bench.decide_on = "point"
        bench.quantizations = ("Q8_0",)
        _plain(bench)
        bench.run(quantize)

    assert sorted(sizes, key=lambda name: sizes[name]) == [
        "model-Q4_0.gguf",
        "model-Q8_0.gguf",
        "model-F16.gguf",
    ]
    assert [rung["name"] for rung in smallest["ladder"]][3:] == ["Q4_0"]
    assert smallest["exported"] == "Q4_0"
    assert [rung["name"] for rung in none["ladder"]][3:] == ["Q4_0", "Q8_0", "F16"]
    assert none["exported"] is None
    (check,) = [one for one in by_luck["verdict"]["checks"] if one["name"] == "agreement"]
    assert (by_luck["exported"], check["got"], check["status"]) == (None, 1.0, "inconclusive")
    assert check["note"].startswith("one of 3 files leaves: at 98.3 % the lower bound is 0.5826")
    files = [
        ExportedFile(name=name, format="gguf", bytes=1, sha256="")
        for name in (
            "model-F16.gguf",
            "task.json",
            "F16/Modelfile",
            "model-Q4_0.gguf",
            "Q4_0/Modelfile",
        )
    ]
    leaves = [(name, file.name) for name, file in leaving(files, ("F16", "Q4_0"), "Q4_0")]
    assert leaves == [
        ("task.json", "task.json"),
        ("model-Q4_0.gguf", "model-Q4_0.gguf"),
        ("Q4_0/Modelfile", "Modelfile"),
    ]
