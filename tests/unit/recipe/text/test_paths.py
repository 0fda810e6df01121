"""Names of a folder, to find the one that was meant; paths in commands that are shown."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from engine.recipe.text.paths import MOST_NAMES, as_typed, from_here, names_in


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).touch()

    assert names_in(tmp_path) == ["a", "b"]


def test_none_of_a_folder_of_very_many(tmp_path: Path) -> None:
    """Each recipe of a pull request asks again, and a thousand of them in one folder took a minute."""
    for number in range(MOST_NAMES + 1):
        (tmp_path / str(number)).touch()

    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "typed",
    ["plain.yaml", "it's two words.yaml", "a;b.yaml", "$HOME.yaml", "-x.yaml", "über/é.yaml"],
)
def test_a_shell_reads_a_shown_path_as_one_word_that_is_no_option(typed: str) -> None:
    [word] = shlex.split(as_typed(typed))

    assert (Path(word), word.startswith("-")) == (Path(typed), False)


def test_a_path_in_a_report_begins_at_the_current_folder_or_is_a_name(tmp_path: Path) -> None:
    shown = [from_here(tmp_path / "a b" / "x.yaml"), from_here(tmp_path.parent / "x.yaml")]

    assert shown == ["a b/x.yaml", "x.yaml"]
