"""Imports that stay: the garbage collector does not go through them, and works as before afterwards."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from engine.process.kept_imports import HEAVY, LARGE, keep_imports, kept_imports
from support.paths import ROOT

LIBRARY, SMALL = "large_library", "small_library"
SAYS = "import gc\nCOLLECTS = gc.isenabled()\n"
SCRIPT = """
import gc, json
from engine.process.kept_imports import kept_imports
with kept_imports():
    within = gc.isenabled()
    import xml.dom.minidom
print(json.dumps([within, gc.isenabled(), gc.get_freeze_count() > 0]))
"""


def test_what_is_imported_is_kept_and_the_collector_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [False, True, True]


def test_where_a_model_may_be_loaded_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HEAVY, sys)
    before = gc.get_freeze_count()

    with kept_imports():
        assert gc.isenabled()

    assert gc.get_freeze_count() == before


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(f"{keep_imports.__module__}.LARGE", LARGE | {LIBRARY})
    keep_imports()
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / LIBRARY
    folder.mkdir()
    (folder / "__init__.py").write_text(SAYS, encoding="utf-8")
    (folder / "part.py").write_text(SAYS, encoding="utf-8")
    (tmp_path / f"{SMALL}.py").write_text(SAYS, encoding="utf-8")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in (LIBRARY, SMALL)]:
        del sys.modules[name]


def test_no_garbage_is_collected_while_a_large_library_is_imported(library: Path) -> None:
    assert import_module(LIBRARY).COLLECTS is False
    assert import_module(f"{LIBRARY}.part").COLLECTS is False
    assert gc.isenabled()


def test_it_is_while_another_one_is_imported(library: Path) -> None:
    assert import_module(SMALL).COLLECTS is True


def test_it_is_again_after_an_import_that_fails(library: Path) -> None:
    (library / "__init__.py").write_text("raise ImportError('broken')", encoding="utf-8")

    with pytest.raises(ImportError, match="broken"):
        import_module(LIBRARY)

    assert gc.isenabled()


def test_one_who_collects_no_garbage_is_left_so(library: Path) -> None:
    gc.disable()
    try:
        import_module(LIBRARY)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_set_up_once(library: Path) -> None:
    before = [*sys.meta_path]
    keep_imports()

    assert sys.meta_path == before
