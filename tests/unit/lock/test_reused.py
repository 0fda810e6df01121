"""Which results of a run are no repetition of its lock, whatever day they were built."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.evidence import StageRecord, StageStatus
from engine.lock.reproduction import RepeatedRun, reused_stages

FINISHED = "2026-01-02T00:00:00+00:00"


def repeated(*, created: str, status: StageStatus = StageStatus.REUSED, **fields: str) -> Any:
    made = {"created": created, "adopted": "", "taken_from": "", **fields}
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
        (repeated(created="2026-01-03T00:00:00+00:00", adopted=FINISHED), ("train",)),
        (repeated(created="2026-01-03T00:00:00+00:00", status=StageStatus.RAN), ()),
    ],
    ids=["before the lock", "after it", "of another machine", "of others", "made now"],
)
def test_what_was_not_built_here_after_the_lock_repeats_nothing(
    run: Any, expected: tuple[str, ...]
) -> None:
    assert reused_stages(cast("RepeatedRun", run)) == expected
