"""What `recipe mcp` offers: each tool is a verb with a few of its arguments, called in a process of its own.

An agent gives no consent: options that let a recipe reach out, trust a store or renew a lock are not among them, and
paths stay in the folder that the server works in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.cli.verbs import VERBS, choices_of
from engine.errors import RecipeError

MOST_LETTERS: Final = 400
"""Of one argument."""
TOOLS: Final = {name: verb.tool for name, verb in VERBS.items() if verb.tool is not None}


def schema_of(name: str) -> dict[str, Any]:
    """Return the arguments of a tool as JSON Schema, with the words of the verb's help."""
    tool, properties, required = TOOLS[name], {}, []
    for key, row in _rows(name).items():
        found = {"type": "string", "description": row["help"], "maxLength": MOST_LETTERS}
        choices = tool.get("choices", {}).get(key, row.get("choices"))
        if choices is not None:
            found["enum"] = list(choices_of(choices) if isinstance(choices, str) else choices)
        properties[key] = found
        is_given = not row["names"][0].startswith("-") and row.get("nargs") not in ("?", "*")
        required += [key] if is_given or key in tool.get("required", ()) else []
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def words_of(name: str, given: Mapping[str, Any], *, allow_run: bool) -> list[str]:
    """Return the words of the command line that a call means.

    RecipeError R448 for a tool that is not offered, or arguments that are not its own, are no plain text, would be
    taken for options, or lead out of the current folder.
    """
    tool = TOOLS.get(name)
    if tool is None or ("is_heavy" in tool and not allow_run):
        hint = "start it with --allow-run" if tool is not None else ""
        offered = ", ".join(key for key, one in TOOLS.items() if allow_run or "is_heavy" not in one)
        raise _refused(f"there is no tool `{name[:MOST_LETTERS]}`: {offered}", hint)
    if odd := sorted(set(given) - set(tool["takes"])):
        raise _refused(f"`{name}` has no argument `{odd[0][:MOST_LETTERS]}`")
    schema, words = schema_of(name), [name]
    for key, row in _rows(name).items():
        value = given.get(key)
        if value is None and key not in schema["required"]:
            continue
        if not isinstance(value, str) or not value or len(value) > MOST_LETTERS:
            raise _refused(f"`{key}` is to be a text of 1 to {MOST_LETTERS} characters")
        if value.startswith("-") or not value.isprintable():
            raise _refused(f"`{key}` begins with a dash, or holds what cannot be printed")
        choices = schema["properties"][key].get("enum", ())
        if choices and value not in choices:
            raise _refused(f"`{key}` is to be one of {', '.join(choices)}")
        if key in tool.get("paths", ()) and not _is_inside(value):
            raise _refused(
                f"`{key}` leads out of the folder that the server works in",
                "start `recipe mcp` in the project's folder",
            )
        first = row["names"][0]
        words += [first, value] if first.startswith("-") else [value]
    return [*words, *tool.get("fixed", ())]


def _rows(name: str) -> dict[str, Mapping[str, Any]]:
    """Return the verb's row of each argument of the tool."""
    rows = {
        row.get("dest") or row["names"][-1].lstrip("-").replace("-", "_"): row
        for row in VERBS[name].arguments
    }
    return {key: rows[named] for key, named in TOOLS[name]["takes"].items()}


def _is_inside(path: str) -> bool:
    here = os.path.realpath(Path.cwd())
    try:
        return Path(os.path.realpath(path)).is_relative_to(here)
    except (OSError, ValueError):
        return False


def _refused(message: str, hint: str = "") -> RecipeError:
    return RecipeError.one("R448", message, hint=hint or None)
