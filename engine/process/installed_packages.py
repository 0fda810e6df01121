"""Which distribution brings which package, read quickly: transformers and trl both ask for all of them when imported.

The standard library looks for every file of every distribution on the disk, 45,000 with all extras, for 0.8 s each time
(`python -c "import timeit, importlib.metadata as m; print(timeit.timeit(m.packages_distributions, number=1))"`). Here
the lists of files are read, no file is looked for, and once a process: 0.1 s. Standard library only.
"""

from __future__ import annotations

import csv
import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata


def read_quickly() -> None:
    """Have `importlib.metadata.packages_distributions` answer from here; of use before transformers is imported."""
    metadata.packages_distributions = packages_distributions


@cache
def packages_distributions() -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for distribution in metadata.distributions():
        for package in _packages(distribution):
            found[package].append(distribution.metadata["Name"])
    return dict(found)


def _packages(distribution: metadata.Distribution) -> Iterable[str]:
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return declared
    record = distribution.read_text("RECORD")
    rows = csv.reader((record or "").splitlines())
    # Distributions of other installers have no record; the standard library knows their lists.
    files = [row[0] for row in rows if row] if record else map(str, distribution.files or ())
    return {name for name in map(_top_level, files) if "." not in name}


def _top_level(file: str) -> str:
    folder, slash, _ = file.partition("/")
    return folder if slash else inspect.getmodulename(file) or file
