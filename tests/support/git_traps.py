"""Repositories whose settings would start a program."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.git_repository import Git, recipe, repository
from support.project import Outcome

RECIPE = "recipes/tickets.yaml"
LOWER = ("macro_f1: {min: 0.60}", "macro_f1: {min: 0.55}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A repository with a change, and a program that must not run."""

    git: Git
    capsys: pytest.CaptureFixture[str]

    @property
    def program(self) -> str:
        """A command that leaves a file behind."""
        path = self.git.folder.parent / "program.sh"
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.ran}\ncat\n', encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    @property
    def ran(self) -> Path:
        return self.git.folder.parent / "ran"

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self.git.run("config", name.replace("__", ".").replace("_", "-"), value)

    def reviewed(self, *, since: str = "HEAD") -> tuple[Outcome, Outcome]:
        return (
            recipe(self.capsys, "ci", "--from", since),
            recipe(self.capsys, "diff", RECIPE, "--from", since),
        )


def clean(trap: Trap) -> None:
    trap.set(filter__one__clean=trap.program, filter__one__required="true")


def process(trap: Trap) -> None:
    trap.set(filter__two__process=trap.program, filter__two__smudge=trap.program)


def odd_name(trap: Trap) -> None:
    trap.git.write({".gitattributes": "*.csv filter=a=b.c\n"})
    trap.git.run("config", "filter.a=b.c.clean", trap.program)


def included(trap: Trap) -> None:
    trap.git.write({"more.cfg": f'[filter "one"]\n\tclean = {trap.program}\n'})
    trap.git.run("config", "includeIf.gitdir:**.path", "../more.cfg")


def of_the_worktree(trap: Trap) -> None:
    trap.set(extensions__worktreeConfig="true")
    trap.git.run("config", "--worktree", "filter.one.clean", trap.program)


def monitor(trap: Trap) -> None:
    trap.set(core__fsmonitor=trap.program, core__pager=trap.program, core__askPass=trap.program)


def shown(trap: Trap) -> None:
    trap.set(diff__one__textconv=trap.program, diff__one__command=trap.program)
    trap.set(diff__external=trap.program, alias__diff=f"!{trap.program}")


def hooked(trap: Trap) -> None:
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        hook = trap.git.folder / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        shutil.copy(trap.program, hook)


def hooks_elsewhere(trap: Trap) -> None:
    hooked(trap)
    (trap.git.folder / ".git" / "hooks").rename(trap.git.folder / "hooks")
    trap.set(core__hooksPath="hooks")


def in_a_submodule(trap: Trap) -> None:
    inner = repository(
        trap.git.folder.parent / "inner",
        {"rows.csv": "a\n", ".gitattributes": "*.csv filter=one\n"},
    )
    allowed = ("-c", "protocol.file.allow=always")
    trap.git.run(*allowed, "submodule", "--quiet", "add", str(inner.folder), "inner")
    own = Git(folder=trap.git.folder / "inner")
    own.run("config", "filter.one.clean", trap.program)
    own.run("config", "core.fsmonitor", trap.program)
    (own.folder / "rows.csv").touch()


def on_path(trap: Trap) -> None:
    shutil.copy(trap.program, trap.git.folder / "git")
    os.environ["PATH"] = f".{os.pathsep}{os.pathsep}{os.environ['PATH']}"
