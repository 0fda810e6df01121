"""A team that reviews its recipes in git, and the steps that it takes."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.main import main
from support.git_repository import Git, repository
from support.project import Outcome
from support.recipe_pairs import CASES, write_case_lock, write_rows

RECIPE = "recipes/tickets.yaml"
ROWS = "recipes/tickets.csv"
LOWER = ("macro_f1: {min: 0.60}", "macro_f1: {min: 0.55}")
HARMLESS = ("epochs: 2", "epochs: 3")


@dataclass(slots=True, kw_only=True)
class Team:
    """A repository on the branch `work`, and from where `recipe ci` is run."""

    git: Git
    at: Path
    """The folder that it is run in: that of the repository, of a clone, or one below."""
    since: str | None = "main"
    """What `--from` says; None leaves it out."""

    @property
    def folder(self) -> Path:
        return self.git.folder

    def ci(self, *words: str) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.at),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(["ci", *words])
        return Outcome(code=code, out=out.getvalue(), err=err.getvalue())

    def gate(self) -> tuple[str, int]:
        """The first line of the comment, and the exit code of a check that has to hold."""
        comment = self.folder.parent / "comment.md"
        since = () if self.since is None else ("--from", self.since)
        outcome = self.ci(*since, "--fail-on", "weaker-gate", "-o", str(comment))
        text = comment.read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith("## "))
        return line.removeprefix("## "), outcome.code

    def found(self, *words: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.ci(*words, "--format", "json").out)
        return {one["path"]: one for one in result["recipes"]}


def team_in(folder: Path) -> Team:
    """A team with one recipe and its rows, both in git, whose work begins."""
    place = folder / "team"
    (place / "recipes").mkdir(parents=True)
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    write_rows(place / "recipes")
    git = repository(place, {RECIPE: text.replace("      sha256: TICKETS\n", "")})
    git.run("checkout", "--quiet", "-b", "work")
    return Team(git=git, at=place)


def rebase(git: Git) -> None:
    """Let the work begin at what is there now."""
    git.commit()
    git.run("branch", "--force", "main")


def fewer(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[60:]]), encoding="utf-8")


# Before and after: what is done to the repository on main, then in the work.


def invalid_before(team: Team) -> None:
    team.git.edit(RECIPE, "kind: lora", "kind: lorra")


def invalid_after(team: Team) -> None:
    team.git.edit(RECIPE, "kind: lorra", "kind: lora")
    team.git.edit(RECIPE, *LOWER)


def broken_lock(team: Team) -> None:
    team.git.write({"recipes/tickets.lock.json": "<<<<<<< no lock\n"})


def sound_lock(team: Team) -> None:
    write_case_lock(team.folder / RECIPE, "recorded")


def nothing(team: Team) -> None:
    del team


def deleted(team: Team) -> None:
    team.git.run("rm", "--quiet", RECIPE)


def rewritten(team: Team) -> None:
    text = (
        (team.folder / RECIPE)
        .read_text("utf-8")
        .replace(*LOWER)
        .replace("name: tickets", "name: desk")
    )
    deleted(team)
    shuffled = "".join(
        f"\n# {number}\n{line}  # note\n" for number, line in enumerate(text.splitlines())
    )
    team.git.write({"recipes/desk.yaml": shuffled})


def no_recipe(team: Team) -> None:
    team.git.edit(RECIPE, "recipe: v1\n", "")


def other_suffix(team: Team) -> None:
    team.git.run("mv", RECIPE, "recipes/tickets.txt")


def flow_style(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    team.git.write({RECIPE: text.replace("recipe: v1", '"recipe": v1')})


def indented(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    team.git.write({RECIPE: "".join(f" {line}\n" for line in text.splitlines())})


def marked(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    team.git.write({RECIPE: "\ufeff" + text})


def taken_back(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()
    team.git.edit(RECIPE, LOWER[1], LOWER[0])


def staged(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.run("add", RECIPE)
    team.git.edit(RECIPE, LOWER[1], LOWER[0])


def hardened_on_the_disk(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()
    team.git.edit(RECIPE, LOWER[1], "macro_f1: {min: 0.65}")


def not_watched(team: Team) -> None:
    team.git.run("update-index", "--assume-unchanged", RECIPE)
    team.git.edit(RECIPE, *LOWER)


def sparse(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()
    team.git.write({"other/readme.txt": "x\n"})
    team.git.commit()
    team.git.run("sparse-checkout", "set", "other")


def linked(team: Team) -> None:
    (team.folder / "data").mkdir()
    (team.folder / ROWS).rename(team.folder / "data" / "rows.csv")
    (team.folder / ROWS).symlink_to("../data/rows.csv")


def other_rows_behind_the_link(team: Team) -> None:
    fewer(team.folder / "data" / "rows.csv")


def linked_folder(team: Team) -> None:
    linked(team)
    team.git.edit(RECIPE, "path: tickets.csv", "path: here/rows.csv")
    (team.folder / "recipes" / "here").symlink_to("../data")


def linked_pattern(team: Team) -> None:
    linked_folder(team)
    team.git.edit(RECIPE, "path: here/rows.csv", "path: here/*.csv")


def patterned(team: Team) -> None:
    (team.folder / "recipes" / "parts").mkdir()
    head, *lines = (team.folder / ROWS).read_text("utf-8").splitlines(keepends=True)
    for name, part in (("a", lines[:60]), ("b", lines[60:])):
        path = team.folder / "recipes" / "parts" / f"{name}.csv"
        path.write_text("".join([head, *part]), encoding="utf-8")
    team.git.edit(RECIPE, "path: tickets.csv", "path: parts/*.csv")


def fewer_parts(team: Team) -> None:
    team.git.run("rm", "--quiet", "recipes/parts/a.csv")


def linked_outside(team: Team) -> None:
    (team.folder / ROWS).rename(team.folder.parent / "rows.csv")
    (team.folder / ROWS).symlink_to("../../rows.csv")


def harmless(team: Team) -> None:
    team.git.edit(RECIPE, *HARMLESS)


def ignored(team: Team) -> None:
    team.git.write({".gitignore": "*.csv\n"})
    team.git.run("rm", "--quiet", "--cached", ROWS)


def in_a_submodule(team: Team) -> None:
    inner = repository(team.folder.parent / "inner", {"readme.txt": "x\n"})
    (team.folder / ROWS).rename(inner.folder / "rows.csv")
    inner.commit()
    add = (
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(inner.folder),
        "inner",
    )
    team.git.run(*add)
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../inner/rows.csv")


def recipe_outside(team: Team) -> None:
    sound_lock(team)
    (team.folder / RECIPE).rename(team.folder / "recipes" / "kept.ignored")
    team.git.write({".gitignore": "*.ignored\n"})
    (team.folder / RECIPE).symlink_to("kept.ignored")


def more_looks(team: Team) -> None:
    path = team.folder / "recipes" / "tickets.lock.json"
    path.write_text(path.read_text("utf-8").replace('"looks": 2', '"looks": 3'), encoding="utf-8")


def rows_are_a_pipe(team: Team) -> None:
    (team.folder / ROWS).unlink()
    os.mkfifo(team.folder / ROWS)


def lock_is_a_pipe(team: Team) -> None:
    lock_gone(team)
    os.mkfifo(team.folder / "recipes" / "tickets.lock.json")


def recipe_is_a_pipe(team: Team) -> None:
    (team.folder / RECIPE).unlink()
    os.mkfifo(team.folder / RECIPE)


def lock_is_deep(team: Team) -> None:
    team.git.write({"recipes/tickets.lock.json": "[" * 100_000})


def other_submodule(team: Team) -> None:
    inner = Git(folder=team.folder / "inner")
    fewer(inner.folder / "rows.csv")
    inner.commit()


def pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def pointed_to(team: Team) -> None:
    team.git.write({ROWS: pointer((team.folder / ROWS).read_bytes())})


def pointed_elsewhere(team: Team) -> None:
    team.git.write({ROWS: pointer(b"other rows")})


def lock_gone(team: Team) -> None:
    (team.folder / "recipes" / "tickets.lock.json").unlink()


def lock_renamed(team: Team) -> None:
    team.git.run("mv", "recipes/tickets.lock.json", "recipes/tickets.lock.json.old")


def rows_gone(team: Team) -> None:
    (team.folder / ROWS).unlink()


def unpinned(team: Team) -> None:
    where = "hub: owner/tickets\n      split: train\n"
    team.git.edit(RECIPE, "path: tickets.csv\n", where)


Step = Callable[[Team], None]
