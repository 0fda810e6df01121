"""The schema is documented, closed, and says the same as the values."""

import json
from typing import Any, Final, get_args

import pytest
from jsonschema import Draft202012Validator

from engine.kinds import KINDS
from engine.recipe import load_recipe, model, resolved_mapping
from engine.recipe.patterns import validator
from engine.recipe.validation.schema import (
    expand,
    recipe_schema,
    recipes_dir,
    schema_text,
    walk,
    with_defaults,
)
from engine.recipe.validation.schema_errors import SchemaError, schema_errors
from engine.values import fields
from support.paths import EXAMPLES

KEYS = list(walk(recipe_schema()))
OPTIONAL = [
    ((*path, name), expand(below))
    for path, schema in [((), recipe_schema()), *KEYS]
    for name, below in schema.get("properties", {}).items()
    if name not in schema.get("required", ())
]


def label(path: tuple[str, ...]) -> str:
    return ".".join(path)


def test_it_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text("recipe.schema.json")))


def test_every_key_is_described() -> None:
    ends = {label(path): schema.get("description", "")[-1:] for path, schema in KEYS}
    without_example = {
        label(path)
        for path, schema in KEYS
        if path[-1] not in ("[]", "*") and not schema.get("examples")
    }

    assert {key: end for key, end in ends.items() if end not in {".", "?", "}"}} == {}
    assert without_example == set()


def test_every_example_and_default_fits() -> None:
    found = {}
    for path, schema in KEYS:
        default = [schema["default"]] if "default" in schema else []
        check = Draft202012Validator({**schema, "$defs": recipe_schema()["$defs"]})
        for sample in (*schema.get("examples", ()), *default):
            found[label(path), str(sample)] = [one.message for one in check.iter_errors(sample)]

    assert {sample: errors for sample, errors in found.items() if errors} == {}


def test_every_optional_key_says_what_its_absence_means() -> None:
    says_nothing = {
        label(path)
        for path, schema in OPTIONAL
        if not ("default" in schema or "x-default" in schema or _fills(schema))
        and path[-2:-1] not in [("base_model",), ("[]",)]
    }

    assert says_nothing == set()


def _fills(schema: Any) -> bool:
    return schema.get("type") == "object" and not schema.get("required")


def test_every_mapping_is_closed_but_the_backends_own() -> None:
    left_open = {
        path
        for path, schema in KEYS
        if schema.get("type") == "object" and "additionalProperties" not in schema
    }

    assert left_open <= OPEN


OPEN = {("backend", "overrides"), ("task", "schema")}
"""What stands in these is written in another language than ours."""
RENAMED = {
    ("Source", "ref"): {"hub", "revision", "path", "sha256", "package", "file"},
    ("Source", "hub_file"): {"file"},
    ("Acceptance", "max_overfitting_gap"): {"overfitting"},
    ("Export", "max_drops"): {"after_quantization"},
    ("Export", "thresholds"): {"after_quantization"},
    ("Export", "quantizations"): {"quantization"},
    ("Export", "min_parity"): {"parity"},
    ("Recipe", "file"): set(),
    ("Recipe", "method_defaults"): set(),
    ("Splits", "column"): {"by"},
    ("AgainstTeacher", "drops"): set(),
    ("AgainstTeacher", "max_parameters"): {"parameters"},
    ("AgainstTeacher", "min_speed"): {"rows_per_second"},
    ("Teacher", "min_confidence"): {"keep"},
    ("Teacher", "soft"): {"targets", "temperature", "weight", "compare_with_answers"},
}
PAIRS = [
    (model.Recipe, (), {"recipe"}),
    (model.Task, ("task",), set()),
    (model.Teacher, ("teacher",), set()),
    (model.TeacherInputs, ("teacher", "inputs"), set()),
    (model.Data, ("data",), set()),
    (model.Source, ("data", "sources", "[]"), set()),
    (model.LabelSpec, ("data", "label"), set()),
    (model.AnswerSpec, ("data", "answer"), set()),
    (model.SpanSpec, ("data", "answer", "spans"), set()),
    (model.TagSpec, ("data", "answer", "tags"), set()),
    (model.MessagesSpec, ("data", "messages"), set()),
    (model.PairSpec, ("data", "pair"), set()),
    (model.Sample, ("data", "sample"), set()),
    (model.Checks, ("data", "checks"), set()),
    (model.Splits, ("splits",), set()),
    (model.Method, ("method",), set()),
    (model.EarlyStopping, ("method", "early_stopping"), set()),
    (model.Acceptance, ("acceptance",), set()),
    (model.AgainstTeacher, ("acceptance", "against_teacher"), set()),
    (model.Forgetting, ("acceptance", "forgetting"), set()),
    (model.Drift, ("acceptance", "drift"), set()),
    (model.Preference, ("method", "preference"), set()),
    (model.Export, ("export",), set()),
    (model.Backend, ("backend",), set()),
    (model.Waiver, ("waivers", "[]"), set()),
]


