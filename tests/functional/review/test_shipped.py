"""The GitHub Action and the pre-commit hooks that are shipped: their commands are run, not only read."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.verbs import VERBS
from support.git_repository import SETTINGS, repository
from support.recipe_pairs import CASES
from support.review_team import (
    HARMLESS,
    LOWER,
    RECIPE,
    Step,
    Team,
    deleted,
    in_a_submodule,
    linked,
    patterned,
    pointed_to,
    rebase,
    team_in,
)

pytestmark = pytest.mark.thorough

GH = """\
#!/usr/bin/env bash
echo "$@" >> "$CALLS"
if [ "$1" = api ] && [ "$2" = --paginate ]; then printf '%s' "$KNOWN"; fi
exit "${GH_FAILS:-0}"
"""


@pytest.fixture
def action(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "action.yml").read_text("utf-8"))
    return found


def step(action: dict[str, Any], name: str) -> str:
    return str(next(one["run"] for one in action["runs"]["steps"] if one.get("name") == name))


class Runner:
    """Runs the shell of a step as GitHub does, with `recipe` and `gh` on PATH."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.bin = folder / "team", folder / "bin"
        self.bin.mkdir()
        talk = (CASES / "base" / "talk.yaml").read_text("utf-8")
        self.git = repository(self.folder, {"recipes/talk.yaml": talk})
        self.first = self.git.run("rev-parse", "HEAD")
        self.script("recipe", f'#!/usr/bin/env bash\nexec {sys.executable} -m engine "$@"\n')
        self.script("gh", GH)
        self.environment = {
            **os.environ, **SETTINGS, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root), "CALLS": str(folder / "calls"), "KNOWN": "",
            "GITHUB_OUTPUT": str(folder / "outputs"), "GITHUB_REPOSITORY": "team/recipes",
            "GITHUB_STEP_SUMMARY": str(folder / "summary"), "OUTPUT": "comment.md",
        }  # fmt: skip

    def script(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder, env={**self.environment, **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def read(self, name: str) -> str:
        path = Path(self.environment[name])
        return path.read_text("utf-8") if path.exists() else ""


@pytest.fixture
def runner(tmp_path: Path, root: Path) -> Runner:
    return Runner(tmp_path, root)


def test_the_action_reviews_and_keeps_the_exit_code(runner: Runner, action: Any) -> None:
    runner.git.edit("recipes/talk.yaml", "max: 8.0", "max: 9.0")

    done = runner.run(step(action, "Review"), FROM=runner.first, FAIL_ON="weaker-gate")

    assert done.returncode == 0, done.stderr
    assert runner.read("GITHUB_OUTPUT") == "exit-code=1\n"
    assert "W101" in runner.read("GITHUB_STEP_SUMMARY")
    assert "W101" in (runner.folder / "comment.md").read_text("utf-8")


def test_the_action_only_tells_where_it_shall(runner: Runner, action: Any) -> None:
    runner.git.edit("recipes/talk.yaml", "max: 8.0", "max: 9.0")

    runner.run(step(action, "Review"), FROM=runner.first, FAIL_ON="none")

    assert runner.read("GITHUB_OUTPUT") == "exit-code=0\n"


@pytest.mark.parametrize(
    ("known", "call"),
    [
        ("", "--method POST repos/team/recipes/issues/7/comments"),
        ("42\n43\n", "--method PATCH repos/team/recipes/issues/comments/42"),
    ],
)
def test_the_action_keeps_one_comment(runner: Runner, action: Any, known: str, call: str) -> None:
    (runner.folder / "comment.md").write_text("<!-- recipe ci -->\n", encoding="utf-8")

    done = runner.run(step(action, "Comment"), NUMBER="7", KNOWN=known)

    assert done.returncode == 0, done.stderr
    who, listed, written = runner.read("CALLS").splitlines()
    assert who == "api user --jq .login"
    # a comment of somebody else that begins alike is not taken over
    assert '.user.login == "github-actions[bot]" and' in listed
    assert written == f"api --silent {call} --field body=@comment.md"


def test_a_comment_that_may_not_be_written_is_no_failure(runner: Runner, action: Any) -> None:
    (runner.folder / "comment.md").write_text("<!-- recipe ci -->\n", encoding="utf-8")

    done = runner.run(step(action, "Comment"), NUMBER="7", GH_FAILS="1")

    assert (done.returncode, "::notice::" in done.stdout) == (0, True)


def test_the_action_answers_with_the_exit_code(runner: Runner, action: Any) -> None:
    assert [runner.run(step(action, "Answer"), CODE=code).returncode for code in "012"] == [0, 1, 2]


def test_no_input_is_pasted_into_a_script(action: Any) -> None:
    """A branch's name is text of a stranger: it reaches a script as an environment variable only."""
    scripts = [one["run"] for one in action["runs"]["steps"] if "run" in one]

    assert [script for script in scripts if "${{" in script] == []


def test_every_hook_calls_a_verb(root: Path) -> None:
    hooks = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text("utf-8"))
    words = [shlex.split(hook["entry"]) for hook in hooks]

    assert [one[0] for one in words] == ["recipe"] * 3
    assert {one[1] for one in words} <= set(VERBS)


@pytest.mark.parametrize(("put", "code"), [("max: 9.0", 1), ("max: 7.0", 0)])
def test_the_hook_of_the_gate_stops_a_weaker_one(
    runner: Runner, root: Path, put: str, code: int
) -> None:
    hooks = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text("utf-8"))
    entry = next(hook["entry"] for hook in hooks if hook["id"] == "recipe-gate")
    runner.git.edit("recipes/talk.yaml", "max: 8.0", put)

    assert runner.run(entry).returncode == code


# What was not compared is reported as unknown: the first line of `recipe ci` is green only for what was.
@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    found = team_in(tmp_path)
    monkeypatch.chdir(found.folder)
    return found


YELLOW = "🟡"


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


def test_a_recipe_that_is_gone_may_be_excused_by_the_one_in_its_place(team: Team) -> None:
    talk = (CASES / "base" / "talk.yaml").read_text("utf-8")
    waiver = (
        "waivers:\n  - {what: W120, why: Nobody asks for tickets any more; talk answers them.}\n"
    )
    deleted(team)
    team.git.write({"recipes/talk.yaml": talk + waiver})

    line, code = team.gate()

    assert (line[0], code) == (YELLOW, 0)


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


def test_rows_that_a_recipe_cannot_use_are_unknown_and_the_reason_is_named(
    team: Team,
) -> None:
    team.git.edit(RECIPE, "labels: [billing, bug, how_to]", "labels: [billing, bug]")

    found = team.found("--from", "main")[RECIPE]["diff"]["gate"]["findings"]

    why = "its rows cannot be divided: 94 rows have a label that is not one of the task's"
    assert why in " ".join(one["says"] for one in found)
