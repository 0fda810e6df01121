"""What an exported baseline carries runs without this package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from engine.runtime import baseline_folder
from support.paths import ROOT

PROGRAMS = [
    *Path(baseline_folder.__file__).parent.glob("*.py"),
    ROOT / "engine" / "runtime" / "encoders" / "pooling.py",
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_program_that_leaves_imports_nothing_of_this_package(program: Path) -> None:
    found = ast.walk(ast.parse(program.read_text(encoding="utf-8")))
    names = {
        name
        for node in found
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }

    assert not [name for name in names if name.partition(".")[0] == "engine"]
