"""Calls that a stranger's files could turn into code: each in the one form that is safe.

    uv run python .ci/boundaries.py        exit code 1, and the places, where one is not

Needs nothing but Python 3.12 or newer. `tests/test_boundaries.py` holds it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {"local_files_only": True, "trust_remote_code": False}
"""What every `from_pretrained` says: left out, a library asks the hub, or asks on stdin whether to run code."""
STARTERS = {
    "engine/process/start.py": "every process",
    "engine/process/launcher.py": "what `start` was asked for",
}
"""The files that start processes."""
STARTS = ("subprocess.", "os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "pty.")
PLAIN = ("subprocess.CompletedProcess", "subprocess.TimeoutExpired")
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
OF_ITS_OWN = {
    "engine/training/at_once.py": "its order, through a pipe of the process that started it",
}
"""The files that may read such a format, and what they read: nothing that anybody else has written."""
HINTS = ("sys.executable", ".from_pretrained", *STARTS, *LOADS, "torch.load")
"""Without any of these words a file has nothing to be looked at."""
Fault = tuple[int, str]


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` for a name or an attribute of one; the last part alone behind anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else f".{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def interpreters(tree: ast.AST) -> Iterator[Fault]:
    """Yield each Python that is started without -I or -P: it would import modules from the current folder."""
    safe = set()
    for node in ast.walk(tree):
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        for item, after in pairwise(items):
            if isinstance(after, ast.Constant) and after.value in ("-I", "-P"):
                safe.add(id(item))
    for node in ast.walk(tree):
        # Elsewhere than in a list of words nobody can see what follows.
        if (
            isinstance(node, ast.Attribute)
            and id(node) not in safe
            and dotted(node) == "sys.executable"
        ):
            yield node.lineno, "`sys.executable` that is not followed by -I or -P"


def loaders(tree: ast.AST) -> Iterator[Fault]:
    """Yield each `from_pretrained` that leaves open whether the hub is asked or code is run."""
    for node in calls(tree):
        if not dotted(node.func).endswith(".from_pretrained"):
            continue
        stated = {
            one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)
        }
        missing = [
            f"{name}={value}" for name, value in WORDS.items() if stated.get(name) is not value
        ]
        if missing:
            yield node.lineno, f"`from_pretrained` without {', '.join(missing)}"


def starts(tree: ast.AST) -> Iterator[Fault]:
    """Yield each process that is started."""
    for node in calls(tree):
        name = dotted(node.func)
        if name.startswith(STARTS) and name not in PLAIN:
            yield node.lineno, f"`{name}` outside {' and '.join(STARTERS)}"


def pickles(tree: ast.AST) -> Iterator[Fault]:
    """Yield each reader of a format that runs code."""
    for node in calls(tree):
        name = dotted(node.func)
        stated = {
            one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)
        }
        if name in LOADS or (name == "torch.load" and stated.get("weights_only") is not True):
            yield node.lineno, f"`{name}` runs what a file says"


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


CHECKS: tuple[Callable[[ast.AST], Iterator[Fault]], ...] = (interpreters, loaders, starts, pickles)


def faults(root: Path) -> Iterator[str]:
    """Yield every fault in engine/, as FILE:LINE: what."""
    for path in sorted((root / "engine").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        # Most files have none of them, and need not be parsed.
        if not any(word in text for word in HINTS):
            continue
        tree = ast.parse(text)
        for check in CHECKS:
            if (check is starts and name in STARTERS) or (check is pickles and name in OF_ITS_OWN):
                continue
            yield from (f"{name}:{line}: {what}" for line, what in sorted(check(tree)))


def main() -> int:
    """Print the faults; 1 where there is one."""
    found = list(faults(ROOT))
    print("\n".join(found) or "every call is in its safe form")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