@pytest.mark.parametrize(("kind", "path", "also"), PAIRS, ids=str)
def test_schema_and_values_hold_the_same_keys(
    kind: type, path: tuple[str, ...], also: set[str]
) -> None:
    names = [RENAMED.get((kind.__name__, f.name), {f.name}) for f in fields(kind)]
    schema = dict(KEYS)[path] if path else recipe_schema()

    assert set(schema["properties"]) == set().union(also, *names)


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        (model.Task, "output", ("task", "output")),
        (model.Data, "shape", ("data", "shape")),
        (model.Source, "format", ("data", "sources", "[]", "format")),
        (model.Source, "quoting", ("data", "sources", "[]", "quoting")),
        (model.Method, "kind", ("method", "kind")),
        (model.Scheduler, "name", ("method", "scheduler", "name")),
        (model.Method, "keep", ("method", "keep")),
        (model.Acceptance, "decide_on", ("acceptance", "decide_on")),
        (model.Backend, "precision", ("backend", "precision")),
    ],
    ids=str,
)
def test_schema_and_dataclasses_allow_the_same_words(
    kind: type, name: str, path: tuple[str, ...]
) -> None:
    from typing import get_type_hints

    assert set(get_args(get_type_hints(kind)[name])) == set(dict(KEYS)[path]["enum"])


def test_the_schema_lists_every_kind_that_is_defined() -> None:
    assert list(KINDS) == dict(KEYS)["task", "kind"]["enum"]


def test_defaults_keep_the_order_of_the_users_own_keys() -> None:
    metrics = {f"f1.{name}": {"min": 0.5} for name in "zyxabc"}

    filled = with_defaults({"acceptance": {"metrics": metrics}})

    assert list(metrics) == list(filled["acceptance"]["metrics"])


def test_filling_defaults_leaves_what_does_not_fit_as_it_is() -> None:
    filled = with_defaults({"task": 3, "data": {"sources": "x"}, "y": {"z": [None]}})

    assert (filled["task"], filled["data"]["sources"], filled["y"]) == (3, "x", {"z": [None]})


def test_the_short_recipe_gets_the_documented_defaults() -> None:
    recipe, _ = load_recipe(EXAMPLES / "valid" / "minimal.yaml")

    method = recipe.method
    assert (
        method.rank,
        method.alpha,
        method.dropout,
        method.target_modules,
    ) == (16, 32, 0.0, "all_linear")
    assert (
        method.epochs,
        method.learning_rate,
        method.batch_size,
        method.micro_batch_size,
    ) == (8.0, 7e-4, 8, 8)
    assert (method.keep, method.early_stopping, method.seed) == ("last", None, 7)
    assert (
        recipe.backend.name,
        recipe.backend.precision,
        recipe.backend.overrides,
    ) == ("axolotl", "auto", ())


def test_full_fine_tuning_has_a_gentler_rate_and_no_adapter() -> None:
    recipe, _ = load_recipe(EXAMPLES / "valid" / "full_in_fractions.yaml")

    assert (
        recipe.method.learning_rate,
        recipe.method.rank,
        recipe.method.alpha,
        recipe.method.keep,
    ) == (1e-4, 0, 0, "last")
    assert "rank" not in resolved_mapping(recipe)["method"]


def test_the_schema_of_parts_requires_nothing() -> None:
    written = json.loads(schema_text("recipe-part.schema.json"))

    assert list(Draft202012Validator(written).iter_errors({"method": {"rank": 8}})) == []
    assert len(list(Draft202012Validator(written).iter_errors({"method": {"rnk": 8}}))) == 1


def test_shipped_files_are_found() -> None:
    assert (recipes_dir() / "quickstart.yaml").is_file()


# What the schema refuses is refused in words; without any it would pass as valid.
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0.5,
    10**400,
    "",
    "x",
    [],
    ["x", "x"],
    [-1],
    [0, 0],
    [None],
    [""],
    {},
    {"x": 1},
    {"": 1},
)
PLACES = {
    str(schema): (".".join(path), schema)
    for path, schema in [((), recipe_schema()), *walk(recipe_schema())]
}
"""Each schema once: some stand at many places."""


def _check_of(schema: Any) -> Draft202012Validator:
    return validator({**schema, "$defs": recipe_schema()["$defs"]})


def _errors_of(check: Draft202012Validator, value: Any) -> list[list[SchemaError]]:
    """Return the errors that are shown for each broken rule."""
    return [list(schema_errors(error)) for error in check.iter_errors(value)]


def _every_key(schema: Any) -> dict[str, Any]:
    """Return a mapping with every key at once, among them those that exclude each other."""
    named = schema.get("properties", {}).items()
    return {name: next(iter(expand(below).get("examples", ())), 1) for name, below in named}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("place", PLACES, ids=[name for name, _ in PLACES.values()])
def test_every_refusal_has_words(place: str) -> None:
    name, schema = PLACES[place]
    silent = {}
    check = _check_of(schema)
    for value in (*ODD, _every_key(schema)):
        shown = _errors_of(check, value)
        errors = [one for error in shown for one in error]
        # of a value of the wrong type nothing else is shown
        mistyped = {one.path for one in errors if one.code == "R106"}
        words = [one.message for one in errors if one.code == "R106" or one.path not in mistyped]
        if not all(shown) or "something else" in str(words):
            silent[str(value)[:40]] = words

    assert silent == {}, name


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("keep_layers", "every_fourth", "must be every_second, every_third, `first: N`"),
        ("keep_layers", [], "must list at least 1, lists 0"),
        ("keep_layers", [-1], "must be at least 0, not `-1`"),
        ("keep_layers", [1, 1], "`1` is listed twice"),
        ("scratch", {}, "`keep_layers` does not go with `scratch`"),
    ],
)
def test_layers_that_are_kept_are_layers(key: str, value: Any, shown: str) -> None:
    written = {"path": "model", "keep_layers": [0], key: value}

    check = _check_of(expand(recipe_schema()["properties"]["base_model"]))
    found = _errors_of(check, written)

    assert any(one.message.startswith(shown) for error in found for one in error)
