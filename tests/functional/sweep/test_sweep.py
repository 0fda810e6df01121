"""`sweep`: every setting trained, one chosen on validation rows, that one gated; nothing is done twice."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.backends import launches, trl
from engine.backends.base import Launch, Trained
from engine.errors import StageError
from engine.stages import load_stage
from engine.training import trials
from engine.training.train import train_rows
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import forget, manifests, report, run_folders, statuses

pytestmark = pytest.mark.thorough

GATE = ("run", "recipe.yaml", "--until", "gate")
SWEEP = {"list": [{"learning_rate": 1e-7, "epochs": 1}, {"rank": 8}]}
"""Two settings, of which one learns nothing worth having."""


def files_of(root: Path, stage: str) -> dict[str, str]:
    """The sha256 of the last artifact of a stage, by file."""
    key = json.loads((run_folders(root)[-1] / "run.json").read_text("utf-8"))["stages"][stage][
        "key"
    ]
    manifest = next(one for one in manifests(root) if one["key"] == key)
    return {file["name"]: file["sha256"] for file in manifest["files"]}


def adapter(root: Path) -> dict[str, str]:
    return {name: digest for name, digest in files_of(root, "train").items() if "adapter/" in name}


def sweeping(project: Project) -> None:
    project.edit(baselines=["majority"], sweep=SWEEP)


def watch_inputs(patch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """See which artifacts the stage is given, and every rank that is trained."""
    seen: dict[str, list[Any]] = {"given": [], "ranks": []}
    module: Any = load_stage("sweep")
    real = module.run

    def watched(context: Any) -> None:
        seen["given"].append(sorted(context.artifacts))
        real(context)

    def train(launch: Launch) -> Trained:
        seen["ranks"].append(launch.method.rank)
        return launches.train_trl(launch)

    patch.setattr(module, "run", watched)
    patch.setattr(trl, "train", train)
    return seen


@pytest.fixture(scope="session")
def swept_once() -> RunOnce:
    """A project whose sweep ended at the gate."""
    return run_once("swept", sweeping, "--until", "gate", watch=watch_inputs)


@pytest.fixture
def swept(swept_once: RunOnce, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """A copy of that project."""
    return swept_once.copy_to(tmp_path, run)


@pytest.fixture
def unswept(project: Project) -> Project:
    """The same project before its first run."""
    sweeping(project)
    return project


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """Every training that is done."""
    done: list[Launch] = []

    def train(launch: Launch) -> Trained:
        done.append(launch)
        return launches.train_trl(launch)

    monkeypatch.setattr(trl, "train", train)
    return done


def test_the_best_on_validation_becomes_the_model_and_the_holdout_is_never_read(
    swept_once: RunOnce,
) -> None:
    root, outcome = swept_once.folder / ".recipe", swept_once.outcome

    assert outcome.code == 0, outcome.err
    found = report(root)["sweep"]
    assert swept_once.seen["given"] == [["data"]]
    assert (found["chosen"], found["metric"], found["rows"]) == (1, "macro_f1", 20)
    first, second = found["settings"]
    assert second["metric"]["value"] >= first["metric"]["value"]
    assert second["validation_loss"] < first["validation_loss"]  # breaks the tie
    assert first["behind"]["value"] == pytest.approx(
        second["metric"]["value"] - first["metric"]["value"]
    )
    assert second["behind"] is None
    assert second["values"]["rank"] == 8
    assert sorted(swept_once.seen["ranks"]) == [4, 8]  # `train` took what the sweep had made
    assert report(root)["method"].startswith("lora r8")
    assert report(root)["validation_scores"]["rows"] == 20
    assert "r: 8" in report(root)["backend_config"]
    assert "chosen of 2 settings by macro-F1" in " ".join(outcome.err.split())
    page = (run_folders(root)[-1] / "report.html").read_text("utf-8")
    assert "Every setting on the validation rows" in page
    assert "## Sweep" in (run_folders(root)[-1] / "report.md").read_text("utf-8")


def test_the_winner_written_into_method_is_the_same_model_and_nothing_is_trained(
    swept: Project, trained: list[Launch]
) -> None:
    root = swept.folder / ".recipe"
    whole = adapter(root)

    swept.edit(sweep=None, method__rank=8)
    again = swept.run(*GATE)

    assert again.code == 0, again.err
    assert trained == []
    assert statuses(root)["train"] == "reused"
    assert adapter(root) == whole != {}


def test_a_training_of_the_chosen_setting_alone_gives_the_same_bytes(
    swept: Project, trained: list[Launch]
) -> None:
    root = swept.folder / ".recipe"
    whole = adapter(root)

    forced = swept.run(*GATE, "--force", "train")

    assert forced.code == 0, forced.err
    assert len(trained) == 1
    assert adapter(root) == whole


def test_a_second_run_and_its_plan_reuse_everything(swept: Project, trained: list[Launch]) -> None:
    root = swept.folder / ".recipe"
    before = swept.run("plan", "recipe.yaml", "--store", "empty")

    assert swept.run(*GATE).code == 0
    after = swept.run("plan", "recipe.yaml")

    assert "the setting is known after the sweep" in before.out
    assert "2 trainings" in before.out
    assert {name for name, status in statuses(root).items() if status == "ran"} == set()
    assert trained == []
    assert "the setting is known" not in after.out
    assert not [*(root / "scratch").glob("*/result")]


def test_another_setting_trains_only_that(swept: Project, trained: list[Launch]) -> None:
    swept.edit(
        sweep={
            "list": [
                {"learning_rate": 1e-7, "epochs": 1},
                {"rank": 8},
                {"learning_rate": 1e-6, "epochs": 1},
            ]
        }
    )
    before = swept.run("plan", "recipe.yaml")
    outcome = swept.run(*GATE)

    assert outcome.code == 0, outcome.err
    assert "up to 3 trainings" in before.out
    assert [launch.method.learning_rate for launch in trained] == [1e-6]
    assert statuses(swept.folder / ".recipe")["train"] == "reused"


def test_a_killed_sweep_goes_on_with_what_it_had(
    unswept: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = unswept.folder / ".recipe"
    begun: list[float] = []
    real = train_rows

    def broken(training: Any, context: Any) -> None:
        begun.append(context.recipe.method.learning_rate)
        if len(begun) == 2:
            raise KeyboardInterrupt
        real(training, context)

    monkeypatch.setattr(trials, "train_rows", broken)
    assert unswept.run(*GATE).code == 130
    assert statuses(root)["sweep"] == "interrupted"
    assert unswept.run(*GATE).code == 0

    assert begun[0] != begun[1] == begun[2]
    assert len(begun) == 3


def test_a_setting_whose_numbers_run_away_loses_and_the_sweep_goes_on(
    unswept: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = unswept.folder / ".recipe"
    real = train_rows

    def runs_away(training: Any, context: Any) -> None:
        if context.recipe.method.rank != 8:
            raise StageError.one("B414", "the loss of step 3 is not a number")
        real(training, context)

    monkeypatch.setattr(trials, "train_rows", runs_away)
    outcome = unswept.run(*GATE)

    assert outcome.code == 0, outcome.err
    lost = report(root)["sweep"]["settings"][0]
    assert lost["metric"]["value"] is None
    assert "not a number" in lost["metric"]["undefined"]
    assert "no other one left a model that could be judged" in " ".join(outcome.err.split())


def test_the_winner_of_a_sweep_that_was_trained_before_leaves_no_weights(
    swept: Project, trained: list[Launch]
) -> None:
    root = swept.folder / ".recipe"
    forget(root, "sweep")  # left is what a run of the winner alone would have made

    outcome = swept.run(*GATE)

    assert outcome.code == 0, outcome.err
    assert len(trained) == 2
    assert statuses(root)["sweep"] == "ran"
    assert statuses(root)["train"] == "reused"
    assert [*(root / "scratch").iterdir()] == []


def test_plan_and_compile_say_whose_method_they_show(swept: Project) -> None:
    root = swept.folder / ".recipe"
    empty = ("recipe.yaml", "--store", "empty")
    before, first = (swept.run(verb, *empty) for verb in ("plan", "compile"))
    after, chosen = (swept.run(verb, "recipe.yaml") for verb in ("plan", "compile"))
    for folder in (root / "store").glob("*/*"):
        if json.loads((folder / "artifact.json").read_text("utf-8"))["stage"] == "train":
            folder.rename(root / "gone")
    lost = swept.run("plan", "recipe.yaml")
    assert swept.run(*GATE, "--force", "train").code == 0

    assert before.out.startswith("tiny · 2 settings of a sweep on base")
    assert re.search(r"setting 2 of 2 \([^)]+\), the largest", " ".join(before.out.split()))
    assert "taken from the sweep" in before.out
    assert first.err.startswith("compiled is setting 1 of 2; ")
    assert after.out.startswith("tiny · lora r8 on base")
    assert "compiled is the setting that the sweep chose: rank 8" in chosen.err
    assert "lora_r: 8" in chosen.out
    assert "taken from the sweep" not in lost.out
    assert "16 steps" in lost.out
    assert [*(root / "scratch").iterdir()] == []


def test_the_largest_of_settings_of_equal_memory_has_the_most_steps(unswept: Project) -> None:
    unswept.edit(sweep={"grid": {"epochs": [1, 3, 2]}}, method__seeds=[8])

    outcome = unswept.run("plan", "recipe.yaml", "--explain")

    shown = " ".join(outcome.out.split())
    assert "setting 2 of 3 (epochs 3), the largest" in shown
    assert "60 rows in batches of 8, 3 epochs: 24" in shown


def test_rows_that_settings_train_are_those_of_a_setting_that_is_named(unswept: Project) -> None:
    unswept.edit(sweep={"grid": {"max_length": [96, 128], "rank": [4]}})

    data = unswept.run("data", "recipe.yaml")

    assert data.code == 0, data.err
    assert "of the sweep's settings, max_length 96: 60 rows are trained" in " ".join(
        data.out.split()
    )


def test_a_run_that_chose_nothing_names_no_method(unswept: Project) -> None:
    outcome = unswept.run("run", "recipe.yaml", "--until", "data")

    assert outcome.code == 0, outcome.err
    assert report(unswept.folder / ".recipe")["method"] == "2 settings of a sweep on base"


def test_rows_have_to_fit_every_setting_and_not_a_method_that_none_has(unswept: Project) -> None:
    unswept.edit(method__max_length=8, sweep={"grid": {"max_length": [96, 128]}})
    fits = unswept.run("run", "recipe.yaml", "--until", "baseline")
    unswept.edit(sweep={"grid": {"max_length": [8, 128]}}, method__max_length=128)
    short = unswept.run("run", "recipe.yaml", "--until", "baseline", "--force", "baseline")
    shown = unswept.run("data", "recipe.yaml")

    assert fits.code == 0, fits.err
    assert "D390" in short.err
    assert "over 8" in shown.out


def test_an_accepted_sweep_is_reproduced_exactly_with_the_seed_that_was_chosen(
    unswept: Project,
) -> None:
    unswept.edit(sweep={"list": [{"seed": 9}, {"learning_rate": 1e-7, "epochs": 1, "seed": 8}]})
    assert unswept.run("run", "recipe.yaml").code == 0
    lock = json.loads((unswept.folder / "recipe.lock.json").read_text("utf-8"))

    other = unswept.run("run", "recipe.yaml", "--store", "other", "--frozen")

    assert lock["accepted"]["recipe"]["seed"] == 9
    assert other.code == 0, other.err
    assert report(unswept.folder / "other")["reproduction"]["verdict"] == "reproduced exactly"
