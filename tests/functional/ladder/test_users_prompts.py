"""Whole runs: what users of the exported model send is what was trained and judged, or nothing is trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.runtime.models import merge
from support.model_families import Family, make_family
from support.pico import CHAT_TEMPLATE
from support.project import Outcome, Project
from support.runs import forget, report

pytestmark = pytest.mark.thorough

FORMATS = {"formats": ["safetensors", "gguf", "ollama"], "quantization": "Q8_0"}
R1 = Family(template="deepseek_r1_distill", special=(), eos="")


def with_base(project: Project, make: Callable[[Path], object]) -> Path:
    """Give the project a base model of its own."""
    base = project.folder / "base"
    base.unlink()
    make(base)
    return base


def run(project: Project) -> Outcome:
    return project.run("run", str(project.recipe), "--store", str(project.folder / ".recipe"))


def trained(project: Project) -> bool:
    return any((project.folder / ".recipe").rglob("train.log"))


def checks(found: dict[str, Any], rung: str) -> dict[str, tuple[str, float]]:
    """Status and measurement of a rung's checks."""
    (one,) = [one for one in found["ladder"] if one["name"] == rung]
    return {check["name"]: (check["status"], check["got"]) for check in one["verdict"]["checks"]}


@pytest.mark.parametrize(
    ("name", "faults"),
    [("qwen3", {}), ("llama32", {"adds_bos": True, "stale": True})],
    ids=["writes a block before past answers", "adds a BOS, and has two templates and the date"],
)
def test_a_model_whose_template_differs_from_its_past_answers_leaves_in_every_form(
    project: Project, name: str, faults: dict[str, bool]
) -> None:
    with_base(project, lambda base: make_family(base, name, **faults))
    project.edit(export=FORMATS)

    outcome = run(project)

    assert outcome.code == 0, outcome.err
    found = checks(report(project.folder / ".recipe"), "Q8_0")
    for place in ("", ".training", ".ollama", ".template", ".users"):
        assert found[f"token_parity{place}"] == ("pass", 1.0)
    assert found["weights"] == ("pass", 1.0)
    (folder,) = (project.folder / ".recipe" / "runs").glob("*/*/model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert (config["add_bos_token"], "chat_template" in config) == (False, False)


@pytest.mark.parametrize("system", ["", "You sort messages."], ids=["no system", "system"])
@pytest.mark.parametrize("name", ["gemma2", "gemma3", "phi3", "smollm2"])
def test_the_template_of_each_family_leaves_as_it_was_trained_or_nothing_is_trained(
    project: Project, name: str, system: str
) -> None:
    with_base(project, lambda base: make_family(base, name))
    project.edit(export=FORMATS, **({"task__system": system} if system else {}))

    outcome = run(project)

    if not trained(project):
        assert (outcome.code, name, bool(system)) == (3, "gemma2", True), outcome.err
        assert "system turn" in outcome.out + outcome.err
        return
    assert outcome.code == 0, outcome.err
    found = checks(report(project.folder / ".recipe"), "Q8_0")
    for place in ("", ".training", ".ollama", ".template", ".users", ".corpus"):
        assert found[f"token_parity{place}"] == ("pass", 1.0)


def test_a_template_that_starts_to_think_is_refused_before_training(
    project: Project, pico: Path
) -> None:
    base = with_base(project, lambda base: shutil.copytree(pico, base))
    (base / "chat_template.jinja").write_text(R1.text())

    outcome = run(project)

    assert outcome.code == 3, outcome.err
    assert "X671" in outcome.out + outcome.err
    assert not trained(project)


def test_a_model_that_could_never_end_its_turn_is_refused_before_training(
    project: Project, pico: Path
) -> None:
    base = with_base(project, lambda base: shutil.copytree(pico, base))
    endless = CHAT_TEMPLATE.replace("'<|im_end|>' + ", "")
    (base / "chat_template.jinja").write_text(endless)
    config = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": None}))

    outcome = run(project)

    assert outcome.code != 0
    assert "D391" in outcome.out + outcome.err
    assert not trained(project)


def test_a_merge_that_is_wrong_by_a_tenth_ends_the_run(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(finished.folder / ".recipe", "merge")
    whole = merge._Pair.delta
    monkeypatch.setattr(merge._Pair, "delta", lambda pair: whole(pair) * 0.9)

    outcome = run(finished)

    assert outcome.code == 3, outcome.err
    assert "X673" in outcome.out + outcome.err


def test_free_output_is_shown_beside_constrained_output(finished: Project) -> None:
    found = report(finished.folder / ".recipe")

    gate = {check["name"]: check["status"] for check in found["gate"]["checks"]}
    assert gate["free_output"] in {"pass", "warn"}
    assert "free_output" in checks(found, found["ladder"][-1]["name"])
