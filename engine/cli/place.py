"""Where the store is, and the arguments that several verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.errors import Problem
from engine.recipe.model import Recipe

STORE = ".recipe"


def store_root(option: str | None) -> Path:
    """The store's folder: `--store`, or `.recipe` in the current folder."""
    return Path(option) if option else Path(STORE)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """The recipe a verb works on."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="the recipe file (YAML)")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Where results are kept."""
    parser.add_argument(
        "--store", metavar="FOLDER", help="where results are kept (default: .recipe)"
    )


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """How the result is written."""
    parser.add_argument("--format", choices=formats, default=formats[0], help="how to write it")


def read(path: Path) -> tuple[Recipe, tuple[Problem, ...]]:
    """The recipe and its warnings; RecipeError with every problem when it is wrong."""
    from engine.recipe import load_recipe  # noqa: PLC0415 - a verb that needs no recipe skips jsonschema

    return load_recipe(path)
