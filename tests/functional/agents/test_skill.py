"""SKILL.md: every command that it shows works, in the order in which it shows them, on a tiny example."""

import csv
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from engine.cli.texts import skill
from engine.errors import ExitCode
from support.paths import ROOT
from support.project import BASE, Project, rows

COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```console\n(.*?)^```$", skill(), flags=re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^\$ recipe (.*)$", block, flags=re.MULTILINE)
]


def test_the_guide_has_the_head_that_agents_read() -> None:
    _, head, body = skill().split("---\n", 2)
    fields = yaml.safe_load(head)

    assert set(fields) == {"name", "description"}
    assert re.fullmatch(r"[a-z0-9-]{1,64}", fields["name"])
    assert 0 < len(fields["description"]) <= 1024
    assert len(body.splitlines()) < 500


def test_the_guide_knows_every_outcome_of_a_run() -> None:
    codes = {int(row) for row in re.findall(r"^\| (\d+) \|", skill(), flags=re.MULTILINE)}

    assert codes == {
        ExitCode.ACCEPTED,
        ExitCode.REFUSED,
        ExitCode.USAGE,
        ExitCode.FAILED,
        ExitCode.BASELINE_PASSES,
    }


def test_llms_txt_names_every_page() -> None:
    text = (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8")
    groups = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    pages = [
        page
        for group in groups
        if isinstance(group, dict)
        for found in group.values()
        for page in found
    ]

    assert text.startswith("# slm-recipe\n\n> ")
    assert sorted(re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", text, flags=re.MULTILINE)) == sorted(
        pages
    )


@pytest.mark.thorough
def test_every_command_of_the_guide_works_in_its_order(project: Project) -> None:
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(140)])
    ended: dict[str, int] = {}
    for verb, *arguments in COMMANDS:
        more = ["--base-model", "base"] if verb == "init" else []
        outcome = project.run(verb, *arguments, *more)
        ended[" ".join([verb, *arguments])] = outcome.code
        assert outcome.code in (0, ExitCode.UNKNOWN_SIGNER), outcome.err
        if verb == "init":
            shorten(project.folder / "rows.yaml")

    assert [verb for verb in ended if verb.startswith("run ")] == ["run rows.yaml --format json"]
    assert (project.folder / "answers.jsonl").read_text(encoding="utf-8").count("\n") == 140


def shorten(recipe: Path) -> None:
    """What the guide has an agent edit, and a training of seconds in the place of one of minutes."""
    fields = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    fields["acceptance"] = BASE["acceptance"]
    for key in ("method", "backend", "splits", "stop_if_baseline_passes"):
        fields[key] = BASE[key]
    fields["baselines"] = ["majority", "tfidf_svm"]
    recipe.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
