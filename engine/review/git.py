"""What a review asks git: commits, what differs between two of them, and files as they were.

Calls the `git` on PATH; files are read through one `git cat-file --batch` that stays open. Nothing is
fetched and nothing in the repository is changed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Self

from engine.errors import EnvironmentProblem, RecipeError

SECONDS: Final = 120
_QUIET: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
"""Takes no lock, asks nothing, speaks English."""
_SETTINGS: Final = ("-c", "core.quotepath=off", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A file that differs between two commits."""

    status: str
    """`A`dded, `M`odified, `D`eleted, `R`enamed, `T`ype changed."""
    path: str
    """From the repository's root; of a file that is gone, where it was."""
    was: str = ""
    """Renamed: the old path."""


@dataclass(slots=True)
class Repository:
    """A git repository with files checked out."""

    root: Path
    """The folder with all of its files; links followed."""
    _reader: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _folders: dict[Path, str | None] = field(default_factory=dict, repr=False)

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """Return the repository that `folder` is in. EnvironmentProblem E730, RecipeError R020."""
        found = _git(("rev-parse", "--show-toplevel"), folder)
        if found.returncode:
            raise RecipeError.one(
                "R020",
                f"`{folder}` is in no git repository",
                hint="without one, compare two files: recipe diff OLD NEW",
            )
        return cls(root=Path(found.stdout.decode().strip()).resolve())

    def __enter__(self) -> Self:
        """Return the repository; leaving ends the process that reads files."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process that reads files."""
        if self._reader is not None:
            self._reader.communicate()
            self._reader = None

    def commit(self, revision: str) -> str:
        """Return the full commit of a revision. RecipeError R021 where this clone has none."""
        found = self._run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if found.returncode == 0:
            return found.stdout.decode().strip()
        shallow = self.is_shallow
        where = "this clone is shallow and does not reach it" if shallow else "no such revision"
        hint = (
            f"git fetch --depth=1 origin {revision}; in GitHub Actions: `fetch-depth: 0` of checkout"
            if shallow
            else f"git fetch origin {revision}, or name another one with --from"
        )
        raise RecipeError.one("R021", f"`{revision}`: {where}", hint=hint)

    def knows(self, revision: str) -> bool:
        """Tell whether this clone has a revision."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self._run(*words).returncode == 0

    @property
    def is_shallow(self) -> bool:
        """Whether the clone was cut off somewhere."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the last commit that both have; None where the clone does not reach it."""
        found = self._run("merge-base", one, other)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def moved(self, old: str, new: str | None) -> tuple[Moved, ...]:
        """Return what differs between two commits, or a commit and the files as they are now."""
        commits = [old] if new is None else [old, new]
        found = self._checked(
            "diff", "--name-status", "-z", "--find-renames", "--no-ext-diff", *commits, "--"
        )
        words = found.decode(errors="surrogateescape").split("\0")[:-1]
        files = list(_moves(words))
        if new is None:
            there = {one.path for one in files}
            files += [
                Moved(status="A", path=path) for path in self.untracked() if path not in there
            ]
        return tuple(files)

    def untracked(self) -> tuple[str, ...]:
        """Return the files that git neither knows nor ignores."""
        found = self._checked("ls-files", "--others", "--exclude-standard", "-z")
        return tuple(found.decode(errors="surrogateescape").split("\0")[:-1])

    def files(self, commit: str | None) -> tuple[str, ...]:
        """Return the files of a commit, or those of the working tree: tracked ones and new ones."""
        if commit is not None:
            found = self._checked("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
            return tuple(found.decode(errors="surrogateescape").split("\0")[:-1])
        found = self._checked("ls-files", "--cached", "--others", "--exclude-standard", "-z")
        listed = found.decode(errors="surrogateescape").split("\0")[:-1]
        return tuple(path for path in dict.fromkeys(listed) if (self.root / path).is_file())

    def ignores(self, path: Path) -> bool:
        """Tell whether git is told to leave a path out."""
        return self._run("check-ignore", "--quiet", "--", str(path)).returncode == 0

    def inside(self, path: Path) -> str | None:
        """Return a path from the root, its folder's links followed; None for one outside."""
        folder = path.parent
        if folder not in self._folders:
            found = Path(os.path.realpath(folder))
            is_inside = found.is_relative_to(self.root)
            self._folders[folder] = found.relative_to(self.root).as_posix() if is_inside else None
        at = self._folders[folder]
        if at is None:
            return None
        return path.name if at == "." else f"{at}/{path.name}"

    def has(self, commit: str, inside: str) -> bool:
        """Tell whether a commit has a file or folder."""
        return self._ask(f"{commit}:{inside}") is not None

    def content(self, commit: str, inside: str) -> bytes:
        """Return the bytes of a file as it was. FileNotFoundError where it was not there."""
        found = self._ask(f"{commit}:{inside}")
        if found is None or found[0] != "blob":
            raise FileNotFoundError(inside)
        return found[1]

    def _ask(self, name: str) -> tuple[str, bytes] | None:
        """Return the type and the bytes of an object, or None."""
        if "\n" in name:
            return None
        stdin, stdout = self._batch()
        stdin.write(name.encode(errors="surrogateescape") + b"\n")
        stdin.flush()
        head = stdout.readline().decode(errors="replace").split()
        if len(head) < 3 or not head[-1].isdigit():  # noqa: PLR2004 - id, type, size
            return None
        content = stdout.read(int(head[-1]))
        stdout.read(1)
        return head[-2], content

    def _batch(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._reader is None:
            self._reader = subprocess.Popen(  # noqa: S603 - git, without a shell
                ["git", *_SETTINGS, "cat-file", "--batch"],  # noqa: S607 - the git on PATH
                cwd=self.root,
                env={**os.environ, **_QUIET},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        if self._reader.stdin is None or self._reader.stdout is None:
            raise AssertionError
        return self._reader.stdin, self._reader.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return _git(words, self.root)

    def _checked(self, *words: str) -> bytes:
        found = self._run(*words)
        if found.returncode:
            said = found.stderr.decode(errors="replace").strip().splitlines()
            message = f"`git {words[0]}` failed: {said[0] if said else found.returncode}"
            raise EnvironmentProblem.one("E731", message)
        return found.stdout


def _moves(words: Sequence[str]) -> list[Moved]:
    found: list[Moved] = []
    left = iter(words)
    for status in left:
        path = next(left)
        if status[0] in "RC":
            new = next(left)
            was = path if status[0] == "R" else ""
            found.append(Moved(status="R" if was else "A", path=new, was=was))
        else:
            found.append(Moved(status=status[0], path=path))
    return found


def _git(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - git, without a shell
            ["git", *_SETTINGS, *words],  # noqa: S607 - the git on PATH
            cwd=folder,
            env={**os.environ, **_QUIET},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise EnvironmentProblem.one(
            "E730", "git is not installed, or not on PATH", hint="install git"
        ) from None
    except subprocess.TimeoutExpired:
        message = f"`git {words[0]}` took more than {SECONDS} s"
        raise EnvironmentProblem.one("E731", message) from None
