"""Pairs of recipes with their expected findings: every way to weaken a gate, and edits that weaken nothing."""

from pathlib import Path

import pytest

from engine.codes import all_codes
from engine.evidence.review import Effect, Gate, Review
from engine.recipe.validation.schema import weakenings
from engine.review.findings import review
from engine.review.version import Disk, load_side
from support.recipe_pairs import CPU, Case, cases

ALL = cases()
HARMLESS = [case for case in ALL if case.group.startswith("harmless")]
PAIRS = [case for case in ALL if case not in HARMLESS]


OF_REPOSITORIES = {"W119", "W120", "W121"}
"""Found by `recipe ci` without a comparison."""


def reviewed(case: Case, folder: Path) -> Review:
    old, new = case.write(folder)
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    return review(*sides, device=CPU)


def found(result: Review, *effects: Effect) -> list[str]:
    return sorted(
        f"{one.code} {one.path}{' redrawn' if one.effect is Effect.REDRAWN else ''}"
        for one in result.findings
        if one.effect in effects
    )


def test_the_pairs_are_found() -> None:
    assert len(PAIRS) >= 60
    assert len(HARMLESS) >= 20
    assert len({case.name for case in ALL}) == len(ALL)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_no_weakening_is_missed(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    is_redrawn = all(line.endswith(" redrawn") for line in case.expect)
    assert found(result, Effect.WEAKER, Effect.REDRAWN) == sorted(case.expect)
    assert found(result, Effect.STRONGER) == sorted(case.also)
    assert result.gate is (Gate.REDRAWN if is_redrawn else Gate.WEAKER)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.name)
def test_no_alarm_is_false(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    assert found(result, Effect.WEAKER, Effect.REDRAWN) == []
    assert found(result, Effect.STRONGER) == sorted(case.also)
    assert result.gate in (Gate.STAYS, Gate.STRONGER)


def test_every_key_of_training_is_changed_by_a_pair() -> None:
    """A key that nobody tried may have any direction. Pins and files are judged as those of all sources are."""
    changed = {key for case in ALL for key in case.changed_keys()}
    sections = (
        "method.",
        "base_model.scratch.",
        "base_model.keep_layers",
        "teacher.",
        "data.replay.",
    )
    pins = ("hub", "revision", "path", "package", "sha256", "file", "gguf", "endpoint", "model")
    tried = {
        key
        for key in weakenings()
        if key.startswith(sections)
        and not key.startswith(("teacher.inputs.sources", "data.replay.sources"))
        and key.rpartition(".")[2] not in (*pins, "name", "api_key_env", "input", "output", "price")
    }

    assert {
        key for key in tried if key.removesuffix(".*").removesuffix("[]") not in changed
    } == set()


def test_every_code_of_a_weaker_gate_is_expected_by_a_pair() -> None:
    expected = {line.split()[0] for case in PAIRS for line in case.expect}

    assert expected == {code for code in all_codes() if code.startswith("W")} - OF_REPOSITORIES


SAME = ("comments", "another order of the sections", "block style", "flow style", "quotes",
        "blank lines and indentation", "defaults written out", "defaults left out",
        "numbers written otherwise", "another order of formats", "another order of bins")  # fmt: skip


@pytest.mark.parametrize("case", [c for c in HARMLESS if c.name in SAME], ids=lambda c: c.name)
def test_what_only_looks_otherwise_means_the_same(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    assert result.changes == ()
    assert result.reruns == ()
    assert result.is_empty


def test_a_value_of_a_named_item_is_not_called_a_default(tmp_path: Path) -> None:
    (case,) = (one for one in PAIRS if one.name == "fewer probes are asked")

    (finding,) = reviewed(case, tmp_path).findings

    assert (finding.before, finding.after) == ("500", "50")
