"""Calls that a stranger's files could turn into code: each in the one form that is safe.

    uv run python .ci/boundaries.py        exit code 1, and the places, where one is not

Needs nothing but Python 3.12 or newer. `tests/test_boundaries.py` holds it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {"local_files_only": True, "trust_remote_code": False}
"""What every `from_pretrained` says: left out, a library asks the hub, or asks on stdin whether to run code."""
STARTERS = {
    "engine/process/start.py": "every process but git's",
    "engine/process/launcher.py": "what `start` was asked for",
    "engine/review/git.py": "git, with its settings emptied",
}
"""The files that start processes."""
STARTS = ("subprocess.", "os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "pty.")
PLAIN = (
    "subprocess.CompletedProcess",
    "subprocess.Popen[",
    "subprocess.TimeoutExpired",
    "subprocess.PIPE",
)
LOADS = (
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "dill.load",
    "shelve.open",
)
"""What runs whatever a file says."""
Fault = tuple[int, str]


def interpreters(tree: ast.AST) -> Iterator[Fault]:
    """Yield each Python that is started without -I or -P: it would import modules from the current folder."""
    for node in ast.walk(tree):
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        for number, item in enumerate(items):
            if ast.unparse(item) != "sys.executable":
                continue
            after = items[number + 1] if number + 1 < len(items) else None
            if not (isinstance(after, ast.Constant) and after.value in ("-I", "-P")):
                yield item.lineno, "`sys.executable` without -I or -P"
    listed = sum(
        ast.unparse(item) == "sys.executable"
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple)
        for item in node.elts
    )
    used = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.executable"
    ]
    # Elsewhere than in a list of words nobody can see what follows.
    yield from ((node.lineno, "`sys.executable` outside a list of words") for node in used[listed:])


def loaders(tree: ast.AST) -> Iterator[Fault]:
    """Yield each `from_pretrained` that leaves open whether the hub is asked or code is run."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained")):
            continue
        said = {
            one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)
        }
        missing = [name for name, value in WORDS.items() if said.get(name) is not value]
        if missing:
            yield (
                node.lineno,
                f"`from_pretrained` without {', '.join(f'{one}={WORDS[one]}' for one in missing)}",
            )


def starts(tree: ast.AST) -> Iterator[Fault]:
    """Yield each process that is started."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.startswith(STARTS) and not name.startswith(PLAIN):
                yield node.lineno, f"`{name}` outside {' and '.join(STARTERS)}"


def pickles(tree: ast.AST) -> Iterator[Fault]:
    """Yield each reader of a format that runs code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            said = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if name in LOADS or (name == "torch.load" and said.get("weights_only") != "True"):
                yield node.lineno, f"`{name}` runs what a file says"


CHECKS: tuple[Callable[[ast.AST], Iterator[Fault]], ...] = (interpreters, loaders, starts, pickles)


def faults(root: Path) -> Iterator[str]:
    """Yield every fault in engine/, as FILE:LINE: what."""
    for path in sorted((root / "engine").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for check in CHECKS:
            if check is starts and name in STARTERS:
                continue
            yield from (f"{name}:{line}: {what}" for line, what in sorted(check(tree)))


def main() -> int:
    """Print the faults; 1 where there is one."""
    found = list(faults(ROOT))
    print("\n".join(found) or "every call is in its safe form")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
