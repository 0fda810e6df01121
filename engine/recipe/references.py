"""A place that a recipe names, as a value: the hub, a local path, or a file of a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.paths import absolute


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
