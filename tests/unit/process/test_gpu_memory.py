"""What a process keeps of a GPU is given back before it starts another one."""

import sys
from types import SimpleNamespace

import pytest

from engine.process import start as processes


@pytest.mark.parametrize(("has_used", "given"), [(True, ["all"]), (False, [])])
def test_a_child_finds_what_this_process_does_not_need(
    monkeypatch: pytest.MonkeyPatch, has_used: bool, given: list[str]
) -> None:
    found = list[str]()
    cuda = SimpleNamespace(is_initialized=lambda: has_used, empty_cache=lambda: found.append("all"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    processes.ask(processes.program("true"))

    assert found == given


def test_a_torch_that_is_being_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())

    assert processes.ask(processes.program("true")).status == 0
