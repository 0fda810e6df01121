"""Values of Parquet that JSON does not have, in the calls and tools of a conversation."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from engine.data.examples.template import RejectedError
from engine.data.examples.turns import read_tools, read_turns

ODD: tuple[Any, ...] = (dt.datetime(2020, 1, 1), b"\xff", Decimal("1.5"))  # noqa: DTZ001 - as Parquet has it


@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_value_that_json_does_not_have_is_a_malformed_row(value: Any) -> None:
    call = {"function": {"name": "f", "arguments": {"x": [value]}}}

    with pytest.raises(RejectedError, match="turn 1 has a tool call with a value that JSON does"):
        read_turns([{"role": "assistant", "tool_calls": [call]}])
    with pytest.raises(RejectedError, match="has tools with a value that JSON does not have"):
        read_tools([{"name": "f", "x": value}])


def test_a_part_of_an_odd_type_is_named_in_short() -> None:
    with pytest.raises(RejectedError) as caught:
        read_turns([{"role": "user", "content": [{"type": "x" * 100_000}]}])

    assert len(str(caught.value)) < 300
