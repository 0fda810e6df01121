"""Imports that stay: the garbage collector does not go through them, and works as before afterwards."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from engine.process.kept_imports import HEAVY, kept_imports
from support.paths import ROOT

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
