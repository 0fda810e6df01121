"""Configs of Axolotl and LLaMA-Factory as flat settings, and the tables of their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.foreign_yaml import load_yaml, usual
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_text
from engine.recipe.text.paths import as_typed, format_of
from engine.recipe.text.source import MAX_BYTES
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.values import Value

TAKEN: Final = "import-taken.json"
"""[{to, as, both, axolotl, llamafactory, unstated}]: a key of a recipe, how its value is converted
(`engine.drafting.imported.CONVERSIONS`), the keys of the tools, and what each takes where none of them is set: read
of Axolotl 0.21, LLaMA-Factory 0.9.5 and the `TrainingArguments` of transformers 5."""
LEFT_OUT: Final = "import-left-out.json"
"""[{keys, why}]: patterns of complete keys, why they are left out and where ours is; the first that fits counts."""
KEYS: Final = {
    "axolotl": "axolotl/0.21.0.keys.json",
    "llamafactory": "llamafactory.keys.json",
}
"""Of each tool, the list of all its keys."""
OWN: Final = {
    "axolotl": {"base_model", "sequence_len", "datasets", "lora_r", "pretraining_dataset"},
    "llamafactory": {
        *("model_name_or_path", "finetuning_type", "stage", "cutoff_len", "lora_rank", "template"),
        "train_dataset",
    },
}
"""Keys by which a config is recognised as one of the tool."""


class Config(Value):
    """The settings of one config."""

    tool: str
    path: Path
    settings: Mapping[str, Any]


def read_config(path: Path) -> Config:
    """Return the settings of a file; RecipeError R425 where it is a config of none of the tools."""
    try:
        text = read_text(path, limit=MAX_BYTES)
        value = parse_json(text) if path.suffix == ".json" else load_yaml(text, most=MAX_BYTES)
        if not isinstance(value, Mapping):
            raise _unknown(path, "it is no mapping of keys")
        settings = usual({str(key): one for key, one in value.items()})
    except OSError as error:
        raise _unknown(path, (error.strerror or str(error)).lower()) from error
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise _unknown(path, f"it cannot be read: {reason}") from error
    if "recipe" in settings:
        raise _unknown(path, "it is a recipe already")
    scores = {
        tool: (len(own & settings.keys()), len(known_keys(tool) & settings.keys()))
        for tool, own in OWN.items()
    }
    best = max(scores, key=scores.__getitem__)
    if not scores[best][0]:
        raise _unknown(
            path, "none of its keys names a model or data as Axolotl or LLaMA-Factory do"
        )
    return Config(tool=best, path=path, settings=settings)


def _unknown(path: Path, why: str) -> RecipeError:
    is_rows = format_of(path.name) not in (None, "json", "lines") and path.is_file()
    return RecipeError.one(
        "R425",
        f"`{path.name}` is no config that can be imported: {why}",
        hint=f"it may hold rows: recipe init {as_typed(path)}"
        if is_rows
        else "name an Axolotl or LLaMA-Factory YAML",
    )


@cache
def rows_of(tool: str) -> tuple[dict[str, Any], ...]:
    """Return the rows of the table of keys with those of one tool: `to`, `as`, `keys`, and `unstated` where known."""
    return tuple(
        {
            **{name: row[name] for name in ("to", "as") if name in row},
            "keys": (*row.get("both", ()), *row.get(tool, ())),
            **({"unstated": row["unstated"][tool]} if tool in row.get("unstated", ()) else {}),
        }
        for row in parse_json(schema_text(TAKEN))
    )


def why_left_out(tool: str, key: str) -> str:
    """Return why a key is not taken, and where ours is."""
    for row in parse_json(schema_text(LEFT_OUT)):
        if re.fullmatch("|".join(row["keys"]), key):
            return str(row["why"])
    known = known_keys(tool)
    if key in known:
        return "no key of a recipe does this"
    near = nearest(key, {*known, *(one for row in rows_of(tool) for one in row["keys"])})
    what = f"did you mean `{near}`?" if near else "look up what it did"
    return f"not a key that is known here: {what}"


@cache
def known_keys(tool: str) -> frozenset[str]:
    """Return every key of a tool by its own schema."""
    return frozenset(parse_json(schema_text(KEYS[tool]))["keys"])
