"""A lock whose accepted run says something that is not so is never called reproduced exactly, and the fact is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import Repeat, Reproduction, StageRecord, StageStatus
from engine.files.typed_json import from_json
from engine.lock.file import Accepted
from engine.lock.policy import missing_facts
from engine.lock.reproduction import RepeatedRun, reproduction_of
from engine.recipe import load_recipe
from engine.store import Store
from support.project import Project
from support.runs import report, run_folders

Facts = dict[str, Any]
LOCK = "recipe.lock.json"


@pytest.fixture(scope="module")
def repeating(accepted: Path) -> RepeatedRun:
    """The accepted run beside its own lock, as if each stage had been computed anew."""
    (folder,) = run_folders(accepted / ".recipe")
    stages = json.loads((folder / "run.json").read_text("utf-8"))["stages"]
    store = Store(accepted / ".recipe")
    made = {name: store.get(stage["key"]) for name, stage in stages.items()}
    lock = json.loads((accepted / LOCK).read_text("utf-8"))
    records = [
        StageRecord(stage=name, status=StageStatus.RAN, key="", reason="", seconds=0.0)
        for name in stages
    ]
    return RepeatedRun(
        recipe=load_recipe(accepted / "recipe.yaml")[0],
        accepted=from_json(Accepted, lock["accepted"]),
        artifacts={name: artifact for name, artifact in made.items() if artifact},
        records=records,
        outcome="accepted",
        error=None,
    )


def beside(repeating: RepeatedRun, facts: Facts) -> Reproduction:
    return reproduction_of(replace(repeating, accepted=from_json(Accepted, facts)))


def facts_of(accepted: Path) -> Facts:
    found: Facts = json.loads((accepted / LOCK).read_text("utf-8"))["accepted"]
    return found


def put(path: str, value: Any) -> Callable[[Facts], None]:
    """Set what stands at a path; `...` takes it out, a function is given what stands there."""

    def change(facts: Facts) -> None:
        *parents, last = (part.replace("~", "/") for part in path.split("/"))
        node = facts
        for part in parents:
            node = node[int(part) if isinstance(node, list) else part]
        if value is ...:
            del node[last]
        else:
            node[last] = value(node[last]) if callable(value) else value

    return change


def first_answer_other(entries: str) -> str:
    whole = bytearray(base64.b64decode(entries))
    whole[0] ^= 1
    return base64.b64encode(whole).decode()


OTHER = "0" * 64
FALSE: dict[str, tuple[Callable[[Facts], None], str]] = {
    "better value": (put("metrics/macro_f1/value", lambda old: old + 0.01), "metrics.macro_f1"),
    "better value and interval": (
        put("metrics/macro_f1", {"value": 0.99, "low": 0.97, "high": 1.0, "n": 40}),
        "metrics.macro_f1",
    ),
    "a metric of probabilities": (put("metrics/ece/value", 0.0), "ece"),
    "higher end": (put("metrics/macro_f1/high", 1.0), "interval of macro_f1"),
    "lower end": (put("metrics/macro_f1/low", 0.011), "interval of macro_f1"),
    "outside of its interval": (put("metrics/accuracy/low", 0.999), "outside of its interval"),
    "below the bound": (put("metrics/macro_f1/low", 0.001), "at least 0.01"),
    "rows of a metric": (put("metrics/macro_f1/n", 4000), "rows of macro_f1"),
    "a metric taken out": (put("metrics/accuracy", ...), "accuracy"),
    "the bounded metric taken out": (put("metrics/macro_f1", ...), "`metrics` has no `macro_f1`"),
    "a metric made up": (
        put("metrics/mmlu", {"value": 1.0, "low": None, "high": None, "n": 9}),
        "mmlu",
    ),
    "gate": (put("verdicts/gate", "fail"), "`verdicts.gate` is `fail`"),
    "no gate": (put("verdicts/gate", ...), "`verdicts` has no `gate`"),
    "verify": (put("verdicts/verify", "inconclusive"), "verdicts.verify"),
    "no verify": (put("verdicts/verify", ...), "verdict of verify"),
    "rows": (put("rows", 139), "fingerprints"),
    "rows without fingerprints": (
        lambda facts: facts.update(rows=5000, fingerprints=None),
        "rows is 5000",
    ),
    "source": (put("sources/0/name", "others.csv"), "sources"),
    "holdout": (put("splits/holdout", OTHER), "holdout rows"),
    "train": (put("splits/train", OTHER), "train rows"),
    "config": (put("config", OTHER), "backend config"),
    "precision": (put("precision", "bf16"), "precision"),
    "threads": (put("threads", 99), "threads"),
    "hardware": (put("hardware/cores", 512), "cores"),
    "version": (put("versions/torch", "1.0.0"), "torch"),
    "base model": (put("base_model/files/config.json", OTHER), "config.json"),
    "reference": (put("base_model/reference/path", "elsewhere"), "reference"),
    "seed": (put("recipe/seed", 8), "method.seed"),
    "an answer": (put("answers/entries", first_answer_other), ""),
    "fewer answers": (put("answers/rows", 39), "answers.entries"),
    "no answers": (put("answers", {"way": "answers", "rows": 0, "entries": ""}), "answers"),
    "predictions": (put("predictions/holdout", OTHER), "answers of holdout"),
    "merged predictions": (put("predictions/merged", ...), "answers of merged"),
    "adapter": (put("adapter/adapter~adapter_model.safetensors", OTHER), "adapter_model"),
    "no adapter": (put("adapter", {}), "`adapter` is empty"),
    "a file": (put("files/model-Q4_K_M.gguf", OTHER), "model-Q4_K_M.gguf"),
    "no file": (put("files/model-Q4_K_M.gguf", ...), "model-Q4_K_M.gguf"),
    "no digest": (put("files/model-Q4_K_M.gguf", "abc"), "is no sha256"),
    "merged": (put("merged", {}), "merged"),
    "seeds made up": (
        put("seeds", [{"seed": 8, "agreement": 1.0, "metrics": {"macro_f1": 1.0}}]),
        "`spread` is empty beside 1 further seeds",
    ),
    "spread made up": (
        put("spread", {"macro_f1": {"mean": 1.0, "deviation": 0.0}}),
        "`spread.macro_f1` stands on seeds that are not there",
    ),
    "no versions": (put("versions", {}), "torch"),
    "no hardware": (put("hardware", {}), "hardware device"),
    "no base model": (put("base_model/files", {}), "base model files"),
    "no fingerprints": (put("fingerprints", None), "data fingerprints"),
    "revision of a stage": (put("stages/train", 99), "revision of train"),
    "finished": (put("finished", "2999-01-01T00:00:00+00:00"), "still to come"),
}


def test_beside_its_own_lock_a_run_is_exact(repeating: RepeatedRun, accepted: Path) -> None:
    found = beside(repeating, facts_of(accepted))

    assert found.verdict is Repeat.EXACT, found.summary
    assert found.first_difference == ""


@pytest.mark.parametrize("name", FALSE)
def test_a_false_fact_is_named_and_nothing_is_exact(
    name: str, repeating: RepeatedRun, accepted: Path
) -> None:
    change, named = FALSE[name]
    facts = facts_of(accepted)
    change(facts)

    found = beside(repeating, facts)

    assert found.verdict in (Repeat.NOT, Repeat.WITHIN_NOISE), found.summary
    assert not found.summary.startswith("reproduced exactly")
    told = " ".join(
        [found.summary, *(f"{one.part} {one.name}" for one in found.compared if not one.equal)]
    )
    assert named in told
    assert facts == facts_of(accepted) or found.first_difference or "contradicts itself" in told


@pytest.mark.parametrize(
    "name",
    ["better value", "higher end", "lower end", "no verify", "rows of a metric", "gate"],
)
def test_false_results_of_the_very_model_are_not_noise(
    name: str, repeating: RepeatedRun, accepted: Path
) -> None:
    facts = facts_of(accepted)
    FALSE[name][0](facts)

    assert beside(repeating, facts).verdict is Repeat.NOT


def test_the_command_names_the_false_number_and_a_frozen_run_is_refused(finished: Project) -> None:
    path = finished.folder / LOCK
    whole = json.loads(path.read_text("utf-8"))
    put("metrics/macro_f1/high", 1.0)(whole["accepted"])
    path.write_text(json.dumps(whole), encoding="utf-8")

    plain = finished.run("run", "recipe.yaml")
    frozen = finished.run("run", "recipe.yaml", "--frozen")
    found = report(finished.folder / ".recipe")["reproduction"]
    put("metrics/macro_f1/value", 2.0)(whole["accepted"])
    path.write_text(json.dumps(whole), encoding="utf-8")
    contradictory = finished.run("run", "recipe.yaml", "--frozen")
    planned = finished.run("plan", "recipe.yaml")

    assert plain.code == 0
    assert (
        "not reproduced: adapter, merged model and model-Q4_K_M.gguf have the digests"
        in " ".join(plain.out.split())
    )
    assert "interval of macro_f1" in plain.out
    assert (found["verdict"], frozen.code) == ("not reproduced", 1)
    assert contradictory.code == 2
    assert "D389" in contradictory.err
    assert "contradicts itself: `metrics.macro_f1` is 2.0, outside of its interval" in " ".join(
        contradictory.err.split()
    )
    assert "its accepted run contradicts itself" in planned.out


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("versions", {}, "the version of slm-recipe, python"),
        ("fingerprints", None, "`fingerprints`"),
        ("sources", [], "the bytes of any source"),
        ("sources/0/sha256", None, "the bytes of"),
        ("hardware", {}, "`hardware`"),
        ("stages", ..., "`stages`"),
        ("merged", {}, "`merged`"),
        ("files", {}, "`files`"),
        ("base_model/files", {}, "`base_model.files`"),
    ],
)
def test_a_frozen_run_refuses_a_lock_that_lacks_a_fact(
    path: str, value: Any, named: str, accepted: Path
) -> None:
    facts = facts_of(accepted)
    put(path, value)(facts)
    recipe = load_recipe(accepted / "recipe.yaml")[0]

    told = list(missing_facts(recipe, from_json(Accepted, facts)))

    assert len(told) == 1
    assert named in told[0]
    assert not list(missing_facts(recipe, from_json(Accepted, facts_of(accepted))))


def test_a_frozen_run_on_a_warm_store_is_no_reproduction(finished: Project) -> None:
    outcome = finished.run("run", "recipe.yaml", "--frozen")

    assert "reused, not reproduced" in outcome.out
    assert outcome.code == 1


def test_a_frozen_run_refuses_other_code_of_a_stage(finished: Project) -> None:
    path = finished.folder / LOCK
    whole = json.loads(path.read_text("utf-8"))
    put("stages/data", 99)(whole["accepted"])
    path.write_text(json.dumps(whole), encoding="utf-8")

    outcome = finished.run("run", "recipe.yaml", "--frozen")

    assert "D389" in outcome.err
    assert "stage `data` has revision" in outcome.err
