"""Digests are of the files that stay."""

from pathlib import Path

import pytest

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


@pytest.mark.parametrize("linked", ["inner", "inner/weights"])
def test_the_same_bytes_behind_a_link_are_no_longer_what_was_written(
    tmp_path: Path, linked: str
) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "weights").write_text("w", encoding="utf-8")
    write_digests(folder)
    digests = read_digests(folder / FILE)
    assert digests is not None
    # A folder that is reached through a link itself is as it was.
    (tmp_path / "way").symlink_to(folder)
    assert changed_files(tmp_path / "way", digests) == []

    (folder / linked).rename(elsewhere)
    (folder / linked).symlink_to(elsewhere)

    assert changed_files(folder, digests) == ["inner/weights"]


def test_digests_behind_a_link_are_not_read(tmp_path: Path) -> None:
    write_digests(tmp_path, place=tmp_path / "real")
    (tmp_path / FILE).symlink_to("real")

    with pytest.raises(ValueError, match="link"):
        read_digests(tmp_path / FILE)
