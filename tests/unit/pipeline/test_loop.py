"""What is forgotten when a run begins."""

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from engine.pipeline import loop
from engine.runtime.scoring.label_search import SCORED
from engine.store import Store


def test_a_run_does_not_count_the_rows_that_one_before_it_has_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[int]()
    nothing: Any = MagicMock()
    monkeypatch.setattr(loop, "restrict_to", nothing)
    monkeypatch.setattr(loop, "_run_all", lambda *_: seen.append(SCORED.total()))
    SCORED[b"{}", False, "bf16", "cpu"] += 300

    loop.run_stages(
        nothing, Store(tmp_path), inputs=nothing, options=loop.RunOptions(), watcher=nothing
    )

    assert seen == [0]
