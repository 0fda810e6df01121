"""A user in whose home a stranger's folder lies, what a verb does there, and what is wrong with it.

What a verb opens, connects to and starts is seen by an audit hook of the interpreter, so it holds for libraries too.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from engine.cli.main import main
from support.forked_verbs import RAW
from support.outside_cases import ROWS, SECRET
from support.project import Outcome

KEY: Final = "sk-live-0123456789abcdef"
"""Of a provider, in the user's environment."""
HIDDEN: Final = ("hunter2", KEY)
"""What no verb may show."""
CODE: Final = re.compile(r"\b[A-Z]\d{3}\b")
MINE: Final = "user"
"""The folder below the home that holds the engine's own settings and state."""
CLONE: Final = "clone"


@dataclass(slots=True)
class Seen:
    """What was done while it was looked at."""

    opened: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Hosts that were looked up or connected to."""
    started: set[str] = field(default_factory=set)


_watching: list[Seen] = []


def _note(event: str, given: tuple[Any, ...]) -> None:
    # A hook cannot be taken out again, so it does nothing where nobody looks.
    if not _watching:
        return
    seen = _watching[-1]
    if event == "open" and isinstance(given[0], str | bytes):
        seen.opened.add(os.path.realpath(os.fsdecode(given[0])))
    elif event == "socket.connect" and isinstance(given[1], tuple):
        seen.asked.add(str(given[1][0]))
    elif event == "socket.getaddrinfo":
        seen.asked.add(str(given[0]))
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        seen.started.add(Path(os.fsdecode(given[0])).name)


sys.addaudithook(_note)


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Yield what is opened, asked and started by this process until the block ends."""
    seen = Seen()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


@dataclass(kw_only=True)
class Victim:
    """A home with secrets, and the clone of a stranger's repository in it."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    """What stands in the home outside the clone, before a verb is typed."""
    seen: Seen = field(default_factory=Seen)

    @property
    def clone(self) -> Path:
        return self.home / CLONE

    @property
    def ran(self) -> Path:
        """A file that a program of the stranger's would write."""
        return self.home / MINE / "ran"

    def write(self, name: str, text: str) -> Path:
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        return path

    def type(self, words: Sequence[str], *, folder: Path | None = None) -> Outcome:
        """Run a verb in this process, in the clone."""
        state = self.home / MINE
        own = {
            "HOME": self.home,
            "XDG_CONFIG_HOME": state / "config",
            "XDG_STATE_HOME": state / "state",
        }
        settings = {name: str(one) for name, one in own.items()} | {
            "OPENAI_API_KEY": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "THEIR_KEY": KEY,
            "GIT_CONFIG_GLOBAL": os.devnull, **self.variables,
        }  # fmt: skip
        with (
            mock.patch.dict(os.environ, settings),
            contextlib.chdir(folder or self.clone),
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as err,
        ):
            with (
                mock.patch("sys.stdin", open(os.devnull, encoding="utf-8")) as nothing,  # noqa: PTH123
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), watched() as seen,
            ):  # fmt: skip
                try:
                    code = main(list(words))
                except SystemExit as stop:
                    code = stop.code if isinstance(stop.code, int) else 1
            nothing.close()
            self.seen.opened |= seen.opened
            self.seen.asked |= seen.asked
            self.seen.started |= seen.started
            return Outcome(code=code, out=_text(out), err=_text(err))

    def faults(self, outcomes: Sequence[Outcome]) -> list[str]:
        """What a stranger has gained, or what a user does not see."""
        shown = "".join(one.out + one.err for one in outcomes)
        private = [self.home / name for name in (".ssh", ".netrc", "secret.csv", "models/private")]
        read = {
            one for one in self.seen.opened if any(Path(one).is_relative_to(p) for p in private)
        }
        hosts = self.seen.asked - {"localhost", "127.0.0.1", "::1"}
        # `ctypes` asks ldconfig, by its absolute path, where a library is.
        ours = ("git", "python", "ldconfig")
        programs = {one for one in self.seen.started if not one.startswith(ours)}
        found = {
            "a bug in the engine": "I900" in shown or any(one.code == 4 for one in outcomes),
            "a traceback": "Traceback" in shown,
            "raw control characters": RAW.search(shown) is not None,
            "a secret is shown": any(one in shown for one in HIDDEN),
            "code ran": self.ran.exists(),
            "written outside": self.outside() != self.before,
        }
        return [
            *(what for what, is_so in found.items() if is_so),
            *(f"read {Path(one).name}" for one in sorted(read)),
            *(f"asked {one}" for one in sorted(hosts)),
            *(f"started {one}" for one in sorted(programs)),
        ]

    def outside(self) -> dict[str, str]:
        """What stands in the home, the clone and the engine's own folders apart."""
        return {
            path.relative_to(self.home).as_posix(): _content(path)
            for top in sorted(self.home.iterdir())
            if top.name not in (CLONE, MINE)
            for path in (top, *sorted(top.rglob("*")))
        }


def make_victim(folder: Path) -> Victim:
    """Make the home of a user who has allowed nothing, and in it a stranger's clone with a few rows."""
    home = folder / "home"
    for name in (
        ".ssh",
        "models/private",
        f"{MINE}/state",
        f"{MINE}/config",
        f"{CLONE}/.git",
        f"{CLONE}/data/deep",
    ):
        (home / name).mkdir(parents=True)
    for name in ("secret.csv", ".ssh/id_rsa", ".netrc", ".bashrc"):
        (home / name).write_text(SECRET, encoding="utf-8")
    (home / "models" / "private" / "config.json").write_text("{}", encoding="utf-8")
    victim = Victim(home=home)
    victim.write(".git/HEAD", "ref: refs/heads/main\n")
    victim.write(".git/config", SECRET)
    victim.write(".env", SECRET)
    for name in ("rows.csv", "data/rows.csv", "data/deep/rows.csv"):
        victim.write(name, ROWS)
    return victim


def git(folder: Path, *words: str) -> None:
    """Run git as the stranger, with nobody's settings."""
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    settings = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *who, *words], cwd=folder, env=settings, check=True, capture_output=True)


def _text(stream: Any) -> str:
    stream.flush()
    stream.seek(0)
    found: str = stream.read()
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "a folder"
