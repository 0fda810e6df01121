"""Writing to the two streams: results to stdout, problems and progress to stderr."""

import argparse
import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.cli.terminal import write, write_error
from engine.compute.profile import ComputeProfile, profile_of, refuse_unready
from engine.errors import Problem, RecipeError, StoreError
from engine.files.reading import read_bytes
from engine.files.writing import write_output
from engine.process.library_settings import taken_out_problem
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.render.problems import problems_json, render_problems
from engine.render.progress_display import has_colour
from engine.render.styled_text import cleaned
from engine.trust.access import NOTHING
from engine.trust.allowed import Allowed, from_options

STORE = ".recipe"


def compute_of(options: argparse.Namespace, *, runs: bool = False) -> ComputeProfile:
    """The profile that the options of `` name; `runs`: to run it. RecipeError R104 to R434, R452."""
    profile = profile_of(options.on, options.compute)
    if runs:
        refuse_unready(profile)
    return profile


def allowed(options: argparse.Namespace) -> Allowed:
    return from_options(options.allow_read, options.allow_host, options.allow_key)


def read(path: Path, given: Allowed = NOTHING) -> tuple[Recipe, tuple[Problem, ...]]:
    return load_recipe(path, given=given)


def recipe_name(given: str) -> str:
    """The name of the recipe that a file holds; anything else as it is."""
    # `os.path` returns False for a name that is too long, where `Path` raises.
    is_recipe = Path(given).suffix in (".yaml", ".yml") and os.path.isfile(given)
    return read(Path(given))[0].name if is_recipe else given


def read_recipe(options: argparse.Namespace) -> tuple[Recipe, tuple[Problem, ...]]:
    return read(options.recipe, allowed(options))


def store_of(options: argparse.Namespace) -> Path:
    """The store's folder: `--store`, or `.recipe` in the current folder.

    StoreError: E753, E754 it is a link that nobody named, or open to others.
    """
    from engine.store.root import checked_root  # only verbs that have a store

    return checked_root(Path(options.store or STORE), is_named=bool(options.store))


def store_and_warnings(
    options: argparse.Namespace, warnings: tuple[Problem, ...]
) -> tuple[Path, tuple[Problem, ...]]:
    """The same, and the warnings with those of what was not made here, and of variables that no library gets."""
    from engine.store.root import foreign_problem  # only verbs that build on results

    root = store_of(options)
    found = (foreign_problem(root), taken_out_problem())
    return root, (*warnings, *(one for one in found if one is not None))


def log_file(root: Path, verb: str) -> Path:
    # With the process in the name, since two may start within the same second.
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return root / "logs" / f"{verb}-{stamp}-{os.getpid()}.log"


_HEAD: Final = 400
"""Among so many bytes at its begin a file that a verb may write anew says whose it is."""
_LARGEST: Final = 16 << 20


def show(text: str) -> None:
    """A result, ended by one line break; what a terminal would obey stands there as an escape."""
    shown = cleaned(text, colour=sys.stdout is not None and has_colour(sys.stdout))
    write(_encodable(shown).rstrip("\n") + "\n")


def _encodable(text: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def show_result(options: Namespace, value: Any, text: str) -> None:
    if options.format == "json":
        show_json(value)
    else:
        show(text)


def show_json(value: Any) -> None:
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
    if as_json:
        show_json(problems_json(problems, source=source))
    elif problems:
        colour = has_colour(sys.stderr)
        write_error(render_problems(problems, colour=colour, source=source).rstrip("\n") + "\n")
