"""Digests are of the files that stay."""

from __future__ import annotations

from pathlib import Path

from engine.files.digests import FILE, changed_files, read_digests, write_digests


def test_a_half_of_the_digests_themselves_has_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("w", encoding="utf-8")
    (tmp_path / f".{FILE}.0123456789abcdef01234567.part").write_text("{", encoding="utf-8")
    (tmp_path / ".other.0123456789abcdef01234567.part").write_text("a file", encoding="utf-8")

    write_digests(tmp_path)

    digests = read_digests(tmp_path / FILE)
    assert digests is not None
    assert {*digests} == {"weights", ".other.0123456789abcdef01234567.part"}
    assert changed_files(tmp_path, digests) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other.0123456789abcdef01234567.part",
        FILE,
        "weights",
    ]
