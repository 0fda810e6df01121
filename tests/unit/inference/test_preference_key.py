"""Which rows the base model was asked: the rejected answer and the thumb are part of it."""

from typing import Any

import pytest

from engine.data.examples.example import Example, content_id
from engine.inference.preference import rows_digest
from engine.values import replace

ROW = Example(
    id=content_id("question", "good"),
    origin="rows.jsonl:1",
    input="question",
    target="good",
    payload={"rejected": [{"role": "assistant", "content": "bad"}], "desirable": True},
)


@pytest.mark.parametrize(
    "changes", [{"rejected": [{"role": "assistant", "content": "worse"}]}, {"desirable": False}]
)
def test_another_rejected_answer_is_asked_anew(changes: dict[str, Any]) -> None:
    """The likelihood of the answer that stood there before was taken for its own."""
    other = replace(ROW, payload={**ROW.payload, **changes})

    assert other.id == ROW.id
    assert rows_digest([other]) != rows_digest([ROW])
    assert rows_digest([replace(ROW, origin="moved.jsonl:7")]) == rows_digest([ROW])
