"""However a recipe is broken, checking it ends in problems, never in a traceback."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.codes import all_codes
from engine.recipe import check_recipe, dump_resolved
from support.paths import EXAMPLES, ROOT
from support.project import BASE

WHOLES: list[dict[str, Any]] = [
    yaml.safe_load(path.read_text("utf-8")) for path in sorted((EXAMPLES / "valid").glob("*.yaml"))
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 5000)
    | st.floats(-2, 2)
    | st.sampled_from(
        ["", "1", "no", "text", "full", "{text", "\x1b", "a/b", "..", "~", "f1.x", "off"]
    )
    | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, below in inside for place in places(below, (*path, key)))]


PLACES = sorted({place for whole in WHOLES for place in places(whole) if place}, key=str)


def change(recipe: Any, place: tuple[Any, ...], value: Any, *, remove: bool) -> None:
    try:
        for key in place[:-1]:
            recipe = recipe[key]
        if remove:
            del recipe[place[-1]]
        else:
            recipe[place[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


CHANGES = st.lists(st.tuples(st.sampled_from(PLACES), VALUES, st.booleans()), max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(WHOLES), CHANGES)
def test_a_changed_recipe_is_checked_to_the_end(
    whole: dict[str, Any], changes: list[tuple[Any, Any, bool]]
) -> None:
    recipe = copy.deepcopy(whole)
    for place, value, remove in changes:
        change(recipe, place, value, remove=remove)
    path = Path("r.yaml")
    path.write_text(yaml.safe_dump(recipe, allow_unicode=False), encoding="utf-8")

    resolved, problems = check_recipe(path)

    assert {problem.code for problem in problems} <= set(all_codes())
    assert all(problem.headline() and problem.place for problem in problems)
    assert resolved is None or dump_resolved(resolved)


def numbers(section: Any, schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place below a section that takes a number."""
    section = schema["$defs"][section["$ref"].split("/")[-1]] if "$ref" in section else section
    if section.get("type") in ("number", "integer"):
        yield path
    for key, below in section.get("properties", {}).items():
        yield from numbers(below, schema, (*path, key))


SCHEMA = json.loads((ROOT / "schemas" / "recipe.schema.json").read_text("utf-8"))
SECTIONS = ("method", "splits", "acceptance", "export", "learning_curve")
NUMBERS = [
    (section, *place)
    for section in SECTIONS
    for place in numbers(SCHEMA["properties"][section], SCHEMA)
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("place", NUMBERS, ids=".".join)
def test_what_a_number_leads_to_is_a_recipe_too(place: tuple[str, ...]) -> None:
    first, second = Path("a.yaml"), Path("b.yaml")
    for value in (0, 1, 2, 50, 5000, 0.01, 0.5):
        written = yaml.safe_load((EXAMPLES / "valid" / "minimal.yaml").read_text("utf-8"))
        written |= {"base_model": {"hub": "a/b"}, "method": {"kind": "lora"}}
        written["data"]["sources"] = [{"hub": "a/b", "split": "x"}]
        below = written
        for key in place[:-1]:
            below = below.setdefault(key, {})
        below[place[-1]] = value
        first.write_text(yaml.safe_dump(written), encoding="utf-8")
        recipe, _ = check_recipe(first)
        if recipe is None:
            continue

        second.write_text(dump_resolved(recipe), encoding="utf-8")
        again, problems = check_recipe(second)

        assert again is not None, (value, problems)
        assert dump_resolved(again) == dump_resolved(recipe), value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_any_text_survives_writing_the_resolved_recipe(instruction: str, system: str) -> None:
    recipe = yaml.safe_load((EXAMPLES / "valid" / "everything.yaml").read_text("utf-8"))
    recipe["task"] |= {"instruction": instruction, "system": system}
    recipe["base_model"] = {"hub": "a/b"}
    recipe["data"]["sources"] = [{"hub": "a/b", "split": "x"}]
    first, second = Path("a.yaml"), Path("b.yaml")
    first.write_text(yaml.safe_dump(recipe, allow_unicode=False), encoding="utf-8")
    loaded, _ = check_recipe(first)
    if loaded is None:
        return

    second.write_text(dump_resolved(loaded), encoding="utf-8")
    again, _ = check_recipe(second)

    assert again is not None
    assert loaded.task == again.task


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "baselines",
    [
        [{}],
        [{"model": None}],
        [{"endpoint": None}],
        [{"few_shot": {}, "model": {}}],
        [["few_shot"]],
    ],
    ids=str,
)
@pytest.mark.parametrize("whole", WHOLES, ids=range(len(WHOLES)))
def test_what_is_no_baseline_is_reported(whole: dict[str, Any], baselines: list[Any]) -> None:
    path = Path("r.yaml")
    path.write_text(yaml.safe_dump({**whole, "baselines": baselines}), encoding="utf-8")

    resolved, problems = check_recipe(path)

    assert resolved is None
    assert problems


@pytest.mark.sampled(3)
@pytest.mark.parametrize("value", [None, {}, [None]], ids=repr)
def test_any_key_may_be_missing_or_of_any_type(value: object, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    for key in (*BASE, "sweep", "waivers", "extends"):
        for content in ({**BASE, key: value}, {k: v for k, v in BASE.items() if k != key}):
            path.write_text(yaml.safe_dump(content), encoding="utf-8")

            check_recipe(path)
    for key, section in BASE.items():
        for name in section if isinstance(section, dict) else ():
            path.write_text(yaml.safe_dump({**BASE, key: {**section, name: value}}))

            check_recipe(path)


MANY: dict[str, dict[str, Any]] = {
    "unknown keys": {f"key_{number}": 1 for number in range(15_000)},
    "entries of another kind": {"waivers": ["x"] * 15_000},
    "entries that are compared": {
        "baselines": [{"name": "majority", "a": n} for n in range(5_000)]
    },
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", MANY)
def test_a_recipe_of_thousands_of_mistakes_is_checked_within_seconds(what: str) -> None:
    """Every pair of them was looked at, or the whole schema for each: minutes."""
    path = Path("r.yaml")
    path.write_text(yaml.safe_dump({**BASE, **MANY[what]}), encoding="utf-8")
    before = time.process_time()

    _, problems = check_recipe(path)

    assert problems
    assert time.process_time() - before < 15
