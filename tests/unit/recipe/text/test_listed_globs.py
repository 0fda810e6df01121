"""Patterns match the same files without a disk as with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.recipe.text.paths import match, match_listed

FILES = (
    "a.csv",
    "b.json",
    ".hidden.csv",
    "parts/a.csv",
    "parts/x/a.csv",
    "parts/.x/a.csv",
    "more/y/z/q.csv",
)


@pytest.mark.parametrize(
    "pattern",
    [
        "*.csv", "*", "parts/*.csv", "parts/**/*.csv", "**/*.csv", "**", ".*.csv", "parts/.x/*.csv",
        "[ab].*", "?.csv", "*/a.csv", "more/*/z/*", "../*/a.csv", "./parts/*", "none/*.csv",
    ],
)  # fmt: skip
def test_the_same_files_match(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "recipes"
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    on_disk = match(pattern, folder).files

    found = match_listed(pattern, folder, [folder / name for name in reversed(FILES)])

    assert tuple(written for written, _ in found) == on_disk
    assert all(path.is_file() for _, path in found)
