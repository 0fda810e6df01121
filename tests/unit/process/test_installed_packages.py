"""Which distribution brings which package: as the standard library says, without a look at every file."""

import subprocess
import sys
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import engine.runtime  # noqa: F401 - what it does to the process is tested
from engine.process.library_settings import packages_distributions

COMPARED = """
from importlib import metadata
from engine.process.library_settings import packages_distributions

def in_order(found):
    return {package: sorted(names) for package, names in found.items()}

assert in_order(packages_distributions()) == in_order(metadata.packages_distributions())
"""


@pytest.mark.thorough
def test_every_installed_package_is_found_as_by_the_standard_library(root: Path) -> None:
    # A process of its own: in this one the standard library's function may be ours already.
    subprocess.run([sys.executable, "-c", COMPARED], cwd=root, check=True)


def test_libraries_that_ask_get_the_quick_answer() -> None:
    assert metadata.packages_distributions is packages_distributions


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"RECORD": "one/__init__.py,,\ntwo.py,,\nmade-1.0.dist-info/RECORD,,\n"}, {"one", "two"}),
        ({"RECORD": '"one/a, b.py",,\n../../bin/tool,,\n'}, {"one"}),
        ({"RECORD": f"three{EXTENSION_SUFFIXES[0]},,\n"}, {"three"}),
        ({"top_level.txt": "declared\n", "RECORD": "one/__init__.py,,\n"}, {"declared"}),
        ({}, set()),
    ],
)
def test_packages_come_from_what_a_distribution_declares_or_lists(
    files: dict[str, str], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made-1.0.dist-info"
    folder.mkdir()
    for name, text in {"METADATA": "Name: made\nVersion: 1.0\n", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    found = packages_distributions.__wrapped__()

    assert {package for package, names in found.items() if "made" in names} == expected
