"""Names of a folder, to find the one that was meant."""

from __future__ import annotations

from pathlib import Path

from engine.recipe.text.paths import MOST_NAMES, names_in


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).touch()

    assert names_in(tmp_path) == ["a", "b"]


def test_none_of_a_folder_of_very_many(tmp_path: Path) -> None:
    """Each recipe of a pull request asks again, and a thousand of them in one folder took a minute."""
    for number in range(MOST_NAMES + 1):
        (tmp_path / str(number)).touch()

    assert names_in(tmp_path) == []
