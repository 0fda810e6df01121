"""The environment in which git is started: what it keeps of the user's, and that ours comes last."""

from __future__ import annotations

import os

import pytest

from engine.review.git import environment


def settings(found: dict[str, str]) -> list[tuple[str, str]]:
    count = int(found["GIT_CONFIG_COUNT"])
    return [(found[f"GIT_CONFIG_KEY_{n}"], found[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]


def test_variables_of_git_are_dropped_but_for_the_users_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_EXTERNAL_DIFF", "GIT_EXEC_PATH", "GIT_TRACE"):
        monkeypatch.setenv(name, "/x")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/mine")

    found = environment()

    assert found["GIT_CONFIG_GLOBAL"] == "/mine"
    assert "/x" not in found.values()
    assert (found["GIT_ALLOW_PROTOCOL"], found["GIT_NO_LAZY_FETCH"]) == ("", "1")


def test_settings_of_ours_win_over_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"core.fsmonitor": "/x", "safe.directory": "*"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(given)))
    for number, (name, value) in enumerate(given.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)

    found = dict(settings(environment()))

    assert (found["core.fsmonitor"], found["safe.directory"]) == ("false", "*")
    assert (found["core.hooksPath"], found["safe.bareRepository"]) == (os.devnull, "explicit")


@pytest.mark.parametrize("count", ["x", "-1", "99999999999", ""])
def test_a_count_that_is_none_stops_nothing(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", count)

    assert "core.hooksPath" in dict(settings(environment()))


def test_every_driver_is_emptied() -> None:
    found = dict(settings(environment(("filter.a=b.c", "diff.x", "hook.y"))))

    emptied = (
        "filter.a=b.c.clean",
        "filter.a=b.c.process",
        "filter.a=b.c.smudge",
        "diff.x.textconv",
        "hook.y.command",
    )
    assert [found[name] for name in emptied] == [""] * len(emptied)
    assert found["filter.a=b.c.required"] == "false"
