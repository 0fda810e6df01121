"""Processes below one, as /proc shows them (Linux)."""

import contextlib
from pathlib import Path

PROC = Path("/proc")


def ranks_of(parent: int) -> list[int]:
    """The processes of a training, the first rank first: those of its group that have no child."""
    parents = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    below, found = [parent], list[int]()
    for one in below:
        children = [number for number, of in parents.items() if of == one]
        below += children
        words = (PROC / str(one) / "cmdline").read_bytes()
        if not children and b"engine.process.rank_group" in words:
            found.append(one)
    return sorted(found)


def ancestor(number: int, program: bytes) -> int:
    """The nearest process above one that runs a program of that name."""
    while number > 1:
        words = (PROC / str(number) / "cmdline").read_bytes().split(b"\0")
        if Path(words[0].decode()).name.encode() == program:
            return number
        stat = (PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace")
        number = int(stat.rpartition(")")[2].split()[1])
    raise LookupError(program.decode())


def second_machines_trainer() -> int:
    """A process of the second of two machines that train together, each of which has one."""
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            if b"engine.process.rank_group\x001\x001\x002\x00" in words:
                children = (folder / "task" / folder.name / "children").read_text(encoding="ascii")
                if not children:
                    return int(folder.name)
    raise LookupError("no process of a second machine")
