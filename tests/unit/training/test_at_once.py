"""Trainings at once: results in the store as one after the other makes them; one that fails ends the others."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.stage import AtOnce, StageContext
from engine.errors import StageError, StoreError
from engine.process.library_settings import INSTRUCTIONS
from engine.process.policies import TOOLS
from engine.store import Store
from engine.training import at_once
from engine.training.at_once import VariantJob, results
from engine.values import replace
from support import at_once_jobs
from support.stage_bench import CPU, Bench, make_bench


class Kept:
    """A progress that keeps what it is kept."""

    def __init__(self) -> None:
        self.updates: list[tuple[int, int, str]] = []
        self.notes: list[str] = []
        self.steps: list[tuple[int, int, dict[str, float], str]] = []

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        self.updates.append((done, total, facts.get("now", "")))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def measured(
        self, step: int, steps: int, numbers: Mapping[str, float], *, of: str = ""
    ) -> None:
        self.steps.append((step, steps, dict(numbers), of))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def context(bench: Bench, tmp_path: Path) -> StageContext:
    """A stage's, with a store of its own, where two may run at once."""
    store = Store(tmp_path / "store")
    return StageContext(
        recipe=bench.recipe,
        device=CPU,
        artifacts=dict(bench.artifacts),
        key="0" * 64,
        inputs={},
        base_model={},
        workdir=tmp_path,
        scratch=store.scratch("0" * 64),
        progress=Kept(),
        cached=store.cached,
        scratch_for=store.scratch_for,
        at_once=AtOnce(most=2, root=store.root, find=store.whole),
    )


def squares(*numbers: int) -> list[VariantJob[int]]:
    return [VariantJob(name=str(one), call=partial(at_once_jobs.square, one)) for one in numbers]


def pids(context: StageContext) -> list[int]:
    folder = context.scratch.parent.parent
    return [int(path.read_text("utf-8")) for path in sorted(folder.glob("by-*"))]


def test_children_make_what_is_missing_and_their_results_come_in_order(
    context: StageContext,
) -> None:
    at_once_jobs.square(1, context)

    found = results(squares(1, 2, 3, 4), context)

    assert found == [1, 4, 9, 16]
    here, *others = pids(context)
    assert here == os.getpid()
    # Two children for three: what one has imported serves its next job.
    assert len({here, *others}) == 3
    kept: Any = context.progress
    assert sorted(kept.notes[1:]) == ["2 is squared", "3 is squared", "4 is squared"]
    assert kept.updates[1] == (0, 3, "2: starts · 3: starts")  # while they import
    assert kept.updates[-1] == (3, 3, "")
    assert any("1/2 steps" in shown for _, _, shown in kept.updates)


def test_what_children_measure_and_remark_is_shown_once(context: StageContext) -> None:
    jobs = [VariantJob(name="measures", call=at_once_jobs.measure), *squares(1)]

    results(jobs, context)

    kept: Any = context.progress
    assert kept.steps == [(1, 2, {"loss": 0.5}, "seed 7")]
    assert sorted(kept.notes) == ["1 is squared", "2 rows were cut"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says where a process may run")
def test_each_child_has_processors_of_its_own_where_there_are_enough(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = sorted(os.sched_getaffinity(0))
    results(squares(1, 2), context)
    folder = context.scratch.parent.parent
    one, two = (json.loads((folder / f"on-{number}").read_text("utf-8")) for number in (1, 2))

    if len(every) > 1:
        assert sorted([*one, *two]) == every
    else:
        assert one == two == every
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 7, 9})
    assert [at_once._processors(number, 2) for number in range(2)] == ["4,9", "7"]
    assert [at_once._processors(number, 4) for number in range(4)] == [""] * 4


@pytest.mark.parametrize(("numbers", "most"), [((5,), 2), ((5, 6), 1)])
def test_one_alone_is_made_by_this_process(
    numbers: tuple[int, ...], most: int, context: StageContext
) -> None:
    assert context.at_once is not None
    alone = replace(context, at_once=replace(context.at_once, most=most))

    results(squares(*numbers), alone)

    assert set(pids(context)) == {os.getpid()}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (at_once_jobs.fail, "B414"),
        (at_once_jobs.die, "X866"),
        (at_once_jobs.fail_unexpectedly, "X866"),
    ],
)
def test_a_failure_is_that_of_the_training(
    call: Callable[[StageContext], int], code: str, context: StageContext
) -> None:
    with pytest.raises(StageError) as caught:
        results([VariantJob(name="bad", call=call), *squares(7)], context)

    (problem,) = caught.value.problems
    assert problem.code == code
    assert (problem.path, problem.hint) == ("method.rank", "lower it") or code == "X866"


def test_children_have_the_tools_and_the_instructions_of_this_process(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (*TOOLS, *INSTRUCTIONS)
    for name in names:
        monkeypatch.setenv(name, f"of {name}")
    monkeypatch.setenv("SOME_API_KEY", "secret")
    jobs = [
        VariantJob(name=name, call=partial(at_once_jobs.see, name))
        for name in (*names, "SOME_API_KEY")
    ]

    assert results(jobs, context) == [*(f"of {name}" for name in names), ""]


def test_what_libraries_leave_in_a_child_goes_with_it(context: StageContext) -> None:
    left, _ = results([VariantJob(name="leaves", call=at_once_jobs.leave), *squares(7)], context)

    assert str(left).startswith(tempfile.gettempdir())
    assert not Path(str(left)).exists()


def test_one_that_the_system_kills_points_to_memory(context: StageContext) -> None:
    with pytest.raises(StageError, match="was killed by SIGKILL") as caught:
        results([VariantJob(name="bad", call=at_once_jobs.die), *squares(7)], context)

    assert "ran out of memory" in str(caught.value.problems[0].hint)


def test_a_damaged_result_is_set_aside_and_stays_an_error_of_the_store(
    context: StageContext,
) -> None:
    at_once_jobs.square(3, context)
    jobs = [VariantJob(name="bad", call=at_once_jobs.meet_damage), *squares(7)]

    with pytest.raises(StoreError, match="E752"):
        results(jobs, context)

    damaged = context.scratch.parent.parent / "damaged"
    assert len([*damaged.iterdir()]) == 1


def test_those_that_are_ended_save_first(context: StageContext) -> None:
    jobs = [
        VariantJob(name="saves", call=partial(at_once_jobs.save_when_asked, 1)),
        VariantJob(name="saves too", call=partial(at_once_jobs.save_when_asked, 2)),
        VariantJob(name="fails", call=at_once_jobs.fail_beside_two_that_save),
    ]
    assert context.at_once is not None
    three = replace(context, at_once=replace(context.at_once, most=3))

    with pytest.raises(StageError, match="B414"):
        results(jobs, three)

    root = context.scratch.parent.parent
    assert sorted(path.name for path in root.glob("saved-*")) == ["saved-1", "saved-2"]
    assert [*(root / "tmp").iterdir()] == []  # ended in order, not in the middle


def test_one_that_fails_ends_the_others(context: StageContext) -> None:
    jobs = [
        VariantJob(name="hangs", call=at_once_jobs.hang),
        VariantJob(name="fails", call=at_once_jobs.fail_beside_one_that_hangs),
    ]

    with pytest.raises(StageError, match="B414"):
        results(jobs, context)

    number = int((context.scratch.parent.parent / "hangs").read_text("utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
