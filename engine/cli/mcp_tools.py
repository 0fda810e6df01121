"""What `recipe mcp` offers: each tool is a verb with a few of its arguments, called in a process of its own.

An agent gives no consent: options that let a recipe reach out, trust a store or renew a lock are not among them, and
paths stay in the folder that the server works in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from engine.errors import RecipeError
from engine.kinds import KINDS
from engine.stages import STAGES

MOST_LETTERS: Final = 400
"""Of one argument."""
Words = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolArgument:
    """One argument of a tool."""

    description: str
    is_required: bool = False
    is_path: bool = False
    """A file or folder, which must lie in the server's folder."""
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """Return it as JSON Schema."""
        found: dict[str, Any] = {"type": "string", "description": self.description}
        found |= {"maxLength": MOST_LETTERS}
        return {**found, "enum": list(self.choices)} if self.choices else found


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbTool:
    """A verb as an agent may call it."""

    description: str
    arguments: Mapping[str, ToolArgument]
    words: Callable[[Mapping[str, str]], Words]
    """The words of the command line, without `recipe`."""
    is_heavy: bool = False
    """It takes minutes to hours; offered with `--allow-run` only."""
    writes: bool = False
    """It writes a file that the call names; never over one that is there."""

    def schema(self) -> dict[str, Any]:
        """Return its arguments as JSON Schema."""
        return {
            "type": "object",
            "properties": {name: one.schema() for name, one in self.arguments.items()},
            "required": [name for name, one in self.arguments.items() if one.is_required],
            "additionalProperties": False,
        }


_RECIPE: Final = ToolArgument(description="the recipe file", is_required=True, is_path=True)
_JSON: Final = ("--format", "json")


def _of_recipe(verb: str, *more: str) -> Callable[[Mapping[str, str]], Words]:
    return lambda given: [verb, given["recipe"], *more, *_JSON]


def _report(given: Mapping[str, str]) -> Words:
    run = [given["run"]] if given.get("run") else []
    return ["report", *run, "--format", given.get("format", "markdown")]


def _diff(given: Mapping[str, str]) -> Words:
    new = [given["new"]] if given.get("new") else []
    since = ["--from", given["since"]] if given.get("since") else []
    return ["diff", given["old"], *new, *since, *_JSON]


def _init(given: Mapping[str, str]) -> Words:
    output = ["-o", given["output"]] if given.get("output") else []
    named = [
        word
        for key in ("kind", "text", "label")
        if given.get(key)
        for word in (f"--{key}", given[key])
    ]
    return ["init", given["data"], *output, *named]


def _predict(given: Mapping[str, str]) -> Words:
    return ["predict", given["model"], given["rows"], "-o", given["output"]]


def _run(given: Mapping[str, str]) -> Words:
    until = ["--until", given["until"]] if given.get("until") else []
    return ["run", given["recipe"], *until, "--quiet", *_JSON]


def _optional(verb: str, name: str) -> Callable[[Mapping[str, str]], Words]:
    return lambda given: [verb, *([given[name]] if given.get(name) else [])]


