"""What `--track` names, and which keys go where."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.tracking.followers import following, tracker_of
from engine.tracking.trackers import NAMES
from engine.trust.allowed import from_options

WANDB = "wandb=https://api.wandb.ai"
REFUSED = {
    "no tracker": ("comet", [], "R445"),
    "nothing": ("", [], "R445"),
    "a server of what keeps files": ("tensorboard=https://x.example", [], "R445"),
    "an address with a password": ("mlflow=https://me:secret@x.example", [], "R445"),
    "an address of another kind": ("mlflow=file:///etc", [], "R445"),
    "a key that nobody allowed": (WANDB, [], "R446"),
    "a key for another host": (WANDB, ["WANDB_API_KEY=other.example"], "R446"),
    "a key over http": ("mlflow=http://x.example", ["MLFLOW_TRACKING_TOKEN=x.example"], "R446"),
    "a key that is not set": (
        "mlflow=https://x.example",
        ["MLFLOW_TRACKING_TOKEN=x.example"],
        "R446",
    ),
}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setenv("WANDB_API_KEY", "a-secret")
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as raised:
        call()
    [problem] = raised.value.problems
    assert "secret" not in f"{problem.message} {problem.hint}"
    return problem.code


@pytest.mark.parametrize("name", REFUSED)
def test_a_tracker_is_refused(name: str) -> None:
    text, keys, code = REFUSED[name]

    assert code == code_of(lambda: tracker_of(text, from_options([], [], keys)))


def test_a_key_goes_to_the_host_that_it_was_allowed_for() -> None:
    found = tracker_of(WANDB, from_options([], [], ["WANDB_API_KEY=api.wandb.ai"]))

    assert found.variables["WANDB_API_KEY"] == "a-secret"
    assert "secret" not in repr(found)


@pytest.mark.parametrize("kind", NAMES)
def test_a_tracker_of_files_gets_no_key_and_no_network(kind: str) -> None:
    found = tracker_of(f"{kind}=there", from_options([], [], ["WANDB_API_KEY=api.wandb.ai"]))

    assert (found.folder, found.url) == ("there", "")
    assert "a-secret" not in found.variables.values()


@pytest.mark.parametrize("kind", NAMES)
def test_a_missing_package_names_its_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(EngineError) as raised:
        tracker_of(kind, from_options([], [], []))

    [problem] = raised.value.problems
    assert problem.code == "E701"
    assert problem.hint == f"uv sync --extra {kind}"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    one = tracker_of(f"tensorboard={tmp_path / 'file'}", from_options([], [], []))

    def begin() -> None:
        with following([one], tmp_path / "logs" / "x.events.jsonl", tmp_path):
            raise AssertionError

    assert code_of(begin) == "R445"
