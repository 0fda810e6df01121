"""Rows that are too long: left out, cut or asked whole, and everywhere the same numbers."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from support.pico import CHAT_TEMPLATE, SPECIAL, SPECIAL_TOKENS, make_pico_model
from support.project import BASE, Outcome, Project, rows
from support.runs import report, run_folders, statuses
from support.shared import made_once

pytestmark = pytest.mark.thorough

LONG = " and on and on it went" * 12
"""More than the 128 tokens of `method.max_length`."""
ENDLESS = LONG * 4
"""More than the 512 tokens that the tiny model reads."""


def write(folder: Path, pico: Path, **changes: Any) -> None:
    """A project in which two rows of three are too long."""
    (folder / "base").symlink_to(pico)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        for number, (text, label) in enumerate(rows(140)):
            writer.writerow((text + ("", LONG, LONG)[number % 3], label))
    fields = yaml.safe_load(yaml.safe_dump({**BASE, "baselines": ["majority"]}))
    fields["data"]["checks"] = {"leakage": "warn", **changes}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")


@pytest.fixture(scope="module")
def dropped() -> Path:
    """The folder of a whole run with `truncation: drop`; never written again."""

    def build(folder: Path) -> None:
        write(folder, make_pico_model(folder.with_name("dropped-base")), truncation="drop")
        code = main(["run", str(folder / "recipe.yaml"), "--store", str(folder / ".recipe")])
        assert code == 0

    return made_once("dropped", build)


@pytest.fixture
def project(dropped: Path, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """A copy of it, in the current folder."""
    shutil.copytree(dropped, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(folder=tmp_path, run=run)


def given(found: dict[str, Any], split: str) -> int:
    return next(one["seen"] for one in found["data"]["splits"] if one["name"] == split)


def lengths(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["split"]: one for one in found["lengths"]}


def test_rows_trained_and_rows_left_out_are_those_of_the_data(dropped: Path) -> None:
    found = report(dropped / ".recipe")
    train, validation = lengths(found)["train"], lengths(found)["validation"]

    assert 0 < found["training"]["rows"] < given(found, "train")
    assert found["training"]["rows"] + train["left_out"] == given(found, "train")
    assert found["training"]["rows_left_out"] == train["left_out"]
    assert validation["used"] + validation["left_out"] == given(found, "validation")


def test_steps_and_epochs_are_those_of_the_rows_that_are_left(dropped: Path) -> None:
    found = report(dropped / ".recipe")
    training = found["training"]
    per_epoch = -(-training["rows"] // 8)

    assert (training["epochs"], training["steps"]) == (2.0, 2 * per_epoch)


def test_evaluations_and_checkpoints_follow_the_epochs_of_the_rows_that_are_left(
    dropped: Path,
) -> None:
    found = report(dropped / ".recipe")
    config = yaml.safe_load(found["backend_config"])
    per_epoch = -(-found["training"]["rows"] // 8)

    assert (config["eval_steps"], config["save_steps"]) == (per_epoch // 2, per_epoch // 2)


def test_page_markdown_and_terminal_say_how_many(project: Project) -> None:
    found = report(project.folder / ".recipe")
    left = lengths(found)["train"]["left_out"]
    sentence = f"{left} of {given(found, 'train')} rows left out, longer than 128 tokens"
    folder = run_folders(project.folder / ".recipe")[-1]

    again = project.run("run", "recipe.yaml")

    assert sentence in (folder / "report.html").read_text(encoding="utf-8")
    assert sentence in (folder / "report.md").read_text(encoding="utf-8")
    assert sentence in " ".join((again.out + again.err).split())
    assert set(statuses(project.folder / ".recipe").values()) == {"reused"}


def test_a_holdout_row_that_is_asked_whole_is_counted(dropped: Path) -> None:
    holdout = lengths(report(dropped / ".recipe"))["holdout"]

    assert holdout["used"] == holdout["given"] == 40
    assert 0 < holdout["over_max_length"] < 40
    assert (holdout["left_out"], holdout["window"], holdout["over_window"]) == (0, 512, 0)


def test_data_plan_compile_run_and_report_say_one_number(
    dropped: Path, tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    """`recipe data` alone counts them: nothing was compiled or trained in this folder."""
    write(tmp_path, pico, truncation="drop")
    ran = report(dropped / ".recipe")
    kept, steps = ran["training"]["rows"], ran["training"]["steps"]

    shown = json.loads(run("data", "recipe.yaml", "--format", "json").out)["training"]
    planned = json.loads(run("plan", "recipe.yaml", "--format", "json").out)
    compiled = run("compile", "recipe.yaml")

    assert (shown["train"], shown["of"], shown["counted"], shown["steps"]) == (
        kept,
        60,
        True,
        steps,
    )
    assert (planned["trained"]["train"], planned["trained"]["counted"]) == (kept, True)
    assert planned["estimate"]["steps"] == steps == 2 * -(-kept // 8)
    keys = {one["stage"]: one["key"] for one in ran["stages"]}
    assert {one["stage"]: one["key"] for one in planned["stages"]}["train"] == keys["train"]
    assert f"{kept} of 60 training rows are trained; {60 - kept} left out" in compiled.err
    assert yaml.safe_load(compiled.out) == yaml.safe_load(ran["backend_config"])


def test_without_a_tokenizer_the_data_verb_estimates(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="drop")

    shown = run("data", "recipe.yaml", "--no-tokens").out

    assert "about 20 of 60 training rows are trained" in shown
    assert "about 20 rows are trained in about 6 steps" in shown


def test_before_the_rows_are_counted_plan_and_compile_estimate_them(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="drop")

    plan, compiled = run("plan", "recipe.yaml"), run("compile", "recipe.yaml")
    planned = json.loads(run("plan", "recipe.yaml", "--format", "json").out)

    expected = "about 20 of 60 training rows are trained; about 40 left out, longer than 128 tokens"
    assert expected in " ".join(plan.out.split())
    assert "about 6 steps" in plan.out
    assert expected in compiled.err
    assert (planned["trained"]["train"], planned["estimate"]["steps"]) == (20, 6)
    assert (planned["trained"]["counted"], planned["trained"]["estimated"]) == (False, True)


def test_an_estimate_says_that_sources_are_not_weighted_yet(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How large each source is, and so how many rows an epoch has, only the data stage counts."""
    monkeypatch.setenv("COLUMNS", "70")  # the steps fit one line of the wrapped cost
    write(tmp_path, pico, truncation="drop")
    project = Project(folder=tmp_path, run=run)
    project.edit(data__sources=[{"path": "rows.csv", "weight": 3}, {"path": "more.csv"}])
    more = (tmp_path / "rows.csv").read_text(encoding="utf-8").replace("the ", "a ")
    (tmp_path / "more.csv").write_text(more, encoding="utf-8")

    plan = " ".join(run("plan", "recipe.yaml").out.split())
    how = " ".join(run("plan", "recipe.yaml", "--explain").out.split())

    assert "about 20 of 60 training rows are trained before sources are weighted; about 40" in plan
    of_stages = plan.partition("merge")[0]
    assert "about 6 steps before" in of_stages
    assert "sources are weighted" in of_stages
    assert "training rows before sources are weighted; their tokens" in how

    run("data", "recipe.yaml")
    assert "weighted" not in run("plan", "recipe.yaml", "--explain").out


