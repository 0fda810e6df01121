"""Preference: chosen and rejected answers, or answers with a thumb. Read and checked, not judged yet."""

from __future__ import annotations

from engine.kinds.kind import AnswerForm, Decoding, Draft, Kind, Turns

KIND = Kind(
    name="preference",
    order=7,
    reads=("task.system", "data.pair"),
    formats=("dpo", "kto"),
    columns_key="pair",
    row_reader="engine.data.kinds.preference",
    turns=Turns.PREFERENCE,
    answer=AnswerForm.TEXT,
    decoding=Decoding.FREE,
    draft=Draft(description="Prefer the answers that people chose."),
)
