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


def compute_of(options: argparse.Namespace, *, runs: bool = False) -> ComputeProfile:
    """The profile that the options of `` name; `runs`: to run it. RecipeError R104 to R434, R452."""
    from engine.compute.profile import profile_of, refuse_unready

    profile = profile_of(options.on, options.compute)
    if runs:
        refuse_unready(profile)
    return profile


def allowed(options: argparse.Namespace) -> Allowed:
    """What the options of `` say. RecipeError R312."""
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
    from engine.store.root import foreign_problem  # only verbs that build on results

    root = store_of(options)
    found = (foreign_problem(root), taken_out_problem())
    return root, (*warnings, *(one for one in found if one is not None))


def log_file(root: Path, verb: str) -> Path:
    """Where libraries and tools write while a verb runs."""
    # With the process in the name, since two may start within the same second.
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return root / "logs" / f"{verb}-{stamp}-{os.getpid()}.log"
