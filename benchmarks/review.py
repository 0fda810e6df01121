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

from engine.evidence.review import Gate, Review
from engine.review.file_tree import Disk
from engine.review.review import review
from engine.review.version import load_side
from engine.store import Store
from support.changed_data import Pair, judges, pairs
from support.data_changes import HARMLESS, WEAKENINGS
from support.recipe_pairs import CPU


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="name each pair that is judged wrongly")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        for classes, changes in ((WEAKENINGS, True), (HARMLESS, False)):
            for pair in pairs(seed, classes):
                found = _judged(pair, changes=changes)
                counts[found] += 1
                if options.list and found in ("missed", "false alarm", "called stronger"):
                    print(f"{found}: {pair.name} (seed {seed})")
    print("| what | pairs |\n|---|---|")
    for name in ("found", "missed", "called stronger", "quiet", "false alarm", "left out"):
        print(f"| {name} | {counts[name]} |")


def _judged(pair: Pair, *, changes: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        old, new = pair.write(place)
        before, after = judges(old), judges(new)
        if before is None or after is None or (before != after) is not changes:
            return "left out"
        result = _reviewed(old, new, place)
    if not changes:
        return "false alarm" if result.gate is Gate.WEAKER else "quiet"
    if result.gate is Gate.WEAKER:
        return "found"
    return "called stronger" if result.gate is Gate.STRONGER else "missed"


def _reviewed(old: Path, new: Path, place: Path) -> Review:
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    return review(*sides, store=Store(place / "store"), device=CPU)


if __name__ == "__main__":
    main()
