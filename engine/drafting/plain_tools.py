"""Conversations with tools as plain turns, for a base model whose chat template has no place for tools (D394)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from engine.data.examples.chat_formats import TURNS
from engine.data.examples.template import RejectedError
from engine.data.examples.turns import CALLS, ROLES, Turn, read_tools, read_turns, with_system
from engine.drafting.gather import Gathered, Values, written
from engine.drafting.layout_table import SPLIT

LOOKED_AT: Final = 2000
WHY: Final = (
    "the base model's chat template has no place for tools: they stand in the system message, calls and results in"
    " the turns, as Hermes writes them"
)
INTRODUCED: Final = (
    "Functions you can call, by name and arguments as JSON in <tool_call></tool_call>:"
)
"""What stands before the definitions: https://github.com/NousResearch/Hermes-Function-Calling."""


def with_plain_tools(found: Gathered, rows_file: Path) -> Gathered:
    """Return the rows with their tools as text, to be written to `rows_file`; as they are where none has tools."""
    if not any(map(_has_tools, found.profile.kept[:LOOKED_AT])):
        return found
    given = found.split_rows()
    rows = [new for into, row in given for new in _plain(row, into)]
    left = len(given) - len(rows)
    why = f"{WHY}; {left:,} rows are no conversations and are left out" if left else WHY
    return written(rows, rows_file, (*found.whys, why), found.notes)


def _has_tools(row: Values) -> bool:
    turns = next((row[name] for name in TURNS if isinstance(row.get(name), list)), None)
    if turns is None or "chosen" in row:
        return False
    # A list that is empty, or says so as text, defines none.
    return row.get("tools") not in (None, "", [], "[]") or any(map(_calls, turns))


def _calls(turn: object) -> bool:
    if not isinstance(turn, Mapping):
        return False
    speaker = turn.get("role", turn.get("from"))
    is_tool = speaker == CALLS or ROLES.get(str(speaker)) == "tool"
    return is_tool or any(turn.get(key) for key in ("tool_calls", "function_call"))


def _plain(row: Values, into: str) -> Iterator[dict[str, Any]]:
    with suppress(RejectedError):
        name = next(name for name in TURNS if name in row)
        turns = with_system(read_turns(row[name]), row.get("system"))
        split = row.get(SPLIT) or into
        yield {
            **({SPLIT: split} if split else {}),
            "messages": list(_turns(turns, read_tools(row.get("tools")))),
        }


def _turns(turns: Iterable[Turn], tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    defined = "\n".join(_json(tool["function"]) for tool in tools)
    defined = defined and f"{INTRODUCED}\n{defined}"
    first, *rest = turns
    is_system = first["role"] == "system"
    if system := "\n\n".join(filter(None, (first["content"] if is_system else "", defined))):
        yield {"role": "system", "content": system}
    results: list[str] = []
    for turn in (*rest,) if is_system else (first, *rest):
        if turn["role"] == "tool":
            results.append(f"<tool_response>\n{turn['content']}\n</tool_response>")
            continue
        # What several tools gave is one turn: what the model reads before it goes on.
        if results:
            yield {"role": "user", "content": "\n".join(results)}
            results = []
        calls = [
            f"<tool_call>\n{_json(call['function'])}\n</tool_call>"
            for call in turn.get("tool_calls", ())
        ]
        weight = {} if turn.get("trained", True) else {"weight": 0}
        yield {
            "role": turn["role"], "content": "\n".join(filter(None, (turn["content"], *calls))), **weight
        }  # fmt: skip
    if results:
        yield {"role": "user", "content": "\n".join(results)}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
