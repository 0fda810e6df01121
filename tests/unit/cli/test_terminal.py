"""Output that cannot be written is reported, with an exit code of its own; nobody who reads is no mistake."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.cli.jobs import job_text
from engine.cli.runs import _head
from engine.cli.streams import Terminal, others_to
from engine.cli.watch import Console
from engine.compute.jobs import ClusterJob
from engine.compute.profile import ComputeProfile
from engine.errors import RecipeError
from engine.evidence import Interval, Report, StageRecord, StageStatus
from engine.process import interrupts
from engine.recipe.metrics import headline
from engine.values import to_json
from support import reports

VERBS = [
    *(["--help"], ["--version"], ["run", "--help"], ["explain"], ["schema"], ["doctor"]),
    *(["validate", "recipes/quickstart.yaml"], ["plan", "recipes/quickstart.yaml"]),
    *(["compile", "recipes/quickstart.yaml"], ["init"], ["runs", "--format", "json"]),
    *(["validate", "absent.yaml", "--format", "json"], ["fmt", "-"]),
]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_full_standard_output_is_reported(words: list[str], root: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "engine", *words],
            cwd=root,
            input="recipe: v1\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode in (2, 3), done.stderr
    assert "E741  standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "I900" not in done.stderr


def test_a_closed_standard_output_is_reported(root: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m engine explain R104 >&-"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "E741" in done.stderr) == (3, True)


def test_nothing_is_reported_where_even_errors_have_no_room(root: Path) -> None:
    for redirected in ("2>/dev/full", ">/dev/full 2>/dev/full", ">&- 2>&-", "<&- >/dev/null 2>&-"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{sys.executable} -m engine validate absent.yaml {redirected}"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (2, 3), redirected


def test_a_terminal_that_nobody_reads_any_more_ends_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    terminal = Terminal(os.fdopen(writer, "wb"), encoding="utf-8", line_buffering=True)

    with interrupts.handled(), pytest.raises(interrupts.Interrupted, match="SIGPIPE"):
        terminal.write("progress\n")

    terminal.write("and nothing more is raised\n")
    terminal.close()


def test_a_full_terminal_does_not_end_the_run() -> None:
    terminal = Terminal(os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"), line_buffering=True)

    terminal.write("progress\n")
    terminal.close()


@pytest.mark.usefixtures("capfd")
def test_libraries_can_ask_nobody(tmp_path: Path) -> None:
    with others_to(tmp_path / "log"), pytest.raises(EOFError):
        input("run code of strangers? ")

    assert (tmp_path / "log").read_text() == "run code of strangers? "


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_was_printed_before_is_not_written_to_the_log(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # as to a pipe: no line is written before the buffer is flushed
    stream = getattr(sys, name)
    stream.reconfigure(line_buffering=False, write_through=False)
    stream.write("the plan\n")

    with others_to(tmp_path / "log"):
        stream.write("noise of a library\n")

    assert (tmp_path / "log").read_text() == "noise of a library\n"
    assert getattr(capfd.readouterr(), name[3:]) == "the plan\n"


# What a run says of a finished stage, read from what the stage left.
def stage_lines(
    stage: str, left: dict[str, Any], task: dict[str, str], tmp_path: Path, verbose: bool = False
) -> str:
    """The lines of one stage, which left these JSON files."""
    for name, data in left.items():
        (tmp_path / name).write_text(json.dumps(data), encoding="utf-8")
    artifact = SimpleNamespace(file=lambda name: tmp_path / name, path=tmp_path)
    recipe = SimpleNamespace(
        headline=headline(task["kind"], (), answer_pattern=task.get("answer_pattern", "")),
        export=SimpleNamespace(quantizations=("Q4_K_M",)),
        splits=SimpleNamespace(folds=0),
    )
    record = StageRecord(stage=stage, status=StageStatus.RAN, key="", reason="", seconds=1.0)
    stream = io.StringIO()
    Console(stream, quiet=False, verbose=verbose).ended(record, {stage: artifact}, recipe)  # type: ignore[arg-type,dict-item]
    return stream.getvalue()


def verified(report: Report) -> dict[str, Any]:
    return {
        "ladder": [to_json(rung) for rung in report.ladder],
        "verdict": to_json(report.verify),
        "scores": {"quantized": to_json(report.quantized)},
        "agreement": 0.987,
    }


def test_verify_tells_the_main_metric_of_the_kind_form_by_form(tmp_path: Path) -> None:
    left = verified(reports.extraction())

    shown = stage_lines("verify", {"verify.json": left}, {"kind": "extraction"}, tmp_path)

    assert "adapter 0.881 · merged 0.881 · f16 0.881 · Q4_K_M 0.877   field F1" in shown
    assert "Q4_K_M agrees on 293 of 300 rows" in shown
    assert "pass: 8 checks hold" in shown


@pytest.mark.parametrize("verbose", [False, True])
def test_a_stage_takes_three_lines_unless_everything_is_shown(
    verbose: bool, tmp_path: Path
) -> None:
    report = reports.extraction()

    shown = stage_lines(
        "verify", {"verify.json": verified(report)}, {"kind": "extraction"}, tmp_path, verbose
    )

    assert report.verify is not None
    rows = [line for line in shown.splitlines() if line.rstrip().endswith("pass")]
    assert len(rows) == (len(report.verify.checks) if verbose else 0)
    assert (len(shown.splitlines()) <= 3) is not verbose


def test_a_training_without_synthetic_rows_is_named(tmp_path: Path) -> None:
    left: dict[str, Any] = {"predictions.without_synthetic.jsonl": {}}

    shown = stage_lines("resample", left, {"kind": "classification"}, tmp_path)

    assert "trained without the synthetic rows as well" in shown


@pytest.mark.parametrize(
    ("report", "task", "expected"),
    [
        (reports.chat(), {"kind": "chat"}, "bits per byte: train 0.642 · holdout 0.793"),
        (
            reports.generation(),
            {"kind": "generation", "answer_pattern": "#"},
            "answer match: train 0.110 · holdout 0.037",
        ),
        (reports.rich(), {"kind": "classification"}, "macro-F1: train 0.965 · holdout 0.897"),
    ],
)
def test_evaluate_tells_the_main_metric_of_the_kind(
    report: Report, task: dict[str, str], expected: str, tmp_path: Path
) -> None:
    left = {"train": to_json(report.train_scores), "holdout": to_json(report.holdout), "free": None}

    assert expected in stage_lines("evaluate", {"scores.json": left}, task, tmp_path)


# How long a job may run for its money.
def job(careful_user: Path, prices: str) -> ClusterJob:
    folder = careful_user / "config" / "slm-recipe"
    folder.mkdir(parents=True)
    (folder / "prices.yaml").write_text(prices, encoding="utf-8")
    profile = ComputeProfile(name="spot", engine="skypilot", device="H100:8", max_cost=16.0)
    return ClusterJob(profile=profile, recipe="tickets", words=("t.yaml",), folder="/a", files="/b")


def test_a_bound_of_cost_is_a_bound_of_time_for_all_devices(careful_user: Path) -> None:
    assert "timeout --signal=TERM --kill-after=90 3600 " in job_text(job(careful_user, "h100: 2\n"))


def test_what_costs_nothing_is_never_spent(careful_user: Path) -> None:
    assert "timeout" not in job_text(job(careful_user, "h100: 0\n"))


def test_without_a_price_a_bound_of_cost_is_refused(careful_user: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        job_text(job(careful_user, "a100-80gb: 2\n"))

    assert [problem.code for problem in refused.value.problems] == ["R450"]


# The columns of a comparison name their confidence, and the correction of their p-values.
@pytest.mark.parametrize(
    ("p_values", "end"),
    [
        ([0.01, 0.02, None], "  90 % interval       p after Holm, 2 tests"),
        ([0.01, None], "  90 % interval       p"),
        ([None], "  90 % interval"),
    ],
)
def test_heads_name_confidence_and_correction(p_values: list[float | None], end: str) -> None:
    interval = Interval(low=-0.1, high=0.1, confidence=0.9, method="wilson")
    found: Any = SimpleNamespace(
        of_files=False,
        comparisons=[SimpleNamespace(interval=interval, p_adjusted=value) for value in p_values],
    )

    assert _head(found).endswith(end)
