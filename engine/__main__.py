"""`python -m engine` is `recipe`."""

import os
import sys

# `python -m` puts the current folder first: nothing but this package is imported from there.
if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 - nothing is imported yet
    del sys.path[0]

from engine.cli.main import main

sys.exit(main())
