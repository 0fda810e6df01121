"""How many changes of data a review misses, and how many harmless ones it calls weaker.

    PYTHONPATH=tests python benchmarks/review.py [--seeds 1] [--first 0] [--list]

Pairs of versions are drawn by a seed (`tests/support/changed_data.py`, `data_changes.py`). Both versions of each are
divided as a run would, and their judging rows compared: that says what the pair is. Then `engine.review` is asked.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from support.changed_data import pairs
from support.data_changes import HARMLESS, WEAKENINGS
from support.judged_pairs import (
    FALSE_ALARM,
    FOUND,
    LEFT_OUT,
    MISSED,
    QUIET,
    STRONGER,
    WRONG,
    JudgedPairs,
)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="name each pair that is judged wrongly")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            judged = JudgedPairs(folder=Path(folder))
            for classes, changes in ((WEAKENINGS, True), (HARMLESS, False)):
                for pair in pairs(seed, classes):
                    found = judged.outcome(pair, changes=changes)
                    counts[found] += 1
                    if options.list and found in WRONG:
                        print(f"{found}: {pair.name} (seed {seed})")
    print("| what | pairs |\n|---|---|")
    for name in (FOUND, MISSED, STRONGER, QUIET, FALSE_ALARM, LEFT_OUT):
        print(f"| {name} | {counts[name]} |")


if __name__ == "__main__":
    main()