TOOLS: Final[Mapping[str, VerbTool]] = MappingProxyType(
    {
        "validate": VerbTool(
            description="Check a recipe: every problem with its code, place and hint.",
            arguments={"recipe": _RECIPE},
            words=_of_recipe("validate"),
        ),
        "plan": VerbTool(
            description="What a run of the recipe would do: stages, what is reused, steps, power of the holdout.",
            arguments={"recipe": _RECIPE},
            words=_of_recipe("plan"),
        ),
        "data": VerbTool(
            description="The recipe's rows without training: sources, findings, splits, some rows as they read.",
            arguments={"recipe": _RECIPE},
            words=_of_recipe("data", "--no-tokens"),
        ),
        "explain": VerbTool(
            description="What an error code means and how to mend it; `skill` for the whole way from a data file to a"
            " model; without a code the list of all.",
            arguments={"code": ToolArgument(description="such as R104, or skill")},
            words=_optional("explain", "code"),
        ),
        "schema": VerbTool(
            description="Explain one key of the recipe language; without a key the whole JSON schema.",
            arguments={"key": ToolArgument(description="such as acceptance.metrics")},
            words=_optional("schema", "key"),
        ),
        "report": VerbTool(
            description="The report of a finished run: verdict, checks with intervals, baselines, data, files.",
            arguments={
                "run": ToolArgument(
                    description="a recipe's name, RECIPE/RUN, or a run folder; default: the newest of all",
                    is_path=True,
                ),
                "format": ToolArgument(description="how", choices=("markdown", "json", "text")),
            },
            words=_report,
        ),
        "diff": VerbTool(
            description="What a change of a recipe means for its evidence: the gate first. Two files, or `since`.",
            arguments={
                "old": ToolArgument(description="a recipe", is_required=True, is_path=True),
                "new": ToolArgument(description="the other recipe", is_path=True),
                "since": ToolArgument(description="a revision of git to compare `old` with"),
            },
            words=_diff,
        ),
        "init": VerbTool(
            description="Draft a recipe from a data file: kind, columns, splits, thresholds; each line is a guess.",
            arguments={
                "data": replace(_RECIPE, description="a file of rows, or a folder"),
                "output": ToolArgument(description="the recipe to write", is_path=True),
                "kind": ToolArgument(description="kind of task", choices=tuple(KINDS)),
                "text": ToolArgument(description="column of the text"),
                "label": ToolArgument(description="column of the label or the answer"),
            },
            words=_init,
            writes=True,
        ),
        "predict": VerbTool(
            description="Label a file of rows with an exported model; each row with its answer and probability.",
            arguments={
                "model": replace(_RECIPE, description="a recipe's name, run folder or GGUF file"),
                "rows": replace(_RECIPE, description="the rows"),
                "output": replace(_RECIPE, description="to write: .jsonl, .csv, .tsv or .parquet"),
            },
            words=_predict,
            is_heavy=True,
        ),
        "run": VerbTool(
            description="Do the whole job: data, baselines, training, gate, merge, quantize, verify, report. Takes"
            " minutes to hours; the same call continues one that was cut off.",
            arguments={
                "recipe": _RECIPE,
                "until": ToolArgument(description="stop after this stage", choices=tuple(STAGES)),
            },
            words=_run,
            is_heavy=True,
        ),
    }
)


def words_of(name: str, given: Mapping[str, Any], *, allow_run: bool) -> list[str]:
    """Return the words of the command line that a call means.

    RecipeError R448 for a tool that is not offered, or arguments that are not its own, are no plain text, would be
    taken for options, or lead out of the current folder.
    """
    tool = TOOLS.get(name)
    if tool is None or (tool.is_heavy and not allow_run):
        hint = "start it with --allow-run" if tool is not None else ""
        offered = ", ".join(one for one in TOOLS if allow_run or not TOOLS[one].is_heavy)
        raise _refused(f"there is no tool `{name[:MOST_LETTERS]}`: {offered}", hint)
    if odd := sorted(set(given) - set(tool.arguments)):
        raise _refused(f"`{name}` has no argument `{odd[0][:MOST_LETTERS]}`")
    for key, argument in tool.arguments.items():
        _require_plain(key, argument, given.get(key))
    return list(tool.words(given))


def _require_plain(key: str, argument: ToolArgument, value: Any) -> None:
    if value is None and not argument.is_required:
        return
    if not isinstance(value, str) or not value or len(value) > MOST_LETTERS:
        raise _refused(f"`{key}` is to be a text of 1 to {MOST_LETTERS} characters")
    if value.startswith("-") or not value.isprintable():
        raise _refused(f"`{key}` begins with a dash, or holds what cannot be printed")
    if argument.choices and value not in argument.choices:
        raise _refused(f"`{key}` is to be one of {', '.join(argument.choices)}")
    if argument.is_path and not _is_inside(value):
        raise _refused(
            f"`{key}` leads out of the folder that the server works in",
            "start `recipe mcp` in the project's folder",
        )


def _is_inside(path: str) -> bool:
    here = os.path.realpath(Path.cwd())
    try:
        return Path(os.path.realpath(path)).is_relative_to(here)
    except (OSError, ValueError):
        return False


def _refused(message: str, hint: str = "") -> RecipeError:
    return RecipeError.one("R448", message, hint=hint or None)
