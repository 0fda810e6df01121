"""Every key of the schema that names a path, a server or a key is known to consent, in the text and in the value."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.recipe import check_recipe
from engine.recipe.outside import withheld_of
from engine.recipe.text.compose import dotted
from engine.recipe.validation.schema import recipe_schema
from support.outside_cases import FIELDS, write

Key = tuple[str | int, ...]
COLUMN = "*"
"""Stands for the name of a column."""
SUSPECT = re.compile(
    r"path|files?\b|folder|(?<![a-z])dir|\burl|\buri|host|endpoint|address|gguf|extends|\bkey\b|token\b|secret"
    r"|\benv|environment|track|log_(?:to|file)|cache|proxy|server",
    re.IGNORECASE,
)
"""Of a key's name or description: it may name something beyond the recipe."""
HARMLESS: Mapping[str, str] = {
    "name": "a name, of letters that no path has",
    "extends": "a path: it has its own test in test_outside.py",
    "file": "of an archive or a hub repository: R304 holds it inside",
    "sha256": "a digest",
    "revision": "a commit",
    "package": "of the package index, read as an archive",
    "split": "a split of a hub data set",
    "encoding": "a codec of Python, from a closed list",
    "records": "a key path within the file",
    "column": "a key path within a row",
    "model": "what the server calls a model: sent to the server that was allowed",
    "review": "R389 holds it below the recipe's folder",
    "what": "a key of the recipe",
    "input": "a template over columns, without code",
    "tokenizer": "the word `train`",
}
"""Keys whose names or descriptions sound so, and why they reach nothing."""
SCRATCH = {"layers": 2, "width": 64, "heads": 2, "context": 128}
SYNTHESIZE = {"rows": 4}
TEXT: Mapping[str, Any] = {
    "task": {"kind": "text"},
    "data": {"sources": [{"path": "rows.txt", "format": "lines"}]},
    "splits": {"train": 0.8, "validation": 0.1, "holdout": 0.1},
    "method": {"kind": "full", "max_length": 128},
    "baselines": ["byte_frequencies"],
    "acceptance": {"metrics": {"bits_per_byte": {"max": 2.5}}},
}
INPUTS = {"sources": [{"path": "rows.csv"}]}


def _teacher(**more: Any) -> dict[str, Any]:
    model = {"name": "larger", "path": "base"}
    return {"teacher": {"model": model, "inputs": INPUTS, **more}}


def _data(**more: Any) -> dict[str, Any]:
    return {"data": {**FIELDS["data"], **more}}


def _forgetting(**more: Any) -> dict[str, Any]:
    return {"acceptance": {**FIELDS["acceptance"], "forgetting": {"max_drop": 0.1, **more}}}


FRAMES: Mapping[Key, Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("base_model",): lambda spec: {"base_model": spec},
    ("base_model", "scratch", "tokenizer"): lambda spec: {
        **TEXT,
        "base_model": {"scratch": {**SCRATCH, "tokenizer": spec}},
    },
    ("teacher", "model"): lambda spec: _teacher(model={"name": "larger", **spec}),
    ("teacher", "inputs", "sources", 0): lambda spec: _teacher(inputs={"sources": [spec]}),
    ("data", "sources", 0): lambda spec: _data(sources=[spec]),
    ("data", "synthesize", "teacher"): lambda spec: _data(
        synthesize={**SYNTHESIZE, "teacher": {"name": "larger", **spec}}
    ),
    ("data", "synthesize", "keep", "agreement", "judge"): lambda spec: _data(
        synthesize={
            **SYNTHESIZE,
            "teacher": {"name": "larger", "path": "base"},
            "keep": {"agreement": {"votes": 2, "judge": {"name": "judge", **spec}}},
        }
    ),
    ("data", "replay", "sources", 0): lambda spec: {
        **TEXT,
        "base_model": {"path": "base"},
        "data": {
            "sources": [{"path": "rows.txt", "format": "lines"}],
            "replay": {"sources": [spec], "share": 0.1, "input": "{text}"},
        },
    },
    ("baselines", 0, "model"): lambda spec: {"baselines": [{"model": {"name": "other", **spec}}]},
    ("baselines", 0, "encoder_linear"): lambda spec: {"baselines": [{"encoder_linear": spec}]},
    ("baselines", 0, "encoder_tuned"): lambda spec: {"baselines": [{"encoder_tuned": spec}]},
    ("acceptance", "forgetting", "probes", 0): lambda spec: _forgetting(
        probes=[{"name": "own", "kind": "multiple_choice", **spec}]
    ),
    ("acceptance", "forgetting", "text"): lambda spec: _forgetting(
        text={"bits_per_byte": {"max_rise": 0.1}, "input": "{text}", **spec}
    ),
}
"""Where a model, a source of rows or a text is named, and a recipe with one there."""


