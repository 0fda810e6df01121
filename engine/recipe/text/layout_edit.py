"""Edits of single values in a recipe's text, and writing of files that belong to the user."""

import errno
import os
import stat
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from engine.errors import EnvironmentProblem, RecipeError
from engine.files.reading import require_regular
from engine.files.writing import create_bytes, replacing, top_of
from engine.recipe.text.compose import KeyPath, dotted, spelled_in_flow
from engine.recipe.text.paths import as_typed
from engine.recipe.text.source import LINE_BREAK, SourceText, parse_source
from engine.values import Value


def rewrite(path: Path, text: str) -> None:
    """Replace the text of a file; permissions and links in the project stay. EnvironmentProblem E711 on failure."""
    try:
        target, top = _within_project(path)
        mode = stat.S_IMODE(require_regular(target).st_mode)
        with replacing(target, below=top, mode=mode) as stream:
            stream.write(text.encode("utf-8"))
    except OSError as error:
        hint = "the file is as it was; mend the permissions of its folder"
        raise _problem(path, error, hint) from error


def _within_project(path: Path) -> tuple[Path, Path | None]:
    """Return the file that a path leads to, and the folder that it may not leave; OSError ELOOP if it does."""
    whole = Path(os.path.abspath(path))  # as written: resolving would follow the links
    top = top_of(whole)
    start = top or whole.parent
    if whole.parent.resolve() == whole.parent and not whole.is_symlink():
        return whole, top
    real, target = start.resolve(), whole.resolve()
    is_inside = target.is_relative_to(real)
    # Hidden names are outside of a project: a file in `.git` may be run.
    if not is_inside or any(part.startswith(".") for part in target.relative_to(real).parts):
        raise OSError(errno.ELOOP, "a link leads out of the project", str(path))
    return target, real


def create(path: Path, content: bytes) -> None:
    whole = Path(os.path.abspath(path))  # as written: resolving would follow the links
    try:
        top = top_of(whole)
        if top is None:
            whole.parent.mkdir(parents=True, exist_ok=True)
        if not create_bytes(whole, content, below=top):
            raise FileExistsError(errno.EEXIST, "it is already there")
    except OSError as error:
        raise _problem(path, error, "choose another place") from error


def _problem(path: Path, error: OSError, hint: str) -> EnvironmentProblem:
    if error.errno == errno.ELOOP:
        hint = "name the file itself, or run the command in the folder that the link leads to"
    reason = (error.strerror or str(error)).lower()
    return EnvironmentProblem.one("E711", f"cannot write `{path}`: {reason}", hint=hint)


class Edit(Value):
    at: KeyPath
    value: str
    """A digest or a version."""
    below: str
    """The key of the same mapping after which a new key is written."""


def with_edits(text: str, source: SourceText, edits: tuple[Edit, ...]) -> str:
    # From the end to the start: offsets before an edit stay right.
    replaced = sorted((_replacement(text, source, edit) for edit in edits), reverse=True)
    for start, end, new in replaced:
        text = text[:start] + new + text[end:]
    # An unexpected layout is found here, before anything is written.
    expected: Any = deepcopy(source.value)
    for edit in edits:
        *holder, name = edit.at
        reduce(getitem, holder, expected)[name] = edit.value
    if parse_source(text.encode(), source.path).value != expected:
        first = edits[0]
        raise RecipeError.one(
            "R127",
            "this is written in a way that cannot be edited in place",
            path=dotted(first.at),
            place=source.place(first.at[:-1], key=True),
            hint=f"recipe fmt {as_typed(source.file)}, and try again",
        )
    return text


def _replacement(text: str, source: SourceText, edit: Edit) -> tuple[int, int, str]:
    starts = [0, *(line_break.end() for line_break in LINE_BREAK.finditer(text))]
    if (span := source.values.get(edit.at)) is not None:
        start = starts[span.line - 1] + span.column - 1
        return start, start + span.width, spelled_in_flow(edit.value)
    *holder, name = edit.at
    anchor, key = source.values[(*holder, edit.below)], source.keys[(*holder, edit.below)]
    end = starts[anchor.line - 1] + anchor.column - 1 + anchor.width
    if text[end:].lstrip()[:1] in (",", "}"):  # a mapping in braces
        return end, end, f", {name}: {spelled_in_flow(edit.value)}"
    ending = LINE_BREAK.search(text, starts[anchor.line - 1])
    after = ending.end() if ending else len(text)
    line_break = ending[0] if ending else "\n"
    new = f"{' ' * (key.column - 1)}{name}: {spelled_in_flow(edit.value)}"
    return after, after, f"{new}{line_break}" if ending else f"{line_break}{new}"
