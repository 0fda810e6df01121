import errno
import os
import stat
from pathlib import Path

import pytest

from engine.files import leases
from engine.files.reading import cache_folder, config_folder, state_folder
from engine.files.writing import create_text, make_folder, replacing, write_text


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that nothing here may touch."""
    path = tmp_path / "outside" / "bashrc"
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    return path


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "report.md").symlink_to(outside)

    write_text(tmp_path / "report.md", "new")

    assert outside.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "report.md").is_symlink()
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "report.md"]


@pytest.mark.parametrize("link", ["root", "root/store", "root/store/ab"])
def test_no_folder_below_the_start_may_be_a_link(tmp_path: Path, outside: Path, link: str) -> None:
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(outside.parent)
    root = tmp_path / "root"

    with pytest.raises(OSError, match="is a link") as caught:
        write_text(root / "store" / "ab" / "file", "new", below=root)
    with pytest.raises(OSError, match="is a link"):
        make_folder(root / "store" / "ab" / "deeper", below=root)

    assert caught.value.errno == errno.ELOOP
    assert [path.name for path in outside.parent.iterdir()] == ["bashrc"]


def test_folders_are_made_and_a_file_in_the_way_is_named(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "some" / "root"

    write_text(root / "a" / "b" / "file", "new\n", below=root, durable=True)

    assert (root / "a" / "b" / "file").read_text(encoding="utf-8") == "new\n"
    with pytest.raises(OSError, match="file"):
        make_folder(root / "a" / "b" / "file" / "deeper", below=root)
    assert outside.exists()


def test_nothing_is_left_where_the_target_is_a_folder(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "a", "new")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "outside"]
    assert outside.exists()


def test_what_stands_there_is_never_created_over(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "dangling").symlink_to(tmp_path / "outside" / "new")

    assert not create_text(tmp_path / "link", "new")
    assert not create_text(tmp_path / "dangling", "new")
    assert create_text(tmp_path / "free", "new")
    assert outside.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in outside.parent.iterdir()] == ["bashrc"]


def test_what_a_killed_process_was_writing_is_removed_by_the_next_writer_and_nobody_elses(
    tmp_path: Path,
) -> None:
    dead = tmp_path / f".report.md.{'0' * 24}.part"
    others = [tmp_path / f".report.md.{'0' * 16}.part", tmp_path / f".other.{'0' * 24}.part"]
    for path in (dead, *others):
        path.write_text("half", encoding="utf-8")

    with replacing(tmp_path / "report.md") as stream:
        stream.write(b"slow")
        write_text(tmp_path / "report.md", "fast")  # beside it, which is being written

    assert (tmp_path / "report.md").read_bytes() == b"slow"
    assert not dead.exists()
    assert all(path.exists() for path in others)


def test_a_temporary_folder_is_removed_once_nobody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{leases.PREFIX}dead"
    dead.mkdir()
    (dead / "half").touch()

    with leases.temporary_folder() as held:
        leases.remove_temporary()
        assert list(tmp_path.iterdir()) == [held]

    assert list(tmp_path.iterdir()) == []


def test_a_durable_file_waits_for_its_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda one: synced.append(stat.S_ISDIR(os.fstat(one).st_mode)))

    write_text(tmp_path / "report.md", "kept", durable=True)

    assert synced == [False, True]


def test_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert config_folder() == tmp_path / "config" / "slm-recipe"
    assert state_folder() == tmp_path / "state" / "slm-recipe"
    assert cache_folder() == tmp_path / ".cache" / "slm-recipe"


def test_a_relative_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert state_folder() == tmp_path / ".local/state" / "slm-recipe"
