"""The command line: one module a verb, each a translation of arguments into one call."""

import os
import sys


def _forget_current_folder() -> None:
    """Import nothing from the folder that somebody stands in: PYTHONPATH may name it by a relative or empty part."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # `site` has made these parts absolute, so they do not look relative any more.
    relative = {os.path.abspath(part) for part in parts if not os.path.isabs(part)}
    if os.environ.get("PYTHONPATH") and relative:
        # A folder that is also named in full was meant.
        kept = {part for part in parts if os.path.isabs(part)}
        sys.path[:] = [part for part in sys.path if part not in relative - kept]
    # An empty part, as after `python -c`, is the current folder too.
    sys.path[:] = [part for part in sys.path if os.path.isabs(part)]


_forget_current_folder()
