"""Stages read and follow only stages that stand before them, and the loop holds `AFTER`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.pipeline.loop import _require_passed
from engine.stages import PRODUCTS, STAGES, after_of, load_stage


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_and_follows_only_stages_before_it(name: str) -> None:
    stage = load_stage(name)
    before = STAGES[: STAGES.index(name)]

    assert {PRODUCTS.get(need, need) for need in stage.NEEDS} <= set(before)
    assert set(after_of(name)) <= set(before)


def test_a_stage_is_not_begun_before_what_must_have_passed(tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text('{"status": "fail", "checks": []}', encoding="utf-8")
    gate = SimpleNamespace(file=lambda name: tmp_path / name)
    state = cast("Any", SimpleNamespace(artifacts={}, recipe=None))

    with pytest.raises(AssertionError, match="merge before gate"):
        _require_passed("merge", state)
    state.artifacts["gate"] = gate
    with pytest.raises(AssertionError, match="merge before gate"):
        _require_passed("merge", state)
    verdict.write_text('{"status": "pass", "checks": []}', encoding="utf-8")

    _require_passed("merge", state)
