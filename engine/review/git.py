"""Starting git in a folder that somebody else may have filled: no program but git's own, no network, no writing.

Settings of a repository name programs (filters, hooks, pagers, transports), and git starts them for commands that
only read. So every driver that any setting names is emptied, what remains is set on the command line, which wins
over every file, and the variables of git in the environment are dropped but for those that say which settings are
the user's. Transports are denied by the environment, since a repository's own `protocol.*.allow` wins over a
general setting. Where Landlock is, git and what it starts can start no program but git's own, write nothing and open no
network, whatever a setting says: the thread that starts it has given that up.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from engine.errors import EnvironmentProblem, RecipeError
from engine.process.confine import LOADERS, Rights, in_confined_thread

if sys.platform != "win32":
    import resource

Completed = subprocess.CompletedProcess[bytes]
Process = subprocess.Popen[bytes]
SECONDS: Final = 120
CPU_SECONDS: Final = 20
MOST_MEMORY: Final = 1 << 30
"""Of a git, what it maps of files apart; the index of a million files takes a third of it."""
MOST_BYTES: Final = 64 << 20
"""Of what a command prints: trees may hold one another, and list more files than there are bytes anywhere."""
_KEPT: Final = (
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    *("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
)
"""Where the user's own settings are, and how far up a repository is looked for."""
_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "",  # none
    "GIT_ASKPASS": "false",
    # Grafts, and replaced objects below, show another history than the commits have.
    "GIT_GRAFT_FILE": os.devnull,
    # A partial clone would else fetch what it lacks, by a program that its settings name.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # Else a command that only reads may refresh the index, which is writing.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_SSH_COMMAND": "false",
    "GIT_TERMINAL_PROMPT": "0",
    # Messages of git are read below, and by `Repository`: they must be in English.
    "LC_ALL": "C",
    "SSH_ASKPASS": "false",
}
_MARK: Final = "recipe.read"
"""A setting of ours: git that does not list it is too old to take settings from the environment."""
_SETTINGS: Final = {
    _MARK: "true",
    "core.askPass": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.ignoreStat": "false",
    "core.pager": "cat",
    "core.sshCommand": "false",
    "core.untrackedCache": "false",
    "credential.helper": "",
    "diff.autoRefreshIndex": "false",
    "diff.external": "",
    # Else git runs `git status` within each submodule, by settings that were not emptied.
    "diff.ignoreSubmodules": "dirty",
    "diff.relative": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}
_PROGRAMS: Final = {
    "filter": {"clean": "", "smudge": "", "process": "", "required": "false"},
    "diff": {"command": "", "textconv": "", "cachetextconv": "false"},
    "hook": {"command": "", "enabled": "false"},
}
"""What a driver of each kind may start."""
_PREFIXES: Final = ("/usr", "/usr/local", "/opt/homebrew")
"""Below which git has its own programs, in `lib/git-core` or `libexec/git-core`."""
_OWNED: Final = re.compile(r"dubious ownership in repository at '(.*)'")
_TOO_OLD: Final = "git 2.31 or newer is needed"


