"""A real git repository for tests, and the command run in it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cli.main import main
from support.project import Outcome

SETTINGS = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull, "GIT_AUTHOR_DATE": "2026-11-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-01T00:00:00Z",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """A repository in a folder."""

    folder: Path

    def run(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env={**os.environ, **SETTINGS},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self) -> str:
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.run("rev-parse", "HEAD")

    def edit(self, name: str, find: str, put: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(find) == 1, f"{text.count(find)} times: {find!r}"
        path.write_text(text.replace(find, put), encoding="utf-8")


def repository(folder: Path, files: dict[str, str]) -> Git:
    """A repository with one commit on `main` that holds `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    git = Git(folder=folder)
    git.run("init", "--quiet", "--initial-branch", "main")
    git.write(files)
    git.commit()
    return git


def recipe(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """Run the command in the current folder."""
    capsys.readouterr()
    code = main(list(words))
    captured = capsys.readouterr()
    return Outcome(code=code, out=captured.out, err=captured.err)
