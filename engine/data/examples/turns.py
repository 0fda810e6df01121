"""Turns of a conversation in one form, whatever form the file has: OpenAI's, ShareGPT's and similar ones.

A turn is a dictionary of `role` (system, user, assistant, tool) and `content` (text), with
`tool_calls`, `tool_call_id`, `name`, `reasoning_content` and `trained: false` where the file says
so. Texts stand exactly as they are: `{{name}}` in them is text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.template import malformed
from engine.data.reading.row import excerpt
from engine.files.reading import parse_json
from engine.recipe.prompt import read_object

Turn = dict[str, Any]

ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
"""Names of the speakers in known shapes, and the role each one has."""
CALLS: Final = "function_call"
"""ShareGPT's speaker whose text is a tool call, or a list of them, as JSON."""
_KEPT: Final = ("name", "tool_call_id", "reasoning_content")
_WEIGHTS: Final = ("weight", "loss_weight", "train")
"""Keys that say with 0 or false that a turn is not learned from."""


def read_turns(
    items: object, *, keys: tuple[str, str] | None = None, roles: Mapping[str, str] = ROLES
) -> list[Turn]:
    """Return the turns of a list (or of a single one); RejectedError for what is none.

    `keys` are those of the speaker and of the text; None: `role` and `content`, or `from` and
    `value`. A speaker that `roles` does not name is an error, never a guess.
    """
    if isinstance(items, Mapping):
        items = [items]
    if not isinstance(items, Sequence) or isinstance(items, str) or not items:
        raise malformed("has no list of turns")
    return [_turn(item, number, keys, roles) for number, item in enumerate(items, start=1)]


def _turn(
    item: object, number: int, keys: tuple[str, str] | None, roles: Mapping[str, str]
) -> Turn:
    if not isinstance(item, Mapping):
        raise malformed(f"turn {number} is not an object")
    role_key, content_key = keys or (("from", "value") if "from" in item else ("role", "content"))
    speaker = item.get(role_key)
    if not isinstance(speaker, str) or speaker not in roles:
        known = ", ".join(dict.fromkeys(roles))
        raise malformed(f"turn {number} is by `{excerpt(str(speaker))}`, which is none of {known}")
    text, calls = _content(item.get(content_key), number)
    if speaker == CALLS:
        text, calls = "", _parsed_calls(text, number)
    # OpenAI's keys: `tool_calls`, or `function_call` as it was before.
    for key in ("tool_calls", "function_call"):
        calls += _calls(item.get(key) or [], number)
    turn: Turn = {"role": roles[speaker], "content": text}
    if calls:
        turn["tool_calls"] = calls
    elif item.get(content_key) is None:
        raise malformed(f"turn {number} has no text")
    turn |= {key: item[key] for key in _KEPT if isinstance(item.get(key), str)}
    if turn["role"] == "assistant" and any(_is_nothing(item.get(key)) for key in _WEIGHTS):
        turn["trained"] = False
    return turn


def _is_nothing(weight: object) -> bool:
    return isinstance(weight, bool | int | float) and not weight


def _content(content: object, number: int) -> tuple[str, list[dict[str, Any]]]:
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, Sequence):
        raise malformed(f"turn {number} has a text that is a {type(content).__name__}")
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = (part.get("text") or part.get("value") or "") if kind else ""
        if kind == "text" and isinstance(text, str):
            texts.append(text)
        elif kind == "tool_call" and isinstance(text, str):
            calls += _parsed_calls(text, number)
        else:
            shown = excerpt(str(kind))
            raise malformed(f"turn {number} has a part of type `{shown}`; only texts can be read")
    return "".join(texts), calls


def _parsed_calls(text: str, number: int) -> list[dict[str, Any]]:
    return _calls(_json(text, f"turn {number} has a tool call that is not JSON"), number)


def _calls(found: object, number: int) -> list[dict[str, Any]]:
    calls = [found] if isinstance(found, Mapping) else found
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise malformed(f"turn {number} has tool calls that are no list")
    return [_call(call, number) for call in calls]


def _call(call: object, number: int) -> dict[str, Any]:
    """Return `{type, id, function: {name, arguments}}`, with the arguments as an object."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not name:
        raise malformed(f"turn {number} has a tool call without a name")
    given = function.get("arguments", {})
    arguments = read_object(given or "{}") if isinstance(given, str) else given
    if not isinstance(arguments, Mapping):
        raise malformed(f"turn {number} calls `{excerpt(str(name))}` with no object of arguments")
    _require_json([name, arguments], f"turn {number} has a tool call")
    identity = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {**identity, "type": "function", "function": {"name": name, "arguments": {**arguments}}}


def _require_json(value: object, what: str) -> None:
    """RejectedError for values of Parquet that JSON does not have, such as dates."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise malformed(f"{what} with a value that JSON does not have: {error}") from error


def _json(text: str, fault: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        raise malformed(fault) from None


def read_tools(found: object) -> list[dict[str, Any]]:
    """Return tool definitions as `{type: function, function: …}`; empty for none."""
    if found is None or (isinstance(found, str) and not found.strip()):
        return []
    tools = _json(found, "has tools that are not JSON") if isinstance(found, str) else found
    tools = [tools] if isinstance(tools, Mapping) else tools
    if not isinstance(tools, Sequence) or not all(isinstance(tool, Mapping) for tool in tools):
        raise malformed("has tools that are no list of objects")
    _require_json(tools, "has tools")
    return [
        dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)}
        for tool in tools
    ]


def with_system(turns: list[Turn], system: object) -> list[Turn]:
    if system is None or (isinstance(system, str) and not system.strip()):
        return turns
    if not isinstance(system, str):
        raise malformed(f"has a system message that is a {type(system).__name__}")
    # Which of the two was meant cannot be known, and a guess would be trained on.
    if any(turn["role"] == "system" for turn in turns):
        raise malformed("has a system message in its column and another among its turns")
    return [{"role": "system", "content": system}, *turns]


def turn_text(turn: Mapping[str, Any]) -> str:
    calls = turn.get("tool_calls")
    called = json.dumps(calls, ensure_ascii=False, separators=(",", ":")) if calls else ""
    return "\n".join(text for text in (turn["content"], called) if text)


def turn_texts(turns: Sequence[Mapping[str, Any]]) -> str:
    """Return the texts of turns, as one text, to find rows that repeat each other by it."""
    return "\n\n".join(turn_text(turn) for turn in turns if turn["role"] != "system")


def lacks_text(turns: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        not turn_text(turn).strip() for turn in turns if turn["role"] in ("user", "assistant")
    )


def split_answer(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Return (what was asked, the last answer); RejectedError when there is not one of each."""
    if not turns or turns[-1]["role"] != "assistant":
        raise malformed("does not end with a turn of the assistant")
    if not any(turn["role"] == "user" for turn in turns[:-1]):
        raise malformed("has no turn of the user before the answer")
    return list(turns[:-1]), [turns[-1]]