def leaves(node: Mapping[str, Any], at: Key = ()) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """Yield every key of the schema that holds no further keys."""
    node = _whole(node)
    for one in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        yield from leaves(one, at)
    if isinstance(node.get("items"), Mapping):
        yield from leaves(node["items"], (*at, 0))
    for name, inner in node.get("properties", {}).items():
        yield from leaves(inner, (*at, name))
    if isinstance(node.get("additionalProperties"), Mapping):
        yield from leaves(node["additionalProperties"], (*at, COLUMN))
    if at and not {"properties", "items", "oneOf"} & node.keys():
        yield at, node


def _whole(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = recipe_schema()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = {**found, **{name: one for name, one in node.items() if name != "$ref"}}
    return node


LEAVES = dict(leaves(recipe_schema()))
REACHING = {at: node for at, node in LEAVES.items() if "x-path" in node or "x-sends" in node}


def _spec(at: Key, node: Mapping[str, Any]) -> tuple[Key, dict[str, Any]]:
    """Return the key of the mapping that a reaching key stands in, and a mapping in which it leads outside."""
    name = at[-1]
    if node.get("x-sends"):
        address = {"endpoint": "https://rows.example/v1", "model": "m"}
        return at[:-1], {**address, **({"api_key_env": "THEIR_KEY"} if name != "endpoint" else {})}
    if name == COLUMN:
        lines = {"path": "rows.txt", "format": "lines"}
        return at[:-2], {**lines, "columns": {"label": "../outside.txt"}}
    return at[:-1], {str(name): "../outside.gguf" if name == "gguf" else "../outside.csv"}


@pytest.fixture
def folder(tmp_path: Path, careful_user: Path) -> Path:
    assert careful_user.is_dir()
    folder = tmp_path / "clone"
    (folder / "base").mkdir(parents=True)
    for name in ("rows.csv", "rows.txt"):
        (folder / name).write_text("text,label\ngood,a\nbad,b\n", encoding="utf-8")
    (folder / "base" / "config.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("at", REACHING, ids=dotted)
def test_a_key_that_reaches_beyond_the_recipe_asks_for_consent(at: Key, folder: Path) -> None:
    frame, spec = _spec(at, REACHING[at])
    recipe = write(folder, **{"allow_moving": True, **FRAMES[frame](spec)})

    checked, problems = check_recipe(recipe)

    wanted = {"rows": "R307", "key": "R308"}.get(REACHING[at].get("x-sends", ""), "R306")
    shown = dotted((*at[:-1], "label") if at[-1] == COLUMN else at)
    assert (wanted, shown) in {(one.code, one.path) for one in problems}
    errors = [str(one) for one in problems if one.severity == "error"]
    assert checked is not None, errors
    # the value has it as well: what runs asks the value, not the text
    assert (wanted, shown) in {(one.code, dotted(one.at)) for one in withheld_of(checked)}


def test_a_key_that_sounds_like_a_path_or_a_server_is_known() -> None:
    """A new key: `x-path` or `x-sends` in its schema, or the reason why it reaches nothing in `HARMLESS`."""
    unknown = [dotted(at) for at in LEAVES.keys() - REACHING.keys() if _sounds_so(at, LEAVES[at])]

    assert unknown == []


@pytest.mark.parametrize("name", ["log_file", "cache_dir", "tracking_url", "auth_token", "proxy"])
def test_a_key_of_such_a_name_is_noticed(name: str) -> None:
    assert _sounds_so(("method", name), {"type": "string", "description": "Something new."})


def _sounds_so(at: Key, node: Mapping[str, Any]) -> bool:
    is_text = node.get("type", "string") == "string" and not {"enum", "const"} & node.keys()
    examples = [str(one) for one in node.get("examples", ())]
    texts = (str(at[-1]), node.get("description", ""), *examples)
    sounds = any(map(SUSPECT.search, texts)) or any("/" in one for one in examples)
    return is_text and sounds and at[-1] not in HARMLESS and not _is_hub(node)


def _is_hub(node: Mapping[str, Any]) -> bool:
    """The hub is asked of names of this form only, and of no other host."""
    return str(node.get("x-expects")) == "owner/name"


def test_every_place_of_a_reaching_key_has_an_example() -> None:
    """A new place for models or rows: an example in `FRAMES`."""
    assert {_spec(at, node)[0] for at, node in REACHING.items()} == FRAMES.keys()


@pytest.mark.parametrize("review", ["sub/rows.csv", ".git/rows.csv", "../rows.csv"])
def test_a_review_file_leads_nowhere_else(review: str, folder: Path) -> None:
    (folder / "sub").symlink_to("/tmp")  # noqa: S108 - a link to anywhere else
    teacher = {"name": "larger", "path": "base"}
    recipe = write(folder, **_data(synthesize={**SYNTHESIZE, "teacher": teacher, "review": review}))

    assert "R389" in {one.code for one in check_recipe(recipe)[1]}
