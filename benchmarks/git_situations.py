"""What the first line of `recipe ci` says in each situation of a real git repository, and what it has to say.

    PYTHONPATH=tests python benchmarks/git_situations.py [--only WORDS]

Each situation (`tests/support/git_situations.py`) is made in a temporary folder with `git`: a recipe, its rows and
perhaps a lock on `main`, then what the work does. `recipe ci --fail-on weaker-gate` is run there. Ends with 1 where
anything else came out than is expected.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from support.git_repository import SETTINGS
from support.git_situations import SITUATIONS


def main() -> None:
    """Run all and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the names")
    options = parser.parse_args()
    os.environ |= SETTINGS
    chosen = [one for one in SITUATIONS if options.only in one.name]
    started, wrong = time.perf_counter(), 0
    print("| situation | expected first line, exit code | got |\n|---|---|---|")
    for one in chosen:
        with tempfile.TemporaryDirectory() as folder:
            got = one.played(Path(folder))
        is_right = got == (one.line, one.code)
        wrong += not is_right
        shown = "the same" if is_right else f"**{got[0]}, {got[1]}**"
        print(f"| {one.name} | {one.line}, {one.code} | {shown} |", flush=True)
    seconds = time.perf_counter() - started
    print(f"\n{len(chosen)} situations, {len(chosen) - wrong} as expected, in {seconds:.0f} s")
    print("again: PYTHONPATH=tests python benchmarks/git_situations.py")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
