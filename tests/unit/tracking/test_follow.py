"""The process that follows a run: with stand-ins of every client here, with the real ones in test_trackers.py."""

import io
import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from engine.tracking import follow, trackers
from engine.tracking.trackers import MOST_LETTERS, line_of

BEGUN = line_of(trackers.BEGUN, recipe="tiny", method={"rank": 8})
STEP = line_of(trackers.STEP, stage="train", step=3, steps=4, values={"loss": 0.5})
VERDICT = line_of(trackers.VERDICT, stage="gate", status="pass")
ENDED = line_of(
    trackers.ENDED,
    recipe="tiny",
    outcome="refused",
    summary="tiny is not it",
    exit_code=1,
    seconds=90,
)


class _Calls(list[tuple[str, Any]]):
    """What a stand-in of a client was asked."""

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.append((name, (*given, *named.values())))
            return SimpleNamespace(info=SimpleNamespace(run_id="r"), experiment_id="e")

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> _Calls:
    """A stand-in of MLflow, under its names."""
    calls = _Calls()

    def client_of(tracking_uri: str) -> _Calls:
        assert tracking_uri.startswith("file:///")
        return calls

    parts: dict[str, dict[str, Any]] = {
        "mlflow": {},
        "mlflow.entities": {"Metric": list_of, "Param": list_of},
    }
    parts |= {"mlflow.tracking": {"MlflowClient": client_of}}
    parts |= {"mlflow.exceptions": {"MlflowException": LookupError}}
    for name, values in parts.items():
        module = ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def list_of(*given: Any) -> list[Any]:
    return list(given)


def followed(kind: str, events: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the process's main function follow events that are all there, its run being over."""
    file = folder / "events.jsonl"
    file.write_text(events, encoding="utf-8")
    order = {"kind": kind, "file": str(file), "folder": str(folder), "url": "", "variables": {}}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(order) + "\n"))
    monkeypatch.setattr(follow, "_wait_for_end", threading.Event.set)
    return follow.main()


def test_a_tracker_gets_events_in_order(
    client: _Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = followed("mlflow", BEGUN + STEP + VERDICT + ENDED, tmp_path, monkeypatch)

    assert code == 0
    names = [name for name, _ in client]
    assert names[:3] == ["get_experiment_by_name", "create_run", "log_batch"]
    assert client[2][1][1] == [["recipe", "tiny"], ["method.rank", "8"]]
    assert client[3][1][1][0][:2] == ["train/loss", 0.5]
    assert client[3][1][1][0][3] == 3
    assert ("set_tag", ("r", "gate/verdict", "pass")) in client
    assert ("set_tag", ("r", "outcome", "refused")) in client
    assert client[-1] == ("set_terminated", ("r", "FINISHED"))


def test_an_experiment_that_another_run_makes_meanwhile_is_taken(
    client: _Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = iter([None, SimpleNamespace(experiment_id="theirs")])
    monkeypatch.setattr(client, "get_experiment_by_name", lambda _: next(known), raising=False)

    def refuse(_: str) -> str:
        raise LookupError("it is there already")

    monkeypatch.setattr(client, "create_experiment", refuse, raising=False)

    assert followed("mlflow", BEGUN + ENDED, tmp_path, monkeypatch) == 0
    assert client[0] == ("create_run", ("theirs",))


def test_a_run_that_was_killed_has_failed(
    client: _Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert followed("mlflow", BEGUN + STEP + STEP[:20], tmp_path, monkeypatch) == 0
    assert client[-1] == ("set_terminated", ("r", "FAILED"))


def test_many_numbers_are_sent_in_parts(
    client: _Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {f"f1.{number}": 0.5 for number in range(MOST_LETTERS + 1)}
    metrics = line_of(trackers.METRICS, stage="evaluate", of="holdout", values=values)

    followed("mlflow", BEGUN + metrics + ENDED, tmp_path, monkeypatch)

    sizes = [len(given[1]) for name, given in client if name == "log_batch"]
    assert sizes == [2, MOST_LETTERS, 1]


def test_what_a_client_raises_ends_the_process(
    client: _Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mlflow.tracking")

    with pytest.raises(ModuleNotFoundError):
        followed("mlflow", BEGUN + ENDED, tmp_path, monkeypatch)
