import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.paths import ROOT

Modules = list[tuple[str, list[ast.AST]]]


def test_the_layers_hold(root: Path) -> None:
    """The order of `engine.*` in pyproject.toml, and no machine learning in the light half."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout
    assert "kept" in result.stdout


STARTS = {
    *("engine/process/start.py", "engine/process/child.py", "engine/process/launcher.py"),
    "engine/process/rank_group.py",
}
"""The modules that may start a process: everything else goes through the first of them."""
SPAWNS = ("exec", "spawn", "posix_spawn", "popen", "system", "fork", "startfile")


@pytest.fixture(scope="module")
def modules() -> Modules:
    """Every module of the engine, and all nodes of its tree; parsed once."""
    return [
        (path.relative_to(ROOT).as_posix(), [*ast.walk(ast.parse(path.read_bytes()))])
        for path in sorted((ROOT / "engine").rglob("*.py"))
    ]


def _imports(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def _attributes(nodes: Iterable[ast.AST], of: str) -> set[str]:
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == of
    }


def test_programs_that_leave_import_nothing_of_this_package(modules: Modules) -> None:
    leaving = ("engine/runtime/baseline_folder/", "engine/runtime/encoders/pooling.py")
    programs = [(name, nodes) for name, nodes in modules if name.startswith(leaving)]

    assert len(programs) >= 5
    assert {name for name, nodes in programs if "engine" in _imports(nodes)} == set()


def test_processes_are_started_in_one_place(modules: Modules) -> None:
    for name, nodes in modules:
        if name in STARTS:
            continue
        assert not _imports(nodes) & {"subprocess", "multiprocessing", "pty", "pexpect"}, name
        assert not [one for one in _attributes(nodes, "os") if one.startswith(SPAWNS)], name
        assert "executable" not in _attributes(nodes, "sys"), name


def test_this_python_is_only_started_isolated(modules: Modules) -> None:
    for name, nodes in modules:
        for node in nodes:
            if isinstance(node, ast.List | ast.Tuple) and "executable" in _attributes(
                ast.walk(node), "sys"
            ):
                words = {one.value for one in node.elts if isinstance(one, ast.Constant)}
                assert words & {"-I", "-P"}, f"{name}:{node.lineno}"


LOADS = {"from_pretrained": {"trust_remote_code": False, "local_files_only": True}}
LOADS["load_dataset"] = {"trust_remote_code": False}


def test_no_model_is_loaded_with_the_word_on_its_code_left_open(modules: Modules) -> None:
    seen = 0
    for name, nodes in modules:
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = {
                word.arg: word.value.value
                for word in node.keywords
                if isinstance(word.value, ast.Constant)
            }
            for key, value in LOADS.get(called, {}).items():
                seen += 1
                assert given.get(key, "left open") is value, f"{name}:{node.lineno}: {key}"
    assert seen
