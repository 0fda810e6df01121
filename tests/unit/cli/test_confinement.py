"""Which rights each verb gives up before it runs a recipe or asks a model, and what happens where it cannot."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from engine.cli import doctor
from engine.cli.main import main
from engine.environment import EXTRAS
from engine.process.confine import (
    NONE,
    OPEN,
    Available,
    ConfinementError,
    Rights,
    available,
)
from engine.sources.fetch_process import Named
from support.project import write_project

ASKING = {"try": ("a.gguf", "x"), "predict": ("a.gguf", "rows.jsonl"), "serve": ("a.gguf",)}
RUNNING = {
    "run": (),
    "data": (),
    "plan": ("--probe",),
    "challenge": ("--base-model", "newer"),
}
TASK = {
    **dict.fromkeys(("instruction", "system"), ""),
    "kind": "classification",
    "input": "{text}",
    "output": "text",
    "schema": None,
    "labels": ["a", "b"],
}
TASK_FILE = {
    "version": 2,
    "task": TASK,
    "before": "<",
    "after": ">",
    "strips": False,
    "answers": ["a", "b"],
    "max_new_tokens": 4,
}


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch, careful_user: Path) -> list[Rights]:
    """What verbs would keep; they end there."""
    assert careful_user.is_dir()
    kept: list[Rights] = []

    def confine(rights: Rights, **_: object) -> None:
        kept.append(rights)
        raise ConfinementError(1, "stopped here")

    monkeypatch.setattr("engine.process.confine.confine_main", confine)
    _offer(monkeypatch, Available(landlock=7, network=True))
    return kept


def _offer(monkeypatch: pytest.MonkeyPatch, found: Available) -> None:
    available.cache_clear()
    monkeypatch.setattr("engine.process.confine.available", lambda: found)


def _called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Call the command as its own process does."""
    monkeypatch.setattr(sys, "argv", ["recipe", *words])
    return main()


def _folder(place: Path) -> None:
    for name in ("model", "newer"):
        (place / name).mkdir()
        (place / name / "config.json").write_text("{}")
    write_project(place, place / "model")
    (place / "a.gguf").write_bytes(b"GGUF")
    (place / "task.json").write_text(json.dumps(TASK_FILE))
    (place / "rows.jsonl").write_text('{"text": "x"}\n')


@pytest.mark.parametrize("verb", RUNNING)
def test_verbs_that_run_a_recipe_give_up_what_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: list[Rights], verb: str
) -> None:
    _folder(tmp_path)

    code = _called(monkeypatch, verb, "recipe.yaml", *RUNNING[verb])

    assert (code, [one.network for one in given_up]) == (3, [NONE])
    home = str(Path.home())
    assert home not in {*given_up[0].read, *given_up[0].write}
    assert str(tmp_path / "newer") in given_up[0].read
    # What is not there could not be allowed, and its folder is not writable.
    assert str(tmp_path / ".recipe") in given_up[0].write
    assert str(tmp_path) not in given_up[0].write
    assert (tmp_path / ".recipe").is_dir()


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["run"], ["recipe.lock.json"]),
        (["data"], []),
        (["plan", "--probe"], []),
        (["challenge", "--base-model", "newer"], []),
    ],
    ids=str,
)
def test_only_what_may_write_the_lock_has_it_written_by_a_process_apart(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_up: list[Rights],
    words: list[str],
    begun: list[str],
) -> None:
    found: list[str] = []
    monkeypatch.setattr("engine.lock.lock_process.begin", lambda lock, _: found.append(lock.name))
    _folder(tmp_path)

    _called(monkeypatch, words[0], "recipe.yaml", *words[1:])

    assert len(given_up) == 1
    assert found == begun


def test_what_is_of_the_hub_is_fetched_by_a_process_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: list[Rights]
) -> None:
    begun: list[tuple[Named, Rights]] = []
    monkeypatch.setattr(
        "engine.sources.fetch_process.begin", lambda named, rights, _: begun.append((named, rights))
    )
    _folder(tmp_path)

    _called(monkeypatch, "challenge", "recipe.yaml", "--base-model", f"o/n@{'0' * 40}")

    (fetching, rights), (own,) = begun[0], given_up
    assert (fetching, rights.network, own.network) == (Named(hubs=("o/n",)), OPEN, NONE)
    hub = str(Path.home() / ".cache" / "huggingface")
    assert (hub in rights.write, hub in own.write, f"{hub}/hub" in own.read) == (True, False, True)
    assert str(tmp_path) not in rights.read


