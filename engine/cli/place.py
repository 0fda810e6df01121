"""Where the store is, and the arguments that several verbs share."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.recipe.model import Recipe
from engine.trust.access import NOTHING
from engine.trust.allowed import Allowed, from_options

if TYPE_CHECKING:
    from engine.compute.profile import ComputeProfile

STORE = ".recipe"


def add_flag(parser: argparse._ActionsContainer, name: str, does: str) -> None:
    """An option without a value."""
    parser.add_argument(name, action="store_true", help=does)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Whether a long verb is shown while it happens."""
    parser.add_argument("-q", "--quiet", action="store_true", help="show the final result only")


def add_compute(parser: argparse.ArgumentParser) -> None:
    """Where it runs: a profile of the machine's owner."""
    parser.add_argument(
        "--on",
        metavar="NAME",
        help="run on this profile of compute.yaml (default: one process, here)",
    )
    parser.add_argument(
        "--compute",
        metavar="FILE",
        type=Path,
        help="the file with profiles (default: slm-recipe/compute.yaml in your config folder)",
    )


def compute_of(options: argparse.Namespace, *, runs: bool = False) -> ComputeProfile:
    """The profile that the options of `add_compute` name; `runs`: to run it. RecipeError R104 to R434, R452."""
    from engine.compute.profile import profile_of, refuse_unready

    profile = profile_of(options.on, options.compute)
    if runs:
        refuse_unready(profile)
    return profile


def add_recipe(parser: argparse.ArgumentParser, *, reads_stdin: bool = False) -> None:
    """The recipe a verb works on; `-` is standard input for a verb that writes nothing beside it."""
    more = ", or - for standard input" if reads_stdin else ""
    parser.add_argument(
        "recipe", metavar="RECIPE", type=Path if reads_stdin else _file,
        help=f"the recipe file (YAML){more}",
    )  # fmt: skip


def _file(text: str) -> Path:
    if text == "-":
        raise argparse.ArgumentTypeError(
            "a file is needed here: results and a lock are kept beside it"
        )
    return Path(text)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Where results are kept."""
    parser.add_argument(
        "--store", metavar="FOLDER", help="where results are kept (default: .recipe)"
    )


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """How the result is written."""
    parser.add_argument("--format", choices=formats, default=formats[0], help="how to write it")


def add_shared(parser: argparse.ArgumentParser, *, allow: bool = False) -> None:
    """How the result is written, where results are kept, and with `allow` what the recipe may reach."""
    add_format(parser, "text", "json")
    add_store(parser)
    if allow:
        add_allow(parser)


def add_allow(parser: argparse.ArgumentParser) -> None:
    """What the recipe may reach beyond its project, for this call."""
    group = parser.add_argument_group("beyond the recipe's project, for this call")
    for what, value, does in (
        ("read", "PATH", "read this file, or what is in this folder"),
        ("host", "HOST", "send rows to this host, or HOST:PORT"),
        ("key", "NAME=HOST", "send the key in this environment variable to this host"),
    ):
        repeated = f"{does}; may be repeated"
        group.add_argument(
            f"--allow-{what}", metavar=value, action="append", default=[], help=repeated
        )


def allowed(options: argparse.Namespace) -> Allowed:
    """What the options of `add_allow` say. RecipeError R312."""
    return from_options(options.allow_read, options.allow_host, options.allow_key)


def read(path: Path, given: Allowed = NOTHING) -> tuple[Recipe, tuple[Problem, ...]]:
    """The recipe and its warnings; RecipeError with every problem when it is wrong."""
    from engine.recipe import load_recipe  # a verb that needs no recipe skips jsonschema

    return load_recipe(path, given=given)


def recipe_name(given: str) -> str:
    """The name of the recipe that a file holds; anything else as it is."""
    # `os.path` returns False for a name that is too long, where `Path` raises.
    is_recipe = Path(given).suffix in (".yaml", ".yml") and os.path.isfile(given)
    return read(Path(given))[0].name if is_recipe else given


def read_recipe(options: argparse.Namespace) -> tuple[Recipe, tuple[Problem, ...]]:
    """The recipe that the options name, with what they allow it; as `read`."""
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
    from engine.process.library_settings import taken_out_problem
    from engine.store.foreign_results import foreign_problem  # only verbs that build on results

    root = store_of(options)
    found = (foreign_problem(root), taken_out_problem())
    return root, (*warnings, *(one for one in found if one is not None))


def log_file(root: Path, verb: str) -> Path:
    """Where libraries and tools write while a verb runs."""
    # With the process in the name, since two may start within the same second.
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return root / "logs" / f"{verb}-{stamp}-{os.getpid()}.log"
