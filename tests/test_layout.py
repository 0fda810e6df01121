"""Where tests stand: what CONTRIBUTING says of the folders of tests, checked."""

import ast
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT, TESTS

UNIT = TESTS / "unit"
FOLDERS = sorted(path for path in UNIT.rglob("*") if path.is_dir() and path.name != "__pycache__")


def name_of(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def names(path: Path) -> set[str]:
    """The packages of engine that a test names, itself or in the helpers that it imports."""
    text = path.read_text(encoding="utf-8")
    helpers = re.findall(
        r"^from support\.(\w+) import|^from support import (\w+)", text, re.MULTILINE
    )
    for pair in helpers:
        text += (TESTS / "support" / f"{''.join(pair)}.py").read_text(encoding="utf-8")
    return set(re.findall(r"\bengine[./](\w+)", text)) | set(
        re.findall(r"^from engine import (\w+)", text, re.MULTILINE)
    )


def test_a_folder_of_unit_tests_is_a_package_of_engine() -> None:
    packages = {folder: ROOT / "engine" / folder.relative_to(UNIT) for folder in FOLDERS}

    assert {
        name_of(folder) for folder, package in packages.items() if not package.is_dir()
    } == set()


def test_a_unit_test_tests_the_package_that_its_folder_names() -> None:
    packages = {file: file.relative_to(UNIT).parts[0] for file in UNIT.rglob("*/test_*.py")}

    assert packages
    assert {name_of(one) for one, package in packages.items() if package not in names(one)} == set()


def test_what_is_no_test_stands_in_support() -> None:
    here = {path for path in TESTS.rglob("*.py") if path.name not in ("conftest.py", "__init__.py")}
    helpers = {path for path in here if not path.name.startswith("test_")}

    assert {name_of(path) for path in helpers if path.parent.name != "support"} == set()


def test_no_link_is_tracked_which_would_lead_somewhere_on_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []


def patched(path: Path) -> Iterator[str]:
    """What a test puts something in the place of, by its whole name."""
    text = path.read_text(encoding="utf-8")
    for one in ast.walk(ast.parse(text)) if re.search(r'setattr\(\s*"engine', text) else ():
        match one:
            case ast.Call(
                func=ast.Attribute(attr="setattr"), args=[ast.Constant(value=str(name)), *_]
            ) if name.startswith("engine."):
                yield name


def test_what_a_test_replaces_is_there() -> None:
    # Where it is not, tests fail that CI does not run.
    gone = list[str]()
    for path in sorted(TESTS.rglob("*.py")):
        for name in patched(path):
            try:
                pkgutil.resolve_name(name)
            except AttributeError:
                gone.append(f"{name_of(path)}: {name}")

    assert gone == []
