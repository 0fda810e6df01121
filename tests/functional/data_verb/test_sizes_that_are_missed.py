"""Splits that the data stage draws with other sizes than the recipe writes: every verb has those that were drawn."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from support.project import Project, rows
from support.runs import report

GROUP = 7


def grouped(project: Project) -> None:
    """Groups of 7 rows, none of which fits into 60."""
    lines = [(text, label, place // GROUP) for place, (text, label) in enumerate(rows(140))]
    _write(project, ("text", "label", "customer"), lines)
    project.edit(splits__by={"group": "customer"})


def at_times(project: Project) -> None:
    lines = [(text, label, 1e9 + place // GROUP) for place, (text, label) in enumerate(rows(140))]
    _write(project, ("text", "label", "at"), lines)
    project.edit(splits__by={"time": "at"})


def leaking(project: Project) -> None:
    """A third of the rows stands in the file a second time, nearly, and no row is left for their places."""
    found = rows(84)
    _write(
        project, ("text", "label"), [*found, *((f"{text}!", label) for text, label in found[:36])]
    )
    project.edit(data__checks={"leakage": "drop", "near_duplicates": "off"})


def repeated(project: Project) -> None:
    lines = [one for one in rows(30) for _ in range(GROUP)]
    _write(project, ("text", "label"), lines)
    project.edit(data__checks={"leakage": "warn", "duplicates": "warn"}, splits__by="random")


def _write(project: Project, head: tuple[str, ...], lines: list[Any]) -> None:
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *lines])


CASES: dict[str, tuple[Callable[[Project], None], str]] = {
    "group": (grouped, "whole groups are drawn"),
    "time": (at_times, "rows of equal times are kept together"),
    "leakage": (leaking, "checks drop rows of the splits"),
    "duplicates": (repeated, "equal texts are kept together"),
}


@pytest.fixture(params=CASES)
def missed(request: pytest.FixtureRequest, project: Project) -> tuple[Project, str]:
    """A project, and what makes its splits of other sizes."""
    prepare, why = CASES[request.param]
    prepare(project)
    project.edit(baselines=["majority"], method__batch_size=1, method__evaluations_per_epoch=1)
    return project, why


def test_before_the_data_stage_sizes_are_not_called_counted(missed: tuple[Project, str]) -> None:
    project, why = missed

    planned = json.loads(project.run("plan", "recipe.yaml", "--format", "json").out)
    plan, compiled = project.run("plan", "recipe.yaml"), project.run("compile", "recipe.yaml")

    assert planned["trained"]["counted"] is False
    assert f"120 steps before {why}" in " ".join(plan.out.split())
    assert (
        f"60 training rows before {why}: how many are trained is known after data" in compiled.err
    )


def test_after_it_compile_has_the_rows_that_were_drawn(missed: tuple[Project, str]) -> None:
    project, _ = missed

    shown = json.loads(project.run("data", "recipe.yaml", "--format", "json").out)["training"]
    planned = json.loads(project.run("plan", "recipe.yaml", "--format", "json").out)
    compiled = project.run("compile", "recipe.yaml")
    assert project.run("run", "recipe.yaml", "--until", "compile").code == 0

    assert shown["train"] != 60
    assert planned["trained"]["train"] == shown["train"]
    assert (shown["counted"], planned["trained"]["counted"]) == (True, True)
    assert planned["estimate"]["steps"] == shown["steps"] == 2 * shown["train"]
    ran = yaml.safe_load(report(project.folder / ".recipe")["backend_config"])
    assert yaml.safe_load(compiled.out) == ran
    assert ran["eval_steps"] == shown["train"]


def test_steps_are_at_most_so_many_where_training_may_stop_early(project: Project) -> None:
    project.edit(method__early_stopping={"patience": 2}, method__keep="best")

    shown = project.run("data", "recipe.yaml", "--no-tokens").out
    plan = project.run("plan", "recipe.yaml").out

    assert "60 rows are trained in at most 16 steps" in shown
    assert "at most 16 steps" in plan
