"""The model that a command line names: a path, a hub repository, or a file of a package.

A recipe says the same in keys; the text of those keys is what would adopt it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from engine.errors import RecipeError
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.paths import absolute

_HUB: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[0-9a-f]{40}))?")
_PACKAGE: Final = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)//(?P<file>[^#]+)(#sha256=(?P<sha256>[0-9a-f]{64}))?"
)
FORMS: Final = "owner/name@COMMIT, a path, or package==version//file"


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
