"""A training process that was started ahead goes on in the launch folder of its training, or is not used at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backends import process_training
from engine.backends.ahead import Ahead, Asked
from engine.backends.base import CompileInputs, Launch
from engine.backends.process_training import TrainingProgram
from engine.process import start as processes
from engine.process.policies import TRAINING, rights_of
from support.launches import CPU, RecordedProgress, make_recipe

TRAINER = """\
import os, sys
if not sys.stdin.readline():
    sys.exit(3)
with open("output/done", "w") as stream:
    stream.write(os.environ["NAME"])
"""


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Asked]:
    script, base = tmp_path / "program" / "trainer.py", tmp_path / "base"
    script.parent.mkdir()
    script.write_text(TRAINER, encoding="utf-8")
    (base).mkdir()
    (base / "weights").write_bytes(b"0" * 1000)

    def ask(variables: Mapping[str, str] = {"NAME": "one"}, reads: tuple[Path, ...] = ()) -> Asked:
        command = processes.script(script)
        return Asked(
            command=command,
            variables={**processes.environment(), **variables},
            rights=rights_of(TRAINING, command, reads=(base, *reads)),
        )

    return ask


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    with Ahead() as found:
        yield found


def _scratch(folder: Path) -> Path:
    launch = folder / "scratch" / "key"
    launch.mkdir(parents=True)
    (launch / ".begun.json").write_text("mark", encoding="utf-8")
    return launch


def test_it_goes_on_in_the_folder_of_the_training(
    asked: Callable[..., Asked], ahead: Ahead, tmp_path: Path
) -> None:
    launch = _scratch(tmp_path)
    rows = tmp_path / "rows"
    rows.mkdir()

    ahead.start(asked(), parent=launch.parent, log="train.log")
    waiting = ahead.take(asked(reads=(rows,)), launch)

    assert waiting is not None
    assert {path.name for path in launch.parent.iterdir()} == {"key"}
    assert (launch / ".begun.json").read_text(encoding="utf-8") == "mark"
    (launch / "output").mkdir()
    (waiting.folder / "output").symlink_to(launch / "output")
    waiting.go_on()
    assert waiting.child.wait() == 0
    assert (launch / "output" / "done").read_text(encoding="utf-8") == "one"
    ahead.close()
    assert (launch / "train.log").read_bytes() == b""


def test_another_environment_or_more_rights_than_are_asked_for_are_not_taken(
    asked: Callable[..., Asked], tmp_path: Path
) -> None:
    launch = _scratch(tmp_path)
    one = asked()
    others = (
        asked({"NAME": "two"}),
        replace(one, command=one.command("--more")),
        replace(one, rights=replace(one.rights, network="none")),
        replace(one, rights=replace(one.rights, read=())),
        replace(one, rights=replace(one.rights, limits={**one.rights.limits, "RLIMIT_FSIZE": 9})),
    )

    for other in others:
        with Ahead() as ahead:
            ahead.start(one, parent=launch.parent, log="train.log")
            assert ahead.take(other, launch) is None
        assert [path.name for path in launch.parent.iterdir()] == ["key"]
        assert [path.name for path in launch.iterdir()] == [".begun.json"]


def test_a_training_that_has_begun_goes_on_without_it(
    asked: Callable[..., Asked], ahead: Ahead, tmp_path: Path
) -> None:
    launch = _scratch(tmp_path)
    (launch / "config.yaml").write_text("a: 1", encoding="utf-8")

    ahead.start(asked(), parent=launch.parent, log="train.log")

    assert ahead.take(asked(), launch) is None
    assert (launch / "config.yaml").read_text(encoding="utf-8") == "a: 1"


def test_one_that_is_not_needed_ends_with_the_run(
    asked: Callable[..., Asked], tmp_path: Path
) -> None:
    launch = _scratch(tmp_path)
    with Ahead() as ahead:
        ahead.start(asked(), parent=launch.parent, log="train.log")
        ahead.start(asked(), parent=launch.parent, log="train.log")
        (made,) = [path for path in launch.parent.iterdir() if path != launch]
        assert (made / "train.log").is_file()

    assert not made.exists()


def test_one_that_failed_is_started_again(
    asked: Callable[..., Asked], ahead: Ahead, tmp_path: Path
) -> None:
    launch, one = _scratch(tmp_path), asked()
    failing = replace(one, command=processes.module("engine.no_such_module"))

    ahead.start(failing, parent=launch.parent, log="train.log")
    waiting = ahead._waiting
    assert waiting is not None
    assert waiting.child.has_ended(within=30)

    assert ahead.take(failing, launch) is None
    assert not (launch / "train.log").exists()


def test_a_training_with_soft_targets_takes_none(
    asked: Callable[..., Asked], ahead: Ahead, tmp_path: Path
) -> None:
    """It was started without the right to read them."""
    setting = CompileInputs(device=CPU, precision="fp32", train_rows=8, validation_rows=4)
    ready = Launch(
        config="",
        rows=tmp_path,
        base_model=tmp_path,
        folder=tmp_path,
        method=make_recipe("axolotl").method,
        setting=setting,
        progress=RecordedProgress(),
        ahead=ahead,
    )
    program = TrainingProgram(
        tool="a program", command=lambda _: asked().command, variables={}, can_wait=True
    )

    assert process_training._ahead(ready, program) is ahead
    assert process_training._ahead(replace(ready, targets=tmp_path), program) is None
