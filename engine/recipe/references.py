"""A place that a recipe or a command line names, as a value: the hub, a local path, or a file of a package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.text.paths import absolute

_HUB: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[0-9a-f]{40}))?")
_PACKAGE: Final = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)//(?P<file>[^#]+)(#sha256=(?P<sha256>[0-9a-f]{64}))?"
)
FORMS: Final = "owner/name@COMMIT, a path, or package==version//file"


def reference(written: Mapping[str, Any], folder: Path) -> Reference:
    """Return the place of a checked mapping; local paths are resolved against `folder`."""
    if "hub" in written:
        return HubRef(repo=written["hub"], revision=written.get("revision"))
    if "package" in written:
        name, version = written["package"].split("==")
        return PackageRef(
            name=name, version=version, sha256=written.get("sha256"), file=written["file"]
        )
    return PathRef(
        path=absolute(written["path"], folder),
        written=written["path"],
        sha256=written.get("sha256"),
        pattern=written.get("pattern", ""),
    )


def named_model(text: str, folder: Path) -> Reference:
    """Return the model that `text` names; a path is one from `folder`, and comes before the hub.

    RecipeError R010 for a text of no known form.
    """
    path = absolute(text, folder)
    # Not `Path.exists`, which raises for a name that is too long to be one.
    if text.startswith((".", "/", "~")) or os.path.exists(path):  # noqa: PTH110
        return PathRef(path=path, written=text)
    if found := _PACKAGE.fullmatch(text):
        return PackageRef(**found.groupdict())
    if found := _HUB.fullmatch(text):
        return HubRef(repo=found["repo"], revision=found["revision"])
    raise RecipeError.one(
        "R010",
        f"`{text[:200]}` names no model that can be fetched",
        hint=f"name it as {FORMS}; a revision of the hub is the full commit",
    )
