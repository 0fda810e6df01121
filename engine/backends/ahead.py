"""A training process that is started before its rows are compiled, so that its libraries are imported by then.

It has the rights that it would be started with later, and nothing else: its launch folder is made under another name
and gets its own once that is known. It waits for a line on its standard input. Where anything turns out otherwise than
it was started for, a new process is started as if there had been none.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from engine.backends.launch_folder import CONFIG
from engine.files import leases
from engine.process import start as processes
from engine.process.confine import Rights
from engine.values import dataclass

TIGHTER: Final = 0.95
"""Share of its limits that a process may have: what the rows add is not known before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a training process is started with, but for its folders."""

    command: processes.Command
    variables: Mapping[str, str]
    rights: Rights

    def serves(self, other: Asked) -> bool:
        """Tell whether a process that was started so can do what the other one asks for, with no more rights."""
        own, limits, most = self.rights, self.rights.limits, other.rights.limits
        known: dict[str, Any] = {"read": (), "write": (), "limits": {}}
        return (
            self.command == other.command
            and dict(self.variables) == dict(other.variables)
            and replace(own, **known) == replace(other.rights, **known)
            and set(own.read) <= set(other.rights.read)
            and limits.keys() == most.keys()
            and all(TIGHTER * most[name] <= limits[name] <= most[name] for name in most)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A process that waits for a line."""

    asked: Asked
    child: processes.Child
    folder: Path
    """In which it works: empty so far."""
    launch: Path
    """The launch folder, under another name."""

    def go_on(self) -> None:
        """Tell it to begin; one that has ended meanwhile is found out by whoever follows it."""
        with contextlib.suppress(OSError):
            self.child.send("go\n")
        self.child.close_input()

    def take_place(self, launch: Path) -> bool:
        """Give its launch folder the name of one in which no training has begun. False where that cannot be."""
        if (launch / CONFIG).exists() or self.child.has_ended():
            return False
        # In the same folder, and removed by the next run if this one is killed here.
        before = self.launch.with_name(f"{self.launch.name}.before")
        with contextlib.suppress(OSError):
            launch.mkdir(parents=True, exist_ok=True)
            # The mark of whose folder it is.
            shutil.copytree(launch, self.launch, symlinks=True, dirs_exist_ok=True)
            self.launch.chmod(launch.stat().st_mode & 0o777)
            launch.rename(before)
            try:
                self.launch.rename(launch)
            except OSError:
                before.rename(launch)
                return False
            shutil.rmtree(before, ignore_errors=True)
            return True
        return False


class Ahead:
    """The process of a run that is started before it is needed; ended with this context."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stack = contextlib.ExitStack()
        self._waiting: Waiting | None = None
        self._is_used = False

    def start(self, asked: Asked, *, parent: Path, log: str) -> None:
        """Start a process, once; nothing where that is not possible.

        `parent` is where launch folders are, `log` the name of the log in one.
        """
        if self._is_used:
            return
        self._is_used = True
        with contextlib.suppress(OSError), contextlib.ExitStack() as made:
            launch = made.enter_context(leases.temporary_folder(parent))
            folder = made.enter_context(processes.working_folder())
            stream = made.enter_context((launch / log).open("ab"))
            rights = replace(asked.rights, write=(*asked.rights.write, str(launch.resolve())))
            child = processes.start(
                asked.command,
                folder=folder,
                variables=asked.variables,
                out=stream,
                errors=processes.STDOUT,
                given=processes.PIPE,
                rights=rights,
            )
            made.enter_context(child)
            self._waiting = Waiting(asked=asked, child=child, folder=folder, launch=launch)
            self._stack.push(made.pop_all())

    def take(self, asked: Asked, launch: Path) -> Waiting | None:
        """Return the process that waits, with its launch folder in place; None where there is none of that kind."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return None
        if waiting.asked.serves(asked) and waiting.take_place(launch):
            return waiting
        self.close()
        return None

    def close(self) -> None:
        """End what was not needed."""
        self._waiting = None
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
