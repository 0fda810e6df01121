"""How many changes of data a review misses, and how many harmless ones it calls weaker.

    PYTHONPATH=tests python benchmarks/review.py [--seeds 1] [--first 0] [--kinds] [--beside] [--list]

Pairs of versions are drawn by a seed (`tests/support/changed_data.py`, `data_changes.py`, `file_changes.py`). Both
versions of each are divided as a run would, and their judging rows compared: that says what the pair is. Then
`engine.review` is asked. `--kinds` asks of every kind of task, `--beside` puts a harmless edit beside each change.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from support.changed_data import CLASSIFICATION, pairs
from support.changed_kinds import SHAPES
from support.data_changes import HARMLESS, HARMLESS_FOR_ALL, OF_EVERY_KIND, WEAKENINGS
from support.file_changes import MORE_HARMLESS, MORE_WEAKENINGS
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
    parser.add_argument(
        "--kinds", action="store_true", help="every kind of task, not classification alone"
    )
    parser.add_argument("--beside", action="store_true", help="a harmless edit beside each change")
    parser.add_argument("--list", action="store_true", help="name each pair that is judged wrongly")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        for kind in (CLASSIFICATION, *(SHAPES if options.kinds else ())):
            counts += _of_kind(kind, seed, beside=options.beside, shown=options.list)
    print("| what | pairs |\n|---|---|")
    for name in (FOUND, MISSED, STRONGER, QUIET, FALSE_ALARM, LEFT_OUT):
        print(f"| {name} | {counts[name]} |")


def _of_kind(kind: str, seed: int, *, beside: bool, shown: bool) -> Counter[str]:
    """Count what is made of the pairs of one kind and seed."""
    weaker, harmless = {**WEAKENINGS, **MORE_WEAKENINGS}, {**HARMLESS, **MORE_HARMLESS}
    if kind != CLASSIFICATION:
        weaker, harmless = dict(OF_EVERY_KIND), dict(HARMLESS_FOR_ALL)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        judged = JudgedPairs(folder=Path(folder))
        for classes, changes in ((weaker, True), (harmless, False)):
            for pair in pairs(seed, classes, kind=kind, beside=harmless if beside else None):
                found = judged.outcome(pair, changes=changes)
                counts[found] += 1
                if shown and found in WRONG:
                    print(f"{found}: {pair.name} (seed {seed})")
    return counts


if __name__ == "__main__":
    main()
