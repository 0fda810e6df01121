"""What documents state about tasks, versions and pins is so."""

import re
import tomllib

import yaml

import engine
from support.paths import ROOT

NAMES_TASKS = [
    ".ci/run", ".github/workflows/ci.yml", ".github/pull_request_template.md", "CONTRIBUTING.md",
    "README.md", "zensical.toml", "CHANGELOG.md",
]  # fmt: skip


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def tasks() -> dict[str, list[str]]:
    """The tasks of the justfile with those that they run first."""
    found = re.findall(
        r"^([a-z][\w-]*)(?: [^:\n]*)?:(?!=)(.*)$", text("justfile"), flags=re.MULTILINE
    )
    return {name: needs.split() for name, needs in found}


def test_every_task_that_is_named_is_one() -> None:
    named = {
        task
        for name in NAMES_TASKS
        for words in re.findall(r"\bjust((?: [a-z][a-z-]*)+)(?=[`\s]|$)", text(name))
        for task in words.split()[:1]
    }

    assert {"ci", "lint", "types", "docs", "test", "slow"} <= named
    assert named <= tasks().keys()


def test_ci_runs_what_the_workflow_runs() -> None:
    workflow = yaml.safe_load(text(".github/workflows/ci.yml"))
    run = {
        step["run"].removeprefix("uv run just ")
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("run", "").startswith("uv run just ")
    }

    # the workflow has a machine for each, with several versions of Python
    apart = {"checks": set(tasks()["checks"]), "tests": {"coverage", "slow"}, "browser": {"slow"}}
    named = [one for task in tasks()["ci"] for one in tasks()[task] or [task]]
    assert run == {one for task in named for one in apart.get(task, {task})}


def test_the_version_of_the_package_is_the_one_that_pages_tell_to_install() -> None:
    page = text("docs/how-to/check-recipes-in-ci.md")

    assert set(re.findall(r"(?:slm-recipe@v|rev: v)(\d+\.[\d.]*\d)", page)) == {engine.__version__}
    assert f"\n## {engine.__version__} (" in text("CHANGELOG.md")


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads(text("pyproject.toml"))
    extras = project["project"]["optional-dependencies"]
    lists = [
        project["project"]["dependencies"],
        # Ray is in no environment of this repository: docs/decisions/0008-pins.md.
        *(extras[name] for name in extras if name != "ray"),
        *project["dependency-groups"].values(),
    ]
    pins = tomllib.loads(text(".ci/pins/pyproject.toml"))["project"]["dependencies"]

    def name(requirement: str) -> str:
        return re.split(r"[\[<>=;! ]", requirement, maxsplit=1)[0].lower()

    needed = {name(one) for found in lists for one in found} - {"slm-recipe", "slm-recipe-pins"}

    assert needed - {name(pin) for pin in pins} == set()
    assert "ray" not in {name(pin) for pin in pins}
    assert [pin for pin in pins if "==" not in pin] == []
