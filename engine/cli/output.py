"""Writing to the two streams: results to stdout, problems and progress to stderr."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from engine.cli.terminal import write, write_error
from engine.errors import Problem, RecipeError, StoreError
from engine.files.reading import read_bytes
from engine.files.writing import write_output
from engine.render.problems import problems_json, render_problems
from engine.render.progress import has_colour
from engine.render.styled_text import cleaned

_HEAD: Final = 400
"""Among so many bytes at its begin a file that a verb may write anew says whose it is."""
_LARGEST: Final = 16 << 20


def show(text: str) -> None:
    """A result, ended by one line break; what a terminal would obey stands there as an escape."""
    shown = cleaned(text, colour=sys.stdout is not None and has_colour(sys.stdout))
    write(_encodable(shown).rstrip("\n") + "\n")


def _encodable(text: str) -> str:
    """Return the text with what the stream's encoding lacks written as escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def show_result(options: Namespace, value: Any, text: str) -> None:
    """A result in the form that was asked for: JSON data, or text for people."""
    if options.format == "json":
        show_json(value)
    else:
        show(text)


def show_json(value: Any) -> None:
    """A result for a program: one object."""
    show(json.dumps(value, indent=2, ensure_ascii=False))


def write_file(path: Path, text: str) -> None:
    """Write the file that a user named. StoreError E755 where it cannot be: a link, a device, no room, no right."""
    try:
        write_output(path, text)
    except OSError as error:
        raise StoreError.one(
            "E755",
            f"cannot write `{path}`: {(error.strerror or str(error)).lower()}",
            hint="name a plain file, in a folder that is no link, with -o",
        ) from error


def refuse_taken(path: Path, *, mark: str = "", hint: str = "choose another place with -o") -> None:
    """RecipeError R005 where something stands at `path`, were it a link that leads nowhere.

    With `mark`, which the verb's own files hold in their first lines, those and empty files may be replaced.
    """
    if not os.path.lexists(path) or (mark and _is_own(path, mark.encode())):
        return
    raise RecipeError.one("R005", f"`{path}` is already there", hint=hint)


def _is_own(path: Path, mark: bytes) -> bool:
    try:
        content = read_bytes(path, limit=_LARGEST, follow=False)
    except (OSError, ValueError):
        return False
    return not content or mark in content[:_HEAD]


def show_problems(problems: Sequence[Problem], *, as_json: bool = False, source: str = "") -> None:
    """Problems for a person on stderr, or for a program on stdout."""
    if as_json:
        show_json(problems_json(problems, source=source))
    elif problems:
        colour = has_colour(sys.stderr)
        write_error(render_problems(problems, colour=colour, source=source).rstrip("\n") + "\n")