def test_what_goes_through_a_proxy_keeps_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: list[Rights]
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    _folder(tmp_path)
    served = {"name": "remote", "endpoint": "https://models.example/v1", "model": "served"}
    fields = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    fields |= {"baselines": [{"model": served}], "allow_moving": True}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(fields))

    _called(monkeypatch, "run", "recipe.yaml", "--allow-host", "models.example")

    assert [one.network for one in given_up] == [OPEN]


@pytest.mark.parametrize("verb", ASKING)
def test_verbs_that_ask_a_model_keep_its_folder_and_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: list[Rights], verb: str
) -> None:
    _folder(tmp_path)
    port = ("--port", "0") if verb == "serve" else ()

    code = _called(monkeypatch, verb, *ASKING[verb], *port)

    assert (code, [one.network for one in given_up]) == (3, [NONE])
    assert str(tmp_path) in given_up[0].read
    assert str(tmp_path) not in given_up[0].write


def test_predict_keeps_the_folder_of_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: list[Rights]
) -> None:
    _folder(tmp_path)
    (tmp_path / "out").mkdir()

    _called(monkeypatch, "predict", *ASKING["predict"], "-o", "out/rows.jsonl")

    assert str(tmp_path / "out") in given_up[0].write


@pytest.mark.usefixtures("careful_user")
@pytest.mark.parametrize(
    ("before", "words", "is_refused"),
    [
        ((), (), True),
        (("trust", "recipe.yaml"), (), False),
        ((), ("--unconfined",), False),
    ],
    ids=["a stranger's", "trusted", "unconfined"],
)
def test_where_nothing_can_confine_only_ones_own_recipe_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    before: tuple[str, ...],
    words: tuple[str, ...],
    is_refused: bool,
) -> None:
    _folder(tmp_path)
    # Ends in the data stage, after the question was asked.
    (tmp_path / "rows.csv").write_text("text,label\n")
    _offer(monkeypatch, Available())
    assert not before or main(before) == 0
    capfd.readouterr()

    code = _called(monkeypatch, "data", "recipe.yaml", "--no-tokens", *words)

    shown = capfd.readouterr().err
    assert (code, "X811" in shown) == (3, is_refused)
    assert shown.count("not confined: this kernel has no Landlock") == 1


def test_a_recipe_that_init_wrote_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, careful_user: Path
) -> None:
    assert careful_user.is_dir()
    from engine.trust.allowed import is_own

    assert main(["init", "quickstart"]) == 0

    assert is_own(tmp_path / "quickstart.yaml")
    assert not is_own(tmp_path / "other.yaml")


# `recipe doctor` says what a run lacks, and does not count what only some recipes ask for.
def lacking(monkeypatch: pytest.MonkeyPatch, *distributions: str) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name in distributions else "1.0")


def test_extras_that_only_some_recipes_ask_for_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lacking(monkeypatch, *(EXTRAS["onnx"] + EXTRAS["wandb"]))

    assert main(["doctor"]) == 0

    out = capsys.readouterr().out
    assert out.endswith("everything a run needs is there\n")
    assert "not installed; for `export.formats: [onnx]`: uv sync --extra onnx" in out


def test_the_last_line_installs_all_that_a_run_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lacking(monkeypatch, "peft", "gguf", "mcp")

    assert main(["doctor"]) == 3

    assert (
        capsys.readouterr().out.splitlines()[-1] == "2 missing: uv sync --extra train --extra gguf"
    )
    assert main(["doctor", "--format", "json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in found["checks"] if not one["ok"]] == [
        "extra [train]",
        "extra [gguf]",
    ]


def test_every_extra_is_one_of_a_run_or_says_what_it_is_for() -> None:
    assert set(EXTRAS) - set(doctor.USED_BY) == {
        "packages", "data", "metrics", "train", "axolotl", "gguf",
    }  # fmt: skip
    assert not set(doctor.USED_BY) - set(EXTRAS)


def test_a_store_that_cannot_be_written_is_not_called_one_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)

    assert main(["doctor", "--store", str(tmp_path / "store")]) == 3

    out = capsys.readouterr().out
    assert "store cannot be written" in out
    assert "can be written" not in out
