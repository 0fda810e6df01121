"""Which folder may be a store: none that came as a link, and none that others can write into."""

import os
import stat
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.store.root import checked_root


def code_of(root: Path, *, is_named: bool = False) -> str:
    """The code of the refusal; empty where the folder is taken."""
    try:
        checked_root(root, is_named=is_named)
    except EngineError as error:
        return error.problems[0].code
    return ""


def test_a_plain_folder_or_none_is_taken(tmp_path: Path) -> None:
    assert code_of(tmp_path / ".recipe") == ""
    (tmp_path / ".recipe").mkdir()
    assert code_of(tmp_path / ".recipe") == ""


@pytest.mark.parametrize("target", ["outside", "nothing"])
def test_a_link_is_refused_unless_its_user_names_it(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / ".recipe"
    root.symlink_to(tmp_path / target)

    assert code_of(root) == "E753"
    assert checked_root(root, is_named=True) == tmp_path / target


@pytest.mark.parametrize("name", ["store", "README.txt", ".gitignore", "logs"])
def test_a_link_in_it_is_refused_even_where_it_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / ".recipe"
    root.mkdir()
    (root / name).symlink_to(tmp_path / "outside")

    assert code_of(root, is_named=True) == "E753"


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "pipe"])
def test_what_is_no_folder_is_refused(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / ".recipe")

    assert code_of(tmp_path / ".recipe") == "E750"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("mode", "code"), [(0o755, ""), (0o775, ""), (0o777, "E754"), (0o702, "E754"), (0o1777, "")]
)
def test_a_folder_that_everybody_can_write_is_refused(tmp_path: Path, mode: int, code: str) -> None:
    root = tmp_path / ".recipe"
    root.mkdir()
    root.chmod(mode)

    assert code_of(root) == code
    assert code_of(root) == code
    assert code_of(root, is_named=True) == code


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
@pytest.mark.parametrize(
    ("user", "sudo", "code"),
    [(0, "", "E754"), (0, "1234", ""), (77, "1234", "E754"), (1234, "", "")],
)
def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, sudo: str, code: str
) -> None:
    root = tmp_path / ".recipe"
    root.mkdir()
    real = Path.stat

    def owned(path: Path, **options: bool) -> os.stat_result:
        found = real(path, **options)
        values = [*found[:4], 1234, *found[5:]]
        return os.stat_result(values) if path == root and stat.S_ISDIR(found.st_mode) else found

    monkeypatch.setattr(Path, "stat", owned)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("SUDO_UID", sudo)

    assert code_of(root) == code