def test_rows_that_are_cut_are_counted(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="warn")

    done = run("run", "recipe.yaml", "--until", "compile")
    found = report(tmp_path / ".recipe")
    train = lengths(found)["train"]

    assert (train["used"], train["left_out"], train["cut"] > 0) == (60, 0, True)
    assert f"D411  data: {train['cut']} of 60 rows are cut, longer than 128 tokens" in done.err


def test_a_training_set_of_which_nothing_is_left_is_refused(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="drop")
    Project(folder=tmp_path, run=run).edit(method__max_length=16)

    done = run("run", "recipe.yaml")

    assert (done.code, "D414" in done.err) == (3, True)


def test_rows_beyond_the_window_of_the_base_model_are_reported_before_training(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="drop")
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8").replace(LONG, ENDLESS)
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")

    done = run("run", "recipe.yaml", "--until", "baseline")
    holdout = lengths(report(tmp_path / ".recipe"))["holdout"]

    assert holdout["over_window"] > 0
    assert "longer than the 512 tokens that the base model can read" in done.err
    assert "holdout: D413" in done.err


def test_another_limit_is_another_training_of_other_rows(project: Project) -> None:
    before = report(project.folder / ".recipe")["training"]
    project.edit(method__max_length=512)

    assert project.run("run", "recipe.yaml").code == 0

    after = report(project.folder / ".recipe")["training"]
    assert (after["rows"], after["epochs"]) == (60, 2.0)
    assert after["steps"] > before["steps"]


