"""A Python in which only what a requirements.txt declares can be imported, with what that needs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

from filelock import FileLock
from packaging.requirements import Requirement

from support.paths import ROOT

CACHE = ROOT / ".pytest_cache"


def predict(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the `predict.py` of a folder, which sees the standard library and its own requirements."""
    packages = linked(folder / "requirements.txt")
    # -S: no site-packages. No bytecode is written, so that the folder stays as it was; that of torch and transformers,
    # half a minute to compile, is found through the links, since the runs of the tests have imported them.
    command = [sys.executable, "-S", str(folder / "predict.py"), *words]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, encoding="utf-8", check=False
    )


def import_skops() -> None:
    """Import it as the command does, before transformers, which is there when tests have run a recipe.

    It looks names up in every module that is imported by then, and modules that import when they are asked would
    import all that they have: some 25,000 modules in half a minute.
    """
    lazy = {name: one for name, one in sys.modules.items() if "Lazy" in type(one).__name__}
    for name in lazy:
        del sys.modules[name]
    try:
        import_module("skops.io")
    finally:
        sys.modules.update(lazy)


def linked(requirements: Path) -> Path:
    """Return a folder with links to the declared distributions and those that they need, made once for these."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    names = sorted(needed([line for line in lines if line and not line.startswith("#")]))
    found = [distribution(name) for name in names]
    versions = [f"{one.name}=={one.version} {one.locate_file('')}" for one in found]
    folder = CACHE / "declared" / sha256("\n".join(versions).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        for one in found:
            for top in {file.parts[0] for file in one.files or ()} - {"..", "/"}:
                place = folder / top
                if not place.exists():
                    place.symlink_to(Path(str(one.locate_file(top))))
    return folder


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
