"""Bytecode of libraries: made once by a process apart, read by confined children, written by none of them."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.files.user import bytecode_folder
from engine.process import bytecode, policies
from engine.process import start as processes
from engine.process.confine import available
from engine.process.policies import rights_of
from engine.process.start import module

pytestmark = pytest.mark.skipif(not available().landlock, reason="no Landlock here")
LIBRARY = "own_library"
SAY = "say_it"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The source of a library that nobody has compiled, which is all that runs import."""
    # Children share the memory in which tests' folders may lie.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        yield _made(Path(place), monkeypatch)
    policies.base_rights.cache_clear()


def _made(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = place / "libraries"
    package = folder / LIBRARY / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("VALUE = 'compiled'\n", encoding="utf-8")
    (folder / f"{SAY}.py").write_text(
        f"import {LIBRARY}, sys\nfrom pathlib import Path\n"
        f"try:\n    Path(sys.pycache_prefix, 'left').touch()\nexcept OSError as error:\n"
        f"    print({LIBRARY}.VALUE, type(error).__name__)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setattr(bytecode, "MODULES", (LIBRARY,))
    policies.base_rights.cache_clear()
    return package


def _keep() -> bool:
    """Have it kept; whether a child was started for that, whose work is waited for."""
    with ExitStack() as held:
        child = bytecode.keep_bytecode(held)
        if child is not None:
            assert child.wait() == 0
        return child is not None


def _as_seen_by_a_child() -> list[str]:
    """What a confined child finds in the library, and what happens to it when it writes beside the bytecode."""
    with processes.working_folder() as folder:
        child = processes.start(
            module(SAY),
            folder=folder,
            variables=processes.environment(),
            out=processes.PIPE,
            errors=processes.STDOUT,
            rights=rights_of(module(SAY)),
        )
        with child:
            return " ".join(child.lines()).split()


def _change_unseen(source: Path) -> None:
    """Change a source so that its bytecode still counts as its own."""
    before = source.stat()
    source.write_text("VALUE = 'imported'\n", encoding="utf-8")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_confined_child_reads_what_was_compiled_and_writes_none(library: Path) -> None:
    assert _keep()
    _change_unseen(library)

    assert _as_seen_by_a_child() == ["compiled", "PermissionError"]
    assert not list(library.parent.glob("__pycache__"))


@pytest.mark.thorough
def test_it_is_compiled_once_and_again_for_another_version(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = [_keep()]
    monkeypatch.setattr(sys, "pycache_prefix", None)
    started.append(_keep())
    library.write_text("VALUE = 'upgraded'\n", encoding="utf-8")
    os.utime(library, (1, 1))  # bytecode knows seconds
    monkeypatch.setattr(sys, "pycache_prefix", None)
    started.append(_keep())

    assert started == [True, False, True]
    assert _as_seen_by_a_child()[0] == "upgraded"


def test_what_compiles_ends_with_what_holds_it(library: Path) -> None:
    library.write_text("while True:\n    pass\n", encoding="utf-8")

    with ExitStack() as held:
        child = bytecode.keep_bytecode(held)
        assert child is not None
        assert not child.has_ended()

    assert child.status == 0


def test_what_the_installer_compiled_stays_in_use(library: Path) -> None:
    beside = library.parent / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc"
    beside.parent.mkdir()
    beside.touch()

    assert not _keep()
    assert sys.pycache_prefix is None
    assert not bytecode_folder().exists()


@pytest.mark.thorough
def test_a_folder_that_the_user_named_is_read_by_children_too(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _keep()
    named = str(sys.pycache_prefix)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(named).parents[1]))
    monkeypatch.setattr(sys, "pycache_prefix", named)
    _change_unseen(library)

    assert not _keep()
    assert _as_seen_by_a_child()[0] == "compiled"


@pytest.mark.usefixtures("library")
def test_a_user_without_a_home_folder_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folder() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(bytecode, "bytecode_folder", no_folder)

    assert not _keep()
    assert sys.pycache_prefix is None