def test_rows_left_out_for_a_marker_are_not_called_too_long(
    tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    """The data stage knows the usual markers; this one is known to the tokenizer alone."""
    model = make_pico_model(
        tmp_path / "model",
        template=CHAT_TEMPLATE.replace("<|im_end|>", "[over]"),
        names={**SPECIAL_TOKENS, "eos_token": "[over]", "pad_token": "[over]"},
        special=(*SPECIAL[:2], "[over]"),
    )
    write(tmp_path, model, truncation="drop", template_tokens="drop")
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8").replace("joke", "[over]")
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")

    shown = json.loads(run("data", "recipe.yaml", "--format", "json").out)["training"]
    plan = run("plan", "recipe.yaml", "--explain").out
    assert run("run", "recipe.yaml", "--until", "compile").code == 0

    train = lengths(report(tmp_path / ".recipe"))["train"]
    long, marked = train["left_out"], train["left_out_marked"]
    assert min(long, marked) > 0
    assert shown["note"] == (
        f"{shown['train']} of 60 training rows are trained; {long} left out, longer than 128 tokens; "
        f"{marked} left out, with tokens of the chat template"
    )
    assert f"{shown['train']} training rows ({long + marked} left out)" in " ".join(plan.split())


def test_replayed_text_does_not_stand_for_rows_that_are_left_out(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    write(tmp_path, pico, truncation="drop")
    (tmp_path / "general.txt").write_text(
        "\n".join(f"the general sentence number {place}" for place in range(200)), encoding="utf-8"
    )
    general = {"sources": [{"path": "general.txt", "format": "lines"}], "share": 0.5}
    Project(folder=tmp_path, run=run).edit(
        task={"kind": "generation", "instruction": "which?", "input": "{text}"},
        data__label=None,
        data__answer={"column": "label"},
        data__replay=general,
        splits__by="random",
        acceptance={"metrics": {"exact_match": {"min": 0}}},
    )

    assert run("run", "recipe.yaml", "--until", "compile").code == 0
    plan = " ".join(run("plan", "recipe.yaml", "--explain").out.split())

    found = report(tmp_path / ".recipe")
    left, texts = lengths(found)["train"]["left_out"], found["replay"]["texts"]
    assert min(left, texts) > 0
    assert f"{60 - left + texts} rows are trained: {60 - left} of 60 training rows" in plan
    assert f"and {texts} replayed texts; {left} left out, longer than 128 tokens" in plan
    assert f"{60 - left + texts} training rows ({left} left out)" in plan


@pytest.mark.parametrize("choice", [{"keep": "best"}, {"early_stopping": {"patience": 2}}])
def test_validation_rows_of_which_nothing_is_left_cannot_choose(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome], choice: dict[str, Any]
) -> None:
    """A stated choice would be passed over: the last step of all would be kept."""
    write(tmp_path, pico, truncation="drop")
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label", "split"))
        for number, (text, label) in enumerate(rows(140)):
            split = ("train", "train", "dev", "test")[number % 4]
            writer.writerow((text + (LONG if split == "dev" else ""), label, split))
    project = Project(folder=tmp_path, run=run)
    project.edit(splits={"by": {"column": "split"}}, method__keep="last")
    last = project.run("data", "recipe.yaml")
    project.edit(**{f"method__{key}": value for key, value in choice.items()})

    shown, done = project.run("data", "recipe.yaml"), project.run("run", "recipe.yaml")

    assert (last.code, shown.code, done.code) == (0, 3, 3)
    assert all("D414" in one.err and "35 rows of validation" in one.err for one in (shown, done))
