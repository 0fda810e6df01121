"""`recipe doctor` says what a run lacks, and does not count what only some recipes ask for."""

import json
from pathlib import Path

import pytest

from engine.cli import doctor
from engine.cli.main import main
from engine.environment import EXTRAS
from engine.values import replace
from support.estimates import CPU


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


@pytest.mark.parametrize(("cores", "words"), [(1, "1 core,"), (2, "2 cores,")])
def test_cores_are_counted_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cores: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "detect_device", lambda: replace(CPU, cores=cores))

    main(["doctor"])

    assert f", {words} bfloat16" in capsys.readouterr().out
