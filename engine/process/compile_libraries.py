"""Compile a package and import modules, so that Python keeps their bytecode: `... MARKER PACKAGE NAME ...`.

PACKAGE is a folder. MARKER is an empty file that is made at the end.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import sys
from pathlib import Path


def main() -> None:
    """Do it; a module that is not installed, or fails, is for the run to report."""
    marker, package, *names = sys.argv[1:]
    compileall.compile_dir(package, quiet=2)
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    Path(marker).touch()


if __name__ == "__main__":
    main()