def run_git(
    words: Sequence[str], folder: Path, drivers: Sequence[str] = (), *, given: bytes = b""
) -> Completed:
    """Run a git command. EnvironmentProblem E730 where there is no git, E731 where it does not end.

    `drivers`: what `programs` returned for the repository. `given`: what it reads.
    """
    command = [_git(os.environ.get("PATH", os.defpath)), "--no-pager", *words]
    variables = environment(drivers)

    # Files, so that one pipe has to be read only; made here, where that is still allowed.
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)

        def run() -> Completed:
            with subprocess.Popen(  # noqa: S603 - git, without a shell
                command,
                cwd=folder,
                env=variables,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as child:
                _limit(child)
                clock = threading.Timer(SECONDS, child.kill)
                clock.start()
                try:
                    found = child.stdout.read(MOST_BYTES + 1) if child.stdout else b""
                    if len(found) > MOST_BYTES:
                        child.kill()  # it waits for somebody to read the rest
                    child.wait()
                finally:
                    clock.cancel()
            return Completed(command, child.returncode, found)

        started = time.monotonic()
        try:
            done = in_confined_thread(_rights(command[0]), run)
        except OSError as error:
            message = f"git cannot be started: {error.strerror or error}"
            raise EnvironmentProblem.one("E731", message) from error
        if len(done.stdout) > MOST_BYTES:
            message = f"`git {words[0]}` printed more than {MOST_BYTES >> 20} MiB"
            raise EnvironmentProblem.one("E731", message)
        # The kernel ends what takes too much processor time, `clock` what waits.
        if done.returncode < 0:
            is_late = time.monotonic() - started >= SECONDS
            why = (
                f"took more than {SECONDS} s"
                if is_late
                else f"was ended by signal {-done.returncode}"
            )
            raise EnvironmentProblem.one("E731", f"`git {words[0]}` {why}")
        errors.seek(0)
        done.stderr = errors.read(MOST_BYTES)
        return done


def start_git(words: Sequence[str], folder: Path, drivers: Sequence[str] = ()) -> Process:
    """Start a git command that is written to and read from. `drivers` as for `run_git`."""
    command = [_git(os.environ.get("PATH", os.defpath)), "--no-pager", *words]
    variables = environment(drivers)

    def start() -> Process:
        child = subprocess.Popen(  # noqa: S603 - git, without a shell
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nobody reads it, and a full pipe would stop git.
            stderr=subprocess.DEVNULL,
        )
        _limit(child)
        return child

    return in_confined_thread(_rights(command[0]), start)


def _limit(child: Process) -> None:
    """Bound a git that has just been started: settings may be of any size, and folders hold themselves many times."""
    if sys.platform == "linux":
        # It may have ended already.
        with contextlib.suppress(OSError):
            resource.prlimit(child.pid, resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
            resource.prlimit(child.pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


@lru_cache(maxsize=4)
def _rights(git: str) -> Rights:
    """Return what git keeps: to read, since objects and settings can be anywhere, and to start its own programs."""
    real = Path(git).resolve()
    prefixes = (*_PREFIXES, str(real.parents[1]))
    own = [f"{one}/{folder}/git-core" for one in prefixes for folder in ("lib", "libexec")]
    return Rights(execute=(git, str(real), *own, *LOADERS), reads_all=True, devices=(os.devnull,))


@lru_cache(maxsize=4)
def _git(path: str) -> str:
    """Return the git on PATH; relative folders of PATH are left out, since they are the stranger's own."""
    for folder in path.split(os.pathsep):
        found = shutil.which(os.path.join(folder, "git")) if os.path.isabs(folder) else None  # noqa: PTH118 - a text of PATH
        if found is not None:
            return found
    message = "git is not installed, or not on PATH"
    raise EnvironmentProblem.one("E730", message, hint="install git")


def environment(drivers: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment in which git is started."""
    found = {
        name: value
        for name, value in os.environ.items()
        # GIT_DIR would lead git to another repository, GIT_EXTERNAL_DIFF would start a program.
        if not name.startswith("GIT_") or name in _KEPT
    }
    # Of one setting given twice, git takes the last: ours stand behind the user's.
    settings = [*_users_settings(os.environ), *_SETTINGS.items(), *_emptied(tuple(drivers))]
    for number, (name, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {**found, "GIT_CONFIG_COUNT": str(len(settings)), **_ENVIRONMENT}


def _users_settings(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the settings that the user gives by the environment, such as `safe.directory` in a container."""
    count = variables.get("GIT_CONFIG_COUNT", "")
    for number in range(min(int(count), 1000) if count.isdecimal() else 0):
        name = variables.get(f"GIT_CONFIG_KEY_{number}", "")
        if "." in name:
            yield name, variables.get(f"GIT_CONFIG_VALUE_{number}", "")


@lru_cache(maxsize=16)
def _emptied(drivers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{driver}.{key}", value)
        for driver in drivers
        for key, value in _PROGRAMS[driver.partition(".")[0]].items()
    )


def programs(folder: Path) -> tuple[str, ...]:
    """Return every driver that a setting names, such as `filter.lfs`: each may start a program.

    EnvironmentProblem E731 where the settings cannot be read, or git is too old.
    """
    listed = run_git(("config", "--null", "--name-only", "--list"), folder)
    if listed.returncode:
        raise failed("config", listed.stderr)
    names = os.fsdecode(listed.stdout).split("\0")
    if _MARK not in names:
        raise EnvironmentProblem.one("E731", _TOO_OLD, hint="install a newer git")
    found = (name.rpartition(".")[0] for name in names)
    return tuple(
        dict.fromkeys(one for one in found if one.partition(".")[0] in _PROGRAMS and "." in one)
    )


def failed(command: str, stderr: bytes) -> EnvironmentProblem | RecipeError:
    """Return why a git command did not do what was asked: R023 for somebody else's repository, else E731."""
    text = stderr.decode(errors="replace").strip()
    if owned := _OWNED.search(text):
        return RecipeError.one(
            "R023",
            f"the repository `{owned[1]}` belongs to another user, and git does not read it",
            hint=f"where you trust it: git config --global --add safe.directory {shlex.quote(owned[1])}",
        )
    lines = text.splitlines()
    first = lines[0].removeprefix("fatal: ") if lines else "no reason was given"
    return EnvironmentProblem.one("E731", f"`git {command}` failed: {first}")


def top_of(folder: Path) -> Path | None:
    """Return the folder that holds `.git`; None where a bare repository, or none, is met first."""
    for one in (folder, *folder.parents):
        if os.path.lexists(one / ".git"):
            return one
        if (one / "HEAD").is_file() and (one / "objects").is_dir() and (one / "refs").is_dir():
            return None
    return None


def no_repository(folder: Path) -> RecipeError:
    """Return that a folder is in no repository: R020."""
    return RecipeError.one(
        "R020",
        f"`{folder}` is in no git repository",
        hint="without one, compare two files: recipe diff OLD NEW",
    )
