"""How a path in a recipe is read."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(written: str, folder: Path) -> Path:
    """Return `written`, from `folder` unless absolute, without `..`; links stay as they are."""
    return Path(os.path.normpath(folder / written))
