"""What stands in an environment of its own that trained: recorded in the lock, compared, asked for by --frozen."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.profile import Ranks
from engine.environment import version_of
from engine.evidence import StageRecord, StageStatus
from engine.lock.accepted_run import (
    TRAINER,
    hardware,
    ranks_facts,
    used_versions,
    write_basis,
)
from engine.lock.coherence import answer_facts, match_answers
from engine.lock.comparison import each_fact
from engine.lock.file import Accepted, AnswerFacts, lock_from_text, lock_text
from engine.lock.policy import _uncovered_trainer
from engine.lock.reproduction import RepeatedRun, reused_stages
from engine.metrics.equivalence import Margin, MetricPair, equivalence
from engine.metrics.predictions import Prediction
from engine.recipe.model import PathRef
from engine.values import replace
from support.launches import CPU, METHOD, TASK, make_recipe
from support.recipe_pairs import accepted_run, held_lock
from support.unsloth_stand_in import stand_in

__all__ = ["stand_in"]
UNSLOTH = make_recipe("unsloth")


def accepted(**trainer: str) -> Accepted:
    return replace(accepted_run(held_lock(UNSLOTH)), trainer=trainer)


@pytest.mark.parametrize("trainer", [{}, {"trl": "1.15.0"}])
def test_a_training_records_it_only_where_it_is_one_of_its_own(
    trainer: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "base").mkdir()
    write_basis(tmp_path, tmp_path / "base", CPU, trainer)

    basis = json.loads((tmp_path / "basis.json").read_text(encoding="utf-8"))
    assert basis.get(TRAINER, {}) == trainer


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


# What the lock says of processes that trained together; of one it says nothing, so that its bytes stay.
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


# Which results of a run are no repetition of its lock, whatever day they were built.
FINISHED = "2026-01-02T00:00:00+00:00"


def repeated(*, created: str, status: StageStatus = StageStatus.REUSED, **fields: str) -> Any:
    made = {"created": created, "taken_from": "", **fields}
    record = StageRecord(stage="train", status=status, key="k", reason="", seconds=0.0)
    return SimpleNamespace(
        accepted=SimpleNamespace(finished=FINISHED),
        records=(record,),
        artifacts={"train": SimpleNamespace(**made)},
        originals=frozenset(),
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (repeated(created="2026-01-01T00:00:00+00:00"), ("train",)),
        (repeated(created="2026-01-03T00:00:00+00:00"), ()),
        (repeated(created="2026-01-03T00:00:00+00:00", taken_from="s3://team"), ("train",)),
        (repeated(created="2026-01-03T00:00:00+00:00", status=StageStatus.RAN), ()),
    ],
    ids=["before the lock", "after it", "of another machine", "made now"],
)
def test_what_was_not_built_here_after_the_lock_repeats_nothing(
    run: Any, expected: tuple[str, ...]
) -> None:
    assert reused_stages(cast("RepeatedRun", run)) == expected


VERSIONS = {
    "python": "3.13.5",
    "torch": "2",
    "trl": "1",
    "axolotl": "0.21.0",
    "inferna": "1",
    "sacrebleu": "2",
}


def test_tools_that_a_recipe_has_no_use_for_are_left_out() -> None:
    recipe = make_recipe("trl")
    recipe = replace(recipe, export=replace(recipe.export, formats=("safetensors",)))

    assert set(used_versions(recipe, VERSIONS)) == {"python", "torch", "trl"}


def test_tools_that_make_the_model_are_kept() -> None:
    recipe = make_recipe("axolotl")
    recipe = replace(recipe, export=replace(recipe.export, formats=("gguf",)))

    assert set(used_versions(recipe, VERSIONS)) == set(VERSIONS) - {"sacrebleu"}


@pytest.mark.parametrize(
    ("name", "is_folder", "is_read"),
    [
        ("base", True, False),
        ("small.gguf", False, True),
        ("gone.GGUF", None, True),
        ("gone", None, False),
    ],
)
def test_the_reader_of_gguf_files_is_named_where_the_base_model_is_one(
    name: str, is_folder: bool | None, is_read: bool, tmp_path: Path
) -> None:
    if is_folder is not None:
        (tmp_path / name).mkdir() if is_folder else (tmp_path / name).touch()
    recipe = make_recipe("trl")
    recipe = replace(
        recipe,
        base_model=PathRef(path=tmp_path / name, written=name),
        export=replace(recipe.export, formats=("safetensors",)),
    )

    assert ("gguf" in used_versions(recipe, {"python": "3.13.5", "gguf": "0.17"})) is is_read


# Answers in four bytes a row: the same ones are known again, others are recognised where they can be.
FIRST, SECOND = TASK.labels[:2]


def row(number: int, target: str, label: str | None, text: str = "") -> Prediction:
    return Prediction(
        id=f"{number:016x}", target=target, label=label, text=text or label or "?", probability=None
    )


@given(
    st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from([FIRST, SECOND, None])))
)
def test_labels_come_back_whatever_is_answered_now(pairs: list[tuple[str, str | None]]) -> None:
    before = [row(n, target, label) for n, (target, label) in enumerate(pairs)]
    now = [row(n, target, FIRST) for n, (target, _) in enumerate(pairs)]

    found = match_answers(answer_facts(before), now, TASK)

    assert found is not None
    assert found.predictions is not None
    assert [one.label for one in found.predictions] == [one.label for one in before]
    assert found.same == tuple(one.label == FIRST for one in before)


def test_the_order_of_rows_says_nothing() -> None:
    rows = [row(n, FIRST, FIRST if n % 2 else SECOND) for n in range(9)]

    assert answer_facts(rows) == answer_facts(rows[::-1])


def test_a_text_that_cannot_be_guessed_leaves_only_whether_it_is_the_same() -> None:
    task = replace(TASK, kind="generation", labels=())
    before = [row(1, "right", "some words"), row(2, "right", "right")]
    now = [row(1, "right", "other words"), row(2, "right", "right")]

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert (found.same, found.predictions) == ((False, True), None)


def test_likelihoods_come_back_as_32_bit_numbers() -> None:
    task = replace(TASK, kind="text", labels=())
    before = [replace(row(n, "", None), nats=1.1 * n, tokens=3, bytes=9) for n in range(4)]
    now = [replace(one, nats=5.0) for one in before]

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert found.predictions is not None
    assert [one.nats for one in found.predictions] == pytest.approx([one.nats for one in before])


def test_the_rating_of_now_is_not_taken_for_that_of_the_lock() -> None:
    """A model that preferred 60 % where the lock's preferred 95 % had a paired difference of 0 ± 0.01."""
    task = replace(TASK, kind="preference", labels=())
    before = [replace(row(n, "", None), nats=9.0, tokens=3, margin=1.0) for n in range(200)]
    now = [replace(one, margin=1.0 if n < 120 else -1.0) for n, one in enumerate(before)]
    asked = MetricPair(
        metric="preference_accuracy", locked=0.95, found=0.6, task=task, seed=1,
        margin=Margin(value=0.03, origin=""),
    )  # fmt: skip

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert {one.margin for one in found.rows} == {None}
    assert (found.unknown, found.predictions) == (200, None)
    assert not equivalence(asked, now, found.predictions, differing=found.unknown).holds


@pytest.mark.parametrize("entries", ["AAAA", "!", ""])
def test_answers_to_other_rows_are_none(entries: str) -> None:
    rows = [row(1, FIRST, FIRST), row(2, FIRST, FIRST)]
    recorded: AnswerFacts = {**answer_facts(rows), "entries": entries}

    assert match_answers(recorded, rows, TASK) is None
