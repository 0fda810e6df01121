"""A lock whose accepted run says something that is not so is never called reproduced exactly, and the fact is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import Repeat, Reproduction
from engine.lock.file import Accepted
from engine.lock.policy import missing_facts
from engine.lock.reproduction import RepeatedRun, reproduction_of
from engine.recipe import load_recipe
from engine.values import from_json, replace
from support.false_locks import FALSE, LOCK, Facts, put
from support.project import Project
from support.runs import report
from support.tampered_reproductions import CASES, EXACT, Case, Repetition, material, repeated_run

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module", name="repeated")
def the_repeating_run(accepted: Path) -> RepeatedRun:
    """The accepted run beside its own lock, as if each stage had been computed anew."""
    return repeated_run(accepted)


def beside(repeated: RepeatedRun, facts: Facts) -> Reproduction:
    return reproduction_of(replace(repeated, accepted=from_json(Accepted, facts)))


def facts_of(accepted: Path) -> Facts:
    found: Facts = json.loads((accepted / LOCK).read_text("utf-8"))["accepted"]
    return found


def test_beside_its_own_lock_a_run_is_exact(repeated: RepeatedRun, accepted: Path) -> None:
    found = beside(repeated, facts_of(accepted))

    assert found.verdict is Repeat.EXACT, found.summary
    assert found.first_difference == ""


@pytest.mark.parametrize("name", FALSE)
def test_a_false_fact_is_named_and_nothing_is_exact(
    name: str, repeated: RepeatedRun, accepted: Path
) -> None:
    change, named = FALSE[name]
    facts = facts_of(accepted)
    change(facts)

    found = beside(repeated, facts)

    assert found.verdict in (Repeat.NOT, Repeat.WITHIN_NOISE), found.summary
    assert not found.summary.startswith("reproduced exactly")
    summary = " ".join(
        [found.summary, *(f"{one.part} {one.name}" for one in found.compared if not one.equal)]
    )
    assert named in summary
    assert facts == facts_of(accepted) or found.first_difference or "contradicts itself" in summary


@pytest.mark.parametrize(
    "name",
    ["better value", "higher end", "lower end", "no verify", "rows of a metric", "gate"],
)
def test_false_results_of_the_very_model_are_not_noise(
    name: str, repeated: RepeatedRun, accepted: Path
) -> None:
    facts = facts_of(accepted)
    FALSE[name][0](facts)

    assert beside(repeated, facts).verdict is Repeat.NOT


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

    missing = list(missing_facts(recipe, from_json(Accepted, facts)))

    assert len(missing) == 1
    assert named in missing[0]
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


# No tampered reproduction is called one: the whole table, case by case.
@pytest.fixture(scope="module")
def repetition(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Repetition:
    """The run that all cases repeat."""
    return material(tmp_path_factory.mktemp("repetition"))


@pytest.mark.sampled(6)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tampered_reproduction_is_not_accepted(
    case: Case, repetition: Repetition, tmp_path: Path
) -> None:
    assert case.got(repetition, tmp_path) == case.expected


def test_the_table_has_sixty_tampered_locks() -> None:
    locks = [case for case in CASES if case.group == "lock" and case.expected != EXACT]

    assert len(locks) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
