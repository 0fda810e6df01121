"""Each thing that is promised has tests by name, which are there."""

import ast
from functools import cache
from pathlib import Path

import pytest

from support.acceptance import RUNS, STRANGERS

TESTS = Path(__file__).parent


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef))


@pytest.mark.parametrize("line", [*STRANGERS, *RUNS])
def test_what_is_promised_has_tests_by_name(line: str) -> None:
    named = {**STRANGERS, **RUNS}[line]

    assert named
    for one in named:
        file, _, name = one.partition("::")
        assert name in _tests_of(file), one


def test_the_lines_of_both_designs_are_all_there() -> None:
    assert (len(STRANGERS), len(RUNS)) == (16, 10)
