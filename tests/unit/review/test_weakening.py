"""Every key of the recipe language says what it decides, and what change of it weakens the evidence."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.codes import all_codes
from engine.evidence.review import Area, Gate
from engine.recipe import check_recipe, dump_resolved
from engine.recipe.validation.schema import (
    ORDER,
    Weakening,
    Weaker,
    expand,
    recipe_schema,
    walk,
    weakenings,
)
from engine.review.compare import form_of
from engine.review.findings import review
from engine.review.version import Disk, load_side, try_side
from engine.review.weakening import weakens
from support.paths import ROOT
from support.recipe_pairs import CPU, cases

KEYS = {form_of(path): schema for path, schema in walk(recipe_schema())}


def below(form: str) -> list[str]:
    return [key for key in KEYS if key.startswith((f"{form}.", f"{form}[]"))]


def is_value(form: str) -> bool:
    """Whether a recipe can write a plain value there, and not only a mapping or a list of keys."""
    schema: Any = KEYS[form]
    forms = [schema, *map(expand, schema.get("oneOf", ())), *map(expand, schema.get("anyOf", ()))]
    return not below(form) or any("enum" in one for one in forms)


def test_every_key_of_the_schema_says_what_weakens_the_evidence() -> None:
    """A new key: write `x-weaker` into its schema; engine/recipe/validation/schema.py lists the directions."""
    missing = [form for form in KEYS if is_value(form) and form not in weakenings()]

    assert missing == []


def test_nothing_is_reported_of_a_key_that_is_not_there() -> None:
    assert [form for form in weakenings() if form not in KEYS] == []


def test_a_direction_that_a_number_decides_has_a_code() -> None:
    named = {
        Weaker.LOWER,
        Weaker.HIGHER,
        Weaker.FEWER,
        Weaker.RELAXED,
        Weaker.OFF,
        Weaker.ON,
        Weaker.CHANGED,
    }

    assert [
        form for form, key in weakenings().items() if (key.weaker in named) is (not key.code)
    ] == []


@pytest.mark.parametrize("form", [form for form in KEYS if "checks." in form])
def test_every_action_of_a_check_has_its_place_in_the_order(form: str) -> None:
    assert set(KEYS[form]["enum"]) <= set(ORDER)
    assert weakenings()[form].weaker is Weaker.RELAXED


def test_codes_of_findings_have_a_page() -> None:
    codes = {code for one in weakenings().values() for code in (one.code, one.gone) if code}

    assert codes <= set(all_codes())


@pytest.mark.parametrize(
    ("weaker", "before", "after", "weakened"),
    [
        (Weaker.LOWER, 0.8, 0.7, True),
        (Weaker.LOWER, 0.7, 0.8, False),
        (Weaker.LOWER, 0.7, None, True),
        (Weaker.LOWER, None, 0.7, False),
        (Weaker.HIGHER, 0.1, 0.2, True),
        (Weaker.HIGHER, 0.2, 0, False),
        (Weaker.HIGHER, 0.2, None, True),
        (Weaker.FEWER, 50, 0, False),
        (Weaker.FEWER, 0, 50, True),
        (Weaker.ON, False, True, True),
        (Weaker.ON, True, False, False),
        (Weaker.OFF, True, False, True),
        (Weaker.OFF, False, True, False),
        (Weaker.CHANGED, "a", "b", True),
        (Weaker.NEVER, 1, 2, None),
        *((Weaker.RELAXED, one, two, True) for one, two in pairwise(ORDER)),
        *((Weaker.RELAXED, two, one, False) for one, two in pairwise(ORDER)),
    ],
)  # fmt: skip
def test_each_direction_is_read_as_it_is_named(
    weaker: Weaker, before: Any, after: Any, weakened: bool | None
) -> None:
    key = Weakening(area=Area.GATE, weaker=weaker, code="W101")

    assert weakens(key, before, after) is weakened


# Which of several waivers accepts a weakening: a fresh one, whatever older ones stand beside it.
OLD = "  - {what: acceptance, why: The first rows were too easy.}\n"


@pytest.mark.parametrize(
    ("added", "gate"),
    [
        ("  - {what: W101, why: Half of the class was mislabelled.}\n", Gate.WAIVED),
        ("  - {what: W101, why: 'the first rows were too easy'}\n", Gate.WEAKER),
        ("", Gate.WEAKER),
    ],
)
def test_only_a_new_reason_accepts(added: str, gate: Gate, tmp_path: Path) -> None:
    case = next(one for one in cases() if one.name == "a minimum is lowered")
    old, new = case.write(tmp_path)
    for path, more in ((old, ""), (new, added)):
        path.write_text(f"{path.read_text('utf-8')}\nwaivers:\n{OLD}{more}", encoding="utf-8")
    sides = [load_side(path, Disk(), label=path.name) for path in (old, new)]

    assert review(*sides, device=CPU).gate is gate


# A recipe, and the same with every default written out, mean the same: all shipped ones and all examples.
FILES = sorted((ROOT / "recipes").glob("*.yaml"))
FILES += sorted((ROOT / "tests" / "examples" / "valid").glob("*.yaml"))


LISTED = {"sources"}
"""Their resolved form lists the files that a pattern matches now: another recipe, with the same rows."""


def test_the_recipes_are_found() -> None:
    assert len(FILES) > 25


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_defaults_written_out_change_nothing(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set" / path.parent.name
    # A lock there may be is that of the one recipe and not of the other.
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.lock.json"))
    for beside in ("data", "shared"):
        source = path.parent.parent / beside
        # Beside a checkout, a link may lead to anything.
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder.parent / beside)
    old = folder / path.name
    recipe, _ = check_recipe(old)
    if recipe is None:
        pytest.skip("a parent, or its files are made elsewhere")
    new = folder / f"resolved-{path.name}"
    new.write_text(dump_resolved(recipe), encoding="utf-8")

    found = [try_side(one, Disk(), label=one.name)[0] for one in (old, new)]
    sides = [side for side in found if side is not None]
    if len(sides) < 2:
        pytest.skip("its backend refuses it, or its resolved form says what only a default may say")
    result = review(*sides, device=CPU)

    assert result.gate is Gate.STAYS
    if path.stem in LISTED:
        return
    assert (result.findings, result.changes) == ((), ())
    assert result.reruns == ()
