"""The verbs as one table, `verbs.json`: group, purpose, help, arguments, what does it, and what an agent may call.

The parser, the help texts, the reference page (`docs/generate.py`) and the tools of `recipe mcp` come from it. Each
verb is a function of its name (`try_`, `import_` and `compile_` for three) in a module of `engine.cli`.
"""

import argparse
import importlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.files.reading import parse_json
from engine.values import Value

MOST_LETTERS: Final = 400
"""Of one argument."""


def schema_of(name: str) -> dict[str, Any]:
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


_TABLE = parse_json(Path(__file__).with_suffix(".json").read_bytes())
_ONE_OF = "one of"
"""A group of which one at most is given."""


class Verb(Value, kw_only=False):
    name: str
    group: str
    purpose: str
    about: str
    """Paragraphs of its help."""
    module: str
    """Of `engine.cli`."""
    arguments: Sequence[Mapping[str, Any]]
    """`names`, `help`, `group`, and what argparse takes besides; `type` and `choices` may name what is below."""
    tool: Mapping[str, Any] | None = None
    """What an agent may call, with the arguments of the tool, each with the name of the verb's: an agent gives no
    consent, so options that let a recipe reach out, trust a store or renew a lock are not among them."""

    def function(self) -> Callable[[argparse.Namespace], int | None]:
        name = f"{self.name}_" if self.name in ("compile", "import", "try") else self.name
        found: Callable[[argparse.Namespace], int | None] = getattr(
            importlib.import_module(f"engine.cli.{self.module}"), name
        )
        return found


def declare(parser: argparse.ArgumentParser, rows: Sequence[Mapping[str, Any]]) -> None:
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for row in rows:
        group = row.get("group", "")
        if group not in groups and group == _ONE_OF:
            groups[group] = parser.add_mutually_exclusive_group()
        elif group not in groups:
            groups[group] = parser.add_argument_group(group)
        groups[group].add_argument(*row["names"], **_options_of(row))


def _options_of(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: one for name, one in row.items() if name not in ("names", "group")}
    if found.pop("flag", False):
        found["action"] = "store_true"
    if found.pop("repeated", False):
        found |= {"action": "append", "default": []}
    if "type" in found:
        name, *bounds = found["type"].split()
        found["type"] = whole(int(bounds[0]), float(bounds[1])) if bounds else _TYPES[name]
    if isinstance(found.get("choices"), str):
        found["choices"] = choices_of(found["choices"])
    return found


def choices_of(name: str) -> tuple[str, ...]:
    # What light verbs have no argument of is not imported for them.
    if name == "stages":
        from engine.stages import STAGES

        return tuple(STAGES)
    if name == "kinds":
        from engine.kinds import KINDS

        return tuple(KINDS)
    from engine.recipe.text.paths import FORMATS

    return ("auto", *(one for one in FORMATS if one != "text"))


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Return what reads a whole number from `least` to `most`."""
    bound = f"from {least} to {most:,.0f}" if most < math.inf else f"{least} or more"

    def read(text: str) -> int:
        # more digits than any number that is meant; beyond Python's own limit `int` raises in words of its own
        number = int(text) if text.isdecimal() and len(text) <= 12 else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a whole number, {bound}, not `{text}`")
        return number

    return read


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"seconds above 0, not `{text}`")
    return value


def probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a number from 0 to 1, not `{text}`")
    return value


def utf8(text: str) -> str:
    """Refuse what was no text on the command line: its bytes come as half surrogates, which no file takes."""
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise argparse.ArgumentTypeError("is not UTF-8")
    return text


def file(text: str) -> Path:
    """Refuse standard input, for a verb that writes next to the recipe."""
    if text == "-":
        raise argparse.ArgumentTypeError(
            "a file is needed here: results and a lock are kept beside it"
        )
    return Path(text)


_TYPES: Final[Mapping[str, Callable[[str], Any]]] = {
    "file": file,
    "path": Path,
    "probability": probability,
    "seconds": seconds,
    "utf8": utf8,
}


def shared(name: str) -> list[Mapping[str, Any]]:
    return list(_TABLE["shared"][name])


def _verb(name: str, row: Mapping[str, Any]) -> Verb:
    arguments: list[Mapping[str, Any]] = []
    for one in row["arguments"]:
        arguments += shared(one) if isinstance(one, str) else [one]
    about = row["about"] if isinstance(row["about"], str) else "\n\n".join(row["about"])
    return Verb(
        name, row["group"], row["purpose"], about, row["module"], arguments, row.get("tool")
    )


VERBS: Final = {name: _verb(name, row) for name, row in _TABLE["verbs"].items()}
TOOLS: Final = {name: verb.tool for name, verb in VERBS.items() if verb.tool is not None}
