"""What a draft works out of its rows, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import main
from engine.drafting.plan import DraftPlan


def labels_read(rows: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Draft from so many rows of thirty labels; return how often their labels were put together."""
    lines = [f"help me with topic {n % 30} and request {n},topic {n % 30}" for n in range(rows)]
    path.write_text("\n".join(["text,intent", *lines]) + "\n", encoding="utf-8")
    calls: list[DraftPlan] = []
    read = DraftPlan.labels

    def counted(plan: DraftPlan) -> list[str]:
        calls.append(plan)
        return read(plan)

    with monkeypatch.context() as patch:
        patch.setattr(DraftPlan, "labels", counted)
        assert main(["init", str(path), "-o", str(path.with_suffix(f".{rows}.yaml"))]) == 0
    return len(calls)


def test_more_rows_do_not_have_the_labels_put_together_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (labels_read(rows, tmp_path / "rows.csv", monkeypatch) for rows in (300, 900))

    assert 0 < many == few
