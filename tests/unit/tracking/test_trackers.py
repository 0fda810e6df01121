"""Each tracker's real package keeps a run, confined and without a network; skipped where it is not installed."""

import importlib.util
from pathlib import Path

import pytest

from engine.errors import Problem
from engine.tracking import trackers
from engine.tracking.followers import Follower, following, tracker_of
from engine.tracking.trackers import line_of
from engine.trust.allowed import from_options

pytestmark = pytest.mark.thorough

EVENTS = (
    line_of(trackers.BEGUN, recipe="tiny", method={"rank": 8}),
    line_of(trackers.STEP, stage="train", step=3, steps=4, values={"loss": 0.5}),
    line_of(trackers.VERDICT, stage="gate", status="pass"),
    line_of(
        trackers.ENDED, recipe="tiny", outcome="accepted", summary="it is", exit_code=0, seconds=1
    ),
)


def follow(one: Follower, root: Path, *events: str) -> list[Problem]:
    file = trackers.live_file(root)
    with following([one], file, root) as problems:
        file.write_text("".join(events or EVENTS), encoding="utf-8")
    return problems


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("mlflow", "*/*/metrics/train/loss"),
        ("tensorboard", "tiny/*/events.out.tfevents*"),
        ("trackio", "tiny.db"),
        ("wandb", "wandb/offline-run-*/run-*.wandb"),
    ],
)
def test_a_run_is_kept_in_files(kind: str, left: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    tmp_path.chmod(0o700)

    problems = follow(tracker_of(kind, from_options([], [], [])), tmp_path)

    assert problems == []
    [kept] = (tmp_path / "tracking" / kind).glob(left)
    assert kept.stat().st_size


ODD = ("a", "a/b", "a//b", "../x", "..", "/", "x" * 300, 'say "hi"', "say 'hi'", "", "a\nb", "ä 語")


def test_mlflow_keeps_the_number_of_every_label(tmp_path: Path) -> None:
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    tmp_path.chmod(0o700)
    values = {f"f1.{label}": number / 20 for number, label in enumerate(ODD)}
    event = line_of(trackers.METRICS, stage="evaluate", of="holdout", values=values)

    problems = follow(tracker_of("mlflow", from_options([], [], [])), tmp_path, EVENTS[0], event)

    assert problems == []
    folder = tmp_path / "tracking" / "mlflow"
    kept = [path for path in folder.glob("*/*/metrics/evaluate/holdout/*") if path.is_file()]
    assert len(kept) == len(ODD)
    assert {float(path.read_text().split()[1]) for path in kept} == set(values.values())


def test_a_server_that_is_not_there_costs_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    one = tracker_of("mlflow=http://127.0.0.1:9", from_options([], [], []))
    one.variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

    [problem] = follow(one, tmp_path)

    assert problem.code == "X871"
    assert "127.0.0.1" in problem.message
