"""Conversations with tools, as rows for a base model whose chat template has no place for tools."""

import json
from pathlib import Path
from typing import Any

from engine.cli.main import main
from engine.drafting.gather import INTRODUCED

TOOL = {"name": "weather", "description": "Look it up.", "parameters": {"type": "object"}}
CALL = {"name": "weather", "arguments": {"city": "Bonn"}}


def drafted(folder: Path, rows: list[dict[str, Any]], *more: str) -> list[dict[str, Any]]:
    """Draft from rows; return those that were written anew, none where they stay as they are."""
    data = folder / "calls.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert main(["init", str(data), "-o", str(folder / "draft.yaml"), *more]) == 0
    written = folder / "draft.rows.jsonl"
    if not written.exists():
        return []
    return [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]


def row(at: int) -> dict[str, Any]:
    call = {
        "id": "c1",
        "type": "function",
        "function": {**CALL, "arguments": json.dumps(CALL["arguments"])},
    }
    return {
        "tools": [{"type": "function", "function": TOOL}],
        "messages": [
            {"role": "user", "content": f"Shall I take an umbrella on day {at} of the journey?"},
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "assistant", "content": f"Yes, take it on day {at}."},
        ],
    }


def test_tools_stand_in_the_texts(tmp_path: Path) -> None:
    first = drafted(tmp_path, [row(at) for at in range(60)])[0]

    system, asked, called, result, answered = first["messages"]
    assert system["content"] == f"{INTRODUCED}\n{json.dumps(TOOL)}"
    assert (asked["role"], answered["content"]) == ("user", "Yes, take it on day 0.")
    assert called == {
        "role": "assistant", "content": f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>", "weight": 0,
    }  # fmt: skip
    assert result == {"role": "user", "content": "<tool_response>\nrain\n</tool_response>"}


def test_rows_stay_as_they_are_for_a_base_model_of_the_users_own(tmp_path: Path) -> None:
    rows = [row(at) for at in range(60)]

    assert drafted(tmp_path, rows, "--base-model", f"owner/model@{'a' * 40}") == []


def test_rows_without_tools_stay_as_they_are(tmp_path: Path) -> None:
    turns = [row(at)["messages"] for at in range(60)]
    rows = [{"messages": [some[0], some[3]], "tools": []} for some in turns]

    assert drafted(tmp_path, rows) == []
