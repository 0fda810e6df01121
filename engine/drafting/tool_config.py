"""The config of another tool: its settings, the data sets that it names, and what the tables say of its keys.

The tables are in `schemas/`. `import-taken.json`: {to, as, values, else, both, axolotl, llamafactory}, a key of a
recipe, how a value becomes ours (by its type, or by a table with null for what our default says), why another value is
left out, and the keys of the tools. `import-left-out.json`: {keys, why}, patterns of complete keys; the first that fits
counts. `import-tools.json`: all else; `unstated` has what each tool takes where a config sets nothing (Axolotl 0.21,
LLaMA-Factory 0.9.5, `TrainingArguments` of transformers 5).
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.data.examples.template import found_at
from engine.drafting.value_shapes import load_yaml, usual
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_text
from engine.recipe.text.paths import as_typed, format_of
from engine.recipe.text.source import MAX_BYTES
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.trust.project import lies_below, real_place
from engine.values import Value

TOOLS: Final[Mapping[str, Any]] = parse_json(schema_text("import-tools.json"))
ON_HUB: Final = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
"""`owner/name`; `./merged` and `../merged` are folders."""
Entry = dict[str, Any]
"""A data set of a config, with the keys that Axolotl gives it, `at`, its place, and `into`, its split."""


class Config(Value):
    tool: str
    path: Path
    settings: Mapping[str, Any]

    def first(self, *keys: str) -> Any:
        """Return the value of the first of the keys that is set to something; None where none is."""
        return next((self.settings[key] for key in keys if self.settings.get(key)), None)


def read_config(path: Path) -> Config:
    """Return the settings of a file; RecipeError R425 where it is a config of none of the tools."""
    try:
        value = usual(_value_in(path))
    except OSError as error:
        raise _refused(path, (error.strerror or str(error)).lower()) from None
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(path, f"it cannot be read: {str(error).partition('\n')[0]}") from None
    if not isinstance(value, Mapping):
        raise _refused(path, "it is no mapping of keys")
    settings = {str(key): setting for key, setting in value.items()}
    if "recipe" in settings:
        raise _refused(path, "it is a recipe already")
    counts = {
        tool: (len(settings.keys() & set(own)), len(settings.keys() & known_keys(tool)))
        for tool, own in TOOLS["own"].items()
    }
    tool = max(counts, key=counts.__getitem__)
    if not counts[tool][0]:
        why = "none of its keys names a model or data as Axolotl or LLaMA-Factory do"
        raise _refused(path, why)
    config = Config(tool=tool, path=path, settings=settings)
    if tool == "llamafactory" and not config.first("dataset", "train_dataset", "do_train"):
        hint = "name the config of the training itself, which names its rows under `dataset`"
        raise _refused(path, "it asks or exports a model and trains none", hint)
    return config


def _refused(
    path: Path, why: str, hint: str = "name an Axolotl or LLaMA-Factory YAML"
) -> RecipeError:
    if format_of(path.name) not in (None, "json", "lines") and path.is_file():
        hint = f"it may hold rows: recipe init {as_typed(path)}"
    message = f"`{path.name}` is no config that can be imported: {why}"
    return RecipeError.one("R425", message, hint=hint)


def _value_in(path: Path) -> Any:
    text = read_text(path, limit=MAX_BYTES)
    return parse_json(text) if path.suffix == ".json" else load_yaml(text, most=MAX_BYTES)


@cache
def known_keys(tool: str) -> frozenset[str]:
    return frozenset(parse_json(schema_text(TOOLS["keys"][tool]))["keys"])


@cache
def rows_of(tool: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of the table of keys that are taken, by the keys of one tool."""
    table = parse_json(schema_text("import-taken.json"))
    return {key: row for row in table for key in (*row.get("both", ()), *row.get(tool, ()))}


def why_left_out(tool: str, key: str) -> str:
    """Return why a key is not taken, and where ours is."""
    for row in parse_json(schema_text("import-left-out.json")):
        if re.fullmatch("|".join(row["keys"]), key):
            return str(row["why"])
    known = known_keys(tool)
    if key in known:
        return "no key of a recipe does this"
    near = nearest(key, known | rows_of(tool).keys())
    what = f"did you mean `{near}`?" if near else "look up what it did"
    return f"not a key that is known here: {what}"


def note(name: str, key: object = "", at: str = "") -> str:
    return str(TOOLS["notes"][name]).format(key=key, at=at)


