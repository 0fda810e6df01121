"""A Python in which only what a requirements.txt declares can be imported, with what that needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def predict(folder: Path, *words: str, packages: Path) -> subprocess.CompletedProcess[str]:
    """Run the `predict.py` of a folder, which sees the standard library and its own requirements."""
    link_declared(folder / "requirements.txt", packages)
    # -S: no site-packages; -B: the folder stays as it was written.
    command = [sys.executable, "-S", "-B", str(folder / "predict.py"), *words]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, encoding="utf-8", check=False
    )


def link_declared(requirements: Path, packages: Path) -> None:
    """Link the top folders and files of the declared distributions, and of those that they need, into a folder."""
    packages.mkdir(exist_ok=True)
    lines = requirements.read_text(encoding="utf-8").splitlines()
    for name in needed([line for line in lines if line and not line.startswith("#")]):
        found = distribution(name)
        for top in {
            file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "/")
        }:
            place = packages / top
            if not place.exists():
                place.symlink_to(Path(str(found.locate_file(top))))


def needed(lines: list[str]) -> set[str]:
    """Return the installed distributions that requirements ask for, directly or not. A pin that is not met fails."""
    found: dict[str, None] = {}
    waiting = [Requirement(line) for line in lines]
    while waiting:
        one = waiting.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        made = distribution(one.name)
        assert one.specifier.contains(made.version, prereleases=True), one
        if one.name.lower() not in found:
            found[one.name.lower()] = None
            waiting += map(Requirement, _without_extras(made.requires or []))
    return set(found)


def _without_extras(lines: list[str]) -> Iterator[str]:
    return (line for line in lines if "extra ==" not in line)
