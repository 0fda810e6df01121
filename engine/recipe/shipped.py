"""The files that travel with the engine, schemas and recipes, from a source checkout or a wheel."""

from __future__ import annotations

from pathlib import Path

from engine.errors import EnvironmentProblem

_PACKAGE = Path(__file__).resolve().parent.parent


def schema_text(name: str) -> str:
    """Return the text of a shipped schema, such as `recipe.schema.json`."""
    return (_folder("schemas") / name).read_text(encoding="utf-8")


def recipes_dir() -> Path:
    """Return the folder of the shipped recipes."""
    return _folder("recipes")


def _folder(name: str) -> Path:
    """Return `_NAME` inside an installed package, else `NAME` beside it in a checkout."""
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise EnvironmentProblem.one(
        "E702",
        f"the installation lacks its `{name}` folder",
        hint="install it again, from a clone of its repository: uv tool install --reinstall .",
    )
