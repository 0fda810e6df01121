"""The command line: one module a verb, each a translation of arguments into one call."""

from __future__ import annotations

import os
import sys


def _forget_current_folder() -> None:
    """Import nothing from the folder that somebody stands in: PYTHONPATH may name it by a relative or empty part."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    relative = {os.path.abspath(part) for part in parts if not os.path.isabs(part)}  # texts
    if os.environ.get("PYTHONPATH") and relative:
        kept = {part for part in parts if os.path.isabs(part)}  # texts
        sys.path[:] = [part for part in sys.path if part not in relative - kept]
    sys.path[:] = [part for part in sys.path if os.path.isabs(part)]  # texts


_forget_current_folder()
