"""What stands in an environment of its own that trained: recorded in the lock, compared, asked for by --frozen."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from engine.lock.accepted_run import TRAINER, read_basis, write_basis
from engine.lock.comparison import each_fact
from engine.lock.file import Accepted, lock_from_text, lock_text
from engine.lock.policy import _uncovered_trainer
from engine.values import replace
from support.launches import CPU, make_recipe
from support.recipe_pairs import accepted_run, held_lock
from support.unsloth_stand_in import stand_in

__all__ = ["stand_in"]
UNSLOTH = make_recipe("unsloth")


def accepted(**trainer: str) -> Accepted:
    return replace(accepted_run(held_lock(UNSLOTH)), trainer=trainer)


def test_a_training_records_it_only_where_it_is_one_of_its_own(tmp_path: Path) -> None:
    made: Any = SimpleNamespace(path=tmp_path)
    (tmp_path / "base").mkdir()

    write_basis(tmp_path, tmp_path / "base", CPU, {})
    assert TRAINER not in json.loads((tmp_path / "basis.json").read_text(encoding="utf-8"))
    assert read_basis(made)[TRAINER] == {}

    write_basis(tmp_path, tmp_path / "base", CPU, {"trl": "1.15.0"})
    assert read_basis(made)[TRAINER] == {"trl": "1.15.0"}


def test_the_lock_holds_it_and_is_as_before_without_one(root: Path) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    lock = replace(held_lock(UNSLOTH), accepted=accepted(trl="1.15.0"))

    jsonschema.validate(json.loads(lock_text(lock)), schema)
    read = lock_from_text(Path("tickets.lock.json"), lock_text(lock))
    assert read.accepted is not None
    assert read.accepted.trainer == {"trl": "1.15.0"}
    assert TRAINER not in lock_text(replace(lock, accepted=accepted()))


def test_a_reproduction_compares_each_package_of_it() -> None:
    both = ({"trl": "1.15.0", "peft": "0.21.2"}, {"trl": "1.15.0", "peft": "0.22.0"})

    facts = list(each_fact("tool version", *both, "{} of the trainer"))

    assert [(one.name, one.equal, one.found) for one in facts] == [
        ("trl of the trainer", True, "1.15.0"),
        ("peft of the trainer", False, "0.22.0"),
    ]


@pytest.mark.usefixtures("stand_in")
def test_a_frozen_run_asks_for_the_very_same() -> None:
    same = {"python": "3.13.5", "trl": "1.15.0", "unsloth": "2026.10.9"}
    other = {**same, "peft": "0.21.2", "trl": "1.14.0"}

    assert list(_uncovered_trainer(UNSLOTH, accepted(**same))) == []
    assert list(_uncovered_trainer(UNSLOTH, accepted())) == []
    assert [message for message, _, _ in _uncovered_trainer(UNSLOTH, accepted(**other))] == [
        "the environment that trains has no peft, the lock has 0.21.2",
        "the environment that trains has trl 1.15.0, the lock has 1.14.0",
    ]