def entries_of(config: Config, notes: list[str]) -> Iterator[Entry]:
    settings = config.settings
    trained = "datasets" if settings.get("datasets") else "pretraining_dataset"
    for name, into in ((trained, "train"), ("test_datasets", "holdout")):
        listed = settings.get(name)
        for place, entry in enumerate(listed if isinstance(listed, list) else [listed]):
            if entry and isinstance(entry, str | Mapping):
                keys = {"path": entry} if isinstance(entry, str) else entry
                yield {**keys, "at": f"{name}[{place}]", "into": into}
    if config.tool != "llamafactory":
        return
    named = config.first("dataset", "train_dataset")
    data = str(settings.get("dataset_dir") or "data")
    info = _mapping_below(config, f"{data}/dataset_info.json")
    names = named.split(",") if isinstance(named, str) else named
    for name in (str(one).strip() for one in (names if isinstance(names, list) else ())):
        # The next LLaMA-Factory lists data sets in a file.
        is_list = name.endswith((".yaml", ".yml"))
        listed = _mapping_below(config, name) if is_list else {name: info.get(name)}
        if not listed:
            notes.append(note("list", name))
        for entry in (one if isinstance(one, Mapping) else {} for one in listed.values()):
            path = entry.get("hf_hub_url") or entry.get("path")
            if not path and entry.get("file_name"):
                path = f"{data}/{entry['file_name']}"
            elif not path:
                notes.append(note("info", name))
                path = name if "/" in name else f"data/{name}.json"
            yield {**entry, "path": path, "into": "train"}


def _mapping_below(config: Config, name: str) -> Mapping[str, Any]:
    """Return the mapping in a file below the config's folder; empty where it holds none, or lies elsewhere."""
    folder = config.path.parent
    try:
        # An untrusted config, or a link next to it, reads nothing elsewhere.
        place = real_place(folder / name)
        value = _value_in(place) if lies_below(place, real_place(folder)) else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return value if isinstance(value, Mapping) else {}


def kind_of(config: Config, entries: list[Entry]) -> str:
    # Of two answers, one is better.
    if config.settings.get("rl") or any(one.get("converter") == "pair" for one in entries):
        return "preference"
    if config.tool == "llamafactory":
        return str(TOOLS["stages"].get(config.settings.get("stage"), "chat"))
    trained = [one for one in entries if one["into"] == "train"]
    if any(one["at"].startswith("pretraining") for one in trained):
        return "text"
    types = [
        "custom" if isinstance(e.get("type"), Mapping) else str(e.get("type")) for e in trained
    ]
    kinds = {next(k for begin, k in TOOLS["types"] if re.match(begin, one)) for one in types}
    # One entry that is text, else one that is a chat, decides for all.
    return next((k for _, k in TOOLS["types"] if k in kinds), "chat")


def sources_of(entry: Entry, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a source of a recipe for each file that a data set names, or for all of it."""
    name = str(entry.get("path", "data/rows.jsonl"))
    files = entry.get("data_files")
    files = (
        [str(file) for file in files if file] if isinstance(files, list) else files and [str(files)]
    )
    # `os.path.exists` takes a name that is too long to be one, for which `Path.exists` raises.
    if format_of(name) is not None:
        yield from ({"path": file} for file in files or [name])
    elif os.path.exists(folder / name) or not ON_HUB.fullmatch(name):
        yield from [{"path": file} for file in files or ()] or [{"path": name, "format": "jsonl"}]
    else:
        named = {"hub": name} | ({"config": str(entry["name"])} if entry.get("name") else {})
        # `train[:1%]` is a part of a split, which `data.sample` samples.
        split = str(entry.get("split") or "train").split("[")[0]
        yield from [{**named, "file": file} for file in files or ()] or [{**named, "split": split}]


def columns_of(entry: Entry, *, is_pair: bool) -> dict[str, Any]:
    """Return the columns that a data set of Axolotl names, by their place in a recipe."""
    kind = entry.get("type")
    if isinstance(kind, Mapping):
        asked = [kind.get("field_instruction", "instruction")]
        if "{input}" in str(kind.get("format", "")):
            asked.append(kind.get("field_input"))
        return {
            "task.input": "\n".join(f"{{{one}}}" for one in asked if one),
            "data.answer": {"column": str(kind.get("field_output", "output"))},
        }
    if is_pair:
        pair = _named(entry, "pair")
        return {"data.pair": pair} if len(pair) == len(TOOLS["pair"]) else {}
    if str(kind).startswith(("completion", "pretrain")) or entry.get("text_column"):
        text = entry.get("field") or entry.get("text_column") or "text"
        return {"task.input": f"{{{text}}}"} if text != "text" else {}
    named, roles = _named(entry, "turns"), entry.get("roles")
    # Ours is the role of each name, Axolotl's the names of each role.
    speakers = {
        str(name): str(role)
        for role, names in (roles.items() if isinstance(roles, Mapping) else ())
        for name in ([names] if isinstance(names, str) else names or [])
    }
    # `messages` or `conversations` with the usual keys is a shape that needs no columns.
    is_usual = [*map(named.get, ("column", "role", "content"))] in TOOLS["usual turns"]
    if is_usual and speakers.keys() <= set(TOOLS["speakers"]):
        return {}
    usual_names = {"column": "messages", "role": "role", "content": "content"}
    return {"data.messages": usual_names | named | ({"roles": speakers} if speakers else {})}


def _named(entry: Entry, table: str) -> dict[str, str]:
    """Return the columns that an entry names, by the first of the keys in the table that it has."""
    found = {
        ours: next(filter(None, (found_at(entry, key) for key in keys)), None)
        for ours, keys in TOOLS[table].items()
    }
    return {ours: str(value) for ours, value in found.items() if value}
