"""What was not compared is told as unknown: the first line of `recipe ci` is green only for what was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import Git, recipe, repository
from support.project import Outcome
from support.recipe_pairs import CASES, write_case_lock, write_rows

RECIPE = "recipes/tickets.yaml"
ROWS = "recipes/tickets.csv"
LOWER = ("macro_f1: {min: 0.60}", "macro_f1: {min: 0.55}")
HARMLESS = ("epochs: 2", "epochs: 3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    git: Git
    capsys: pytest.CaptureFixture[str]

    @property
    def folder(self) -> Path:
        return self.git.folder

    def ci(self, *words: str) -> Outcome:
        return recipe(self.capsys, "ci", *words)

    def gate(self, since: str = "main") -> tuple[str, int]:
        """The first line of the comment, and the exit code of a check that has to hold."""
        outcome = self.ci("--from", since, "--fail-on", "weaker-gate")
        lines = [line for line in outcome.out.splitlines() if line.startswith("## ")]
        return (lines or [outcome.err])[0], outcome.code

    def found(self, *words: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.ci(*words, "--format", "json").out)
        return {one["path"]: one for one in result["recipes"]}


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Team:
    folder = tmp_path / "team"
    (folder / "recipes").mkdir(parents=True)
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    write_rows(folder / "recipes")
    git = repository(folder, {RECIPE: text.replace("      sha256: TICKETS\n", "")})
    git.run("checkout", "--quiet", "-b", "work")
    monkeypatch.chdir(folder)
    return Team(git=git, capsys=capsys)


def rebase(git: Git) -> None:
    """Let the work begin at what is there now."""
    git.commit()
    git.run("branch", "--force", "main")


def fewer(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[60:]]), encoding="utf-8")


def test_what_was_compared_is_green(team: Team) -> None:
    team.git.edit(RECIPE, *HARMLESS)

    assert team.gate() == ("## 🟢 1 recipe changed: valid, and no gate got weaker", 0)


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


def recipes_in_a_submodule(team: Team) -> None:
    in_a_submodule(team)
    inner = Git(folder=team.folder / "inner")
    inner.write({"own.yaml": (CASES / "base" / "talk.yaml").read_text("utf-8")})
    inner.commit()


def lowered_in_a_submodule(team: Team) -> None:
    inner = Git(folder=team.folder / "inner")
    inner.edit("own.yaml", "max: 8.0", "max: 9.0")
    inner.commit()


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


def waived(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    team.git.write(
        {RECIPE: f"{text}waivers:\n  - what: W101\n    why: The old bound was a guess.\n"}
    )


Step = Callable[[Team], None]
RED, YELLOW = "🔴", "🟡"


@pytest.mark.parametrize(
    ("before", "after", "mark", "code"),
    [
        (invalid_before, invalid_after, YELLOW, 1),
        (broken_lock, sound_lock, YELLOW, 1),
        (sound_lock, broken_lock, RED, 2),
        (nothing, deleted, RED, 1),
        (nothing, rewritten, RED, 1),
        (nothing, no_recipe, RED, 1),
        (nothing, other_suffix, RED, 1),
        (nothing, flow_style, RED, 1),
        (nothing, indented, RED, 1),
        (nothing, marked, RED, 1),
        (nothing, taken_back, YELLOW, 1),
        (nothing, staged, YELLOW, 1),
        (nothing, hardened_on_the_disk, YELLOW, 1),
        (nothing, not_watched, YELLOW, 1),
        (nothing, sparse, YELLOW, 1),
        (linked, other_rows_behind_the_link, RED, 1),
        (linked_folder, other_rows_behind_the_link, RED, 1),
        (linked_pattern, other_rows_behind_the_link, RED, 1),
        (patterned, fewer_parts, RED, 1),
        (linked_outside, harmless, YELLOW, 0),
        (ignored, harmless, YELLOW, 0),
        (unpinned, harmless, YELLOW, 0),
        (in_a_submodule, harmless, YELLOW, 0),
        (in_a_submodule, other_submodule, RED, 1),
        (recipes_in_a_submodule, lowered_in_a_submodule, RED, 1),
        (recipe_outside, more_looks, YELLOW, 1),
        (sound_lock, lock_is_a_pipe, RED, 2),
        (nothing, rows_are_a_pipe, RED, 2),
        (nothing, recipe_is_a_pipe, RED, 1),
        (sound_lock, lock_is_deep, RED, 2),
        (pointed_to, pointed_elsewhere, RED, 1),
        (sound_lock, lock_gone, RED, 1),
        (sound_lock, lock_renamed, RED, 1),
        (nothing, rows_gone, RED, 2),
        (nothing, waived, YELLOW, 0),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_the_first_line_is_not_green(
    team: Team, before: Step, after: Step, mark: str, code: int
) -> None:
    before(team)
    rebase(team.git)
    after(team)
    team.git.run("add", "--all") if after in (deleted, rewritten) else None

    line, ended = team.gate()

    assert (line.split()[1], ended) == (mark, code), line


@pytest.mark.parametrize("step", [pointed_to, linked, in_a_submodule, patterned])
def test_rows_that_stay_where_they_are_leave_the_gate_alone(team: Team, step: Step) -> None:
    step(team)
    rebase(team.git)
    team.git.edit(RECIPE, *HARMLESS)

    found = team.found("--from", "main")[RECIPE]

    assert found["diff"]["gate"] == {"verdict": "stays", "unwaived": 0, "findings": []}


def test_without_a_main_branch_nothing_is_compared(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()
    team.git.run("branch", "--quiet", "-D", "main")

    outcome = team.ci("--fail-on", "weaker-gate")

    assert (outcome.code, outcome.out, "R026" in outcome.err) == (2, "", True)


def test_a_comment_that_could_not_be_made_takes_the_place_of_a_green_one(team: Team) -> None:
    Path("comment.md").write_text(
        "<!-- recipe ci -->\n\n## 🟢 1 recipe changed\n", encoding="utf-8"
    )

    team.ci("--from", "no-such", "-o", "comment.md")

    assert "## 🔴 Nothing was compared" in Path("comment.md").read_text("utf-8")


def test_histories_without_a_common_beginning_are_not_green(team: Team) -> None:
    git = team.git
    text = (team.folder / RECIPE).read_text("utf-8")
    git.run("checkout", "--quiet", "--orphan", "alone")
    git.write({RECIPE: text.replace(*HARMLESS)})
    git.commit()
    main, alone = git.run("rev-parse", "main"), git.run("rev-parse", "alone")
    first, code = team.gate()

    git.run("replace", "--graft", alone, main)
    grafted = team.gate()

    assert (first.split()[1], code) == (YELLOW, 1)
    assert grafted == (first, code)


def test_a_merge_with_two_beginnings_is_not_green(team: Team) -> None:
    git = team.git
    git.write({"a.txt": "a"})
    git.commit()
    git.run("checkout", "--quiet", "main")
    git.write({"b.txt": "b"})
    main = git.commit()
    git.run("merge", "--quiet", "--no-edit", "work")
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", main)
    git.edit(RECIPE, *HARMLESS)

    assert team.gate()[0].split()[1] == YELLOW


def test_a_shallow_clone_that_may_hide_a_later_beginning_is_not_green(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = team.git
    git.edit(RECIPE, *HARMLESS)
    git.commit()
    git.write({"later.txt": "x"})
    git.commit()
    source, clone = f"file://{git.folder}", tmp_path / "clone"
    words = ("git", "clone", "--quiet", "--depth=1", "--no-single-branch", "--branch=work")
    subprocess.run([*words, source, clone], check=True)
    monkeypatch.chdir(clone)

    line, code = team.gate("origin/main")

    assert (line.split()[1], code) == (YELLOW, 1)


def test_a_recipe_that_is_gone_may_be_excused_by_the_one_in_its_place(team: Team) -> None:
    talk = (CASES / "base" / "talk.yaml").read_text("utf-8")
    waiver = (
        "waivers:\n  - {what: W120, why: Nobody asks for tickets any more; talk answers them.}\n"
    )
    deleted(team)
    team.git.write({"recipes/talk.yaml": talk + waiver})

    line, code = team.gate()

    assert (line.split()[1], code) == (YELLOW, 0)


def test_seeds_of_three_recipes_raise_three_alarms(team: Team, root: Path) -> None:
    """In a process of its own, where what one recipe frees is soon the next one's."""
    text = (team.folder / RECIPE).read_text("utf-8")
    names = ("one", "two", "three")
    files = {
        f"recipes/{name}.yaml": text.replace("name: tickets", f"name: {name}") for name in names
    }
    team.git.write(files)
    rebase(team.git)
    for file in files:
        team.git.edit(file, "seed: 7", "seed: 8")

    words = [sys.executable, "-m", "engine", "ci", "--from", "main", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(words, env=environment, capture_output=True, check=True)

    found = [one["diff"]["gate"]["findings"][0] for one in json.loads(done.stdout)["recipes"]]
    assert [one["code"] for one in found] == ["W201"] * len(names)
    assert all("25 of 60 new holdout rows were training rows" in one["says"] for one in found)
