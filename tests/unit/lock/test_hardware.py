"""What the lock says of processes that trained together; of one it says nothing, so that its bytes stay."""

from pathlib import Path

import pytest

from engine.compute.profile import Ranks
from engine.environment import version_of
from engine.lock.accepted_run import hardware, ranks_facts, write_basis
from support.launches import CPU, METHOD


def test_several_processes_are_named_with_the_rows_that_were_seen_twice() -> None:
    assert ranks_facts(METHOD, Ranks(processes=2), 93) == {
        "processes": 2,
        "nodes": 1,
        "a_node": 2,
        "strategy": "ddp",
        "launcher": f"torch.distributed {version_of('torch')}",
        "repeated_rows": 3,
    }


def test_of_one_process_nothing_is_written(tmp_path: Path) -> None:
    one, same = tmp_path / "one", tmp_path / "same"
    for folder in (one, same):
        folder.mkdir()
    write_basis(one, tmp_path, CPU, {}, ranks_facts(METHOD, Ranks(), 93))
    write_basis(same, tmp_path, CPU, {})

    assert (one / "basis.json").read_bytes() == (same / "basis.json").read_bytes()
    assert "world" not in hardware(CPU)


def test_a_choice_among_the_processors_instructions_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")

    assert hardware(CPU)["instructions"] == "ATEN_CPU_CAPABILITY=default"
