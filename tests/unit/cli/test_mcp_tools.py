"""Calls of an agent become command lines, or end with a code."""

import argparse
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from engine.cli.verbs import MOST_LETTERS, TOOLS, VERBS, declare, words_of
from engine.errors import RecipeError

CALLS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "validate": ("validate", {"recipe": "r.yaml"}, ["validate", "r.yaml", "--format", "json"]),
    "explain one": ("explain", {"code": "R104"}, ["explain", "R104"]),
    "explain all": ("explain", {}, ["explain"]),
    "the newest report": ("report", {}, ["report"]),
    "a report": ("report", {"run": "t/1", "format": "json"}, ["report", "t/1", "--format", "json"]),
    "diff": (
        "diff",
        {"old": "a.yaml", "since": "main"},
        ["diff", "a.yaml", "--from", "main", "--format", "json"],
    ),
    "init": (
        "init",
        {"data": "rows.csv", "output": "r.yaml", "kind": "classification", "label": "topic"},
        ["init", "rows.csv", "-o", "r.yaml", "--kind", "classification", "--label", "topic"],
    ),
    "predict": (
        "predict",
        {"model": "tiny", "rows": "new.csv", "output": "answered.csv"},
        ["predict", "tiny", "new.csv", "-o", "answered.csv"],
    ),
    "run": (
        "run",
        {"recipe": "r.yaml", "until": "data"},
        ["run", "r.yaml", "--until", "data", "--quiet", "--format", "json"],
    ),
}
HOSTILE: dict[str, tuple[str, dict[str, Any]]] = {
    "no tool": ("rm", {}),
    "no argument": ("validate", {}),
    "an argument that is none": ("plan", {"recipe": "r.yaml", "update_lock": "yes"}),
    "an option": ("validate", {"recipe": "--allow-host"}),
    "a number": ("validate", {"recipe": 7}),
    "nothing": ("explain", {"code": ""}),
    "a list": ("explain", {"code": ["R104"]}),
    "a control character": ("explain", {"code": "R104\x1b[2J"}),
    "a null byte": ("validate", {"recipe": "r\0.yaml"}),
    "very long": ("validate", {"recipe": "a" * (MOST_LETTERS + 1)}),
    "the root": ("validate", {"recipe": "/etc/passwd"}),
    "the folder above": ("report", {"run": "../other"}),
    "a draft outside": ("init", {"data": "rows.csv", "output": "../r.yaml"}),
    "rows outside": ("predict", {"model": "m", "rows": "/etc/passwd", "output": "a.csv"}),
    "a kind that is none": ("init", {"data": "rows.csv", "kind": "x"}),
    "behind a link": ("diff", {"old": "link/r.yaml"}),
    "a choice that is none": ("report", {"format": "html"}),
    "a stage that is none": ("run", {"recipe": "r.yaml", "until": "nothing"}),
}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "project")


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_a_command_that_the_verb_reads(name: str) -> None:
    tool, given, words = CALLS[name]
    parser = argparse.ArgumentParser(exit_on_error=False)
    declare(parser, VERBS[tool].arguments)

    assert words == words_of(tool, given, allow_run=True)
    assert parser.parse_args(words[1:])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_call_ends_with_a_code(name: str) -> None:
    tool, given = HOSTILE[name]

    with pytest.raises(RecipeError) as raised:
        words_of(tool, given, allow_run=True)

    assert [one.code for one in raised.value.problems] == ["R448"]


def test_what_is_no_text_is_answered_and_no_bug() -> None:
    words = [sys.executable, "-P", "-m", "engine", "mcp"]

    done = subprocess.run(words, input=b"\xff\xfe{\0\n", capture_output=True, check=False)

    assert (done.returncode, b"I900" in done.stderr) == (0, False)
    assert b"Invalid JSON" in done.stdout + done.stderr


def test_nothing_trains_without_the_users_word() -> None:
    with pytest.raises(RecipeError, match="there is no tool `run`"):
        words_of("run", {"recipe": "r.yaml"}, allow_run=False)

    assert [name for name, one in TOOLS.items() if "is_heavy" in one] == ["run", "predict"]


def test_a_message_that_is_too_long_is_read_and_not_held() -> None:
    """One of 200 MB took 2.9 GB."""
    server = pytest.importorskip("engine.cli.mcp_server", reason="the extra `mcp`")
    most = server.MOST_LINE
    lines = ["{}", "x" * most, "y" * (3 * most), "z"]

    found = server.Messages(StringIO("\n".join(lines)))

    assert [found.readline() for _ in range(5)] == [
        *("{}\n", "longer than a message may be\n", "longer than a message may be\n", "z", ""),
    ]


@pytest.mark.parametrize(
    ("value", "kept", "left_out"),
    [
        ({"outcome": "accepted", "n": 1}, {"outcome": "accepted", "n": 1}, {}),
        ({"outcome": "x", "rows": "r" * 99_998, "text": "t"}, {"outcome": "x", "text": "t"}, {"rows": 100_000}),
        ("short", "short", {}),
        ("t" * 60_007, "t" * 60_000, {"end": 7}),
        ([1, 2], [1, 2], {}),
    ],
)  # fmt: skip
def test_a_result_has_a_bearable_size(value: Any, kept: Any, left_out: dict[str, int]) -> None:
    bounded = pytest.importorskip("engine.cli.mcp_server", reason="the extra `mcp`").bounded

    assert (kept, left_out) == bounded(value)
