"""Output that cannot be written is reported, with an exit code of its own; nobody who reads is no mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.streams import Terminal, others_to
from engine.process import interrupts

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
