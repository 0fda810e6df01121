"""The config of another tool: its settings, and the sources, the kind of task and the columns that it names.

The tables are in `schemas/`. `import-taken.json`: {to, as, both, axolotl, llamafactory, unstated}, a key of a recipe,
how its value is converted (`engine.drafting.imported.CONVERSIONS`), the keys of the tools, and what each takes where
none of them is set (Axolotl 0.21, LLaMA-Factory 0.9.5, `TrainingArguments` of transformers 5). `import-left-out.json`:
{keys, why}, patterns of complete keys, of which the first that fits counts. `import-tools.json`: all else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.data.examples.template import found_at
from engine.drafting.foreign_yaml import load_yaml, usual
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_json, read_text
from engine.recipe.text.paths import as_typed, format_of
from engine.recipe.text.source import MAX_BYTES
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.trust.project import lies_below, real_place
from engine.values import Value

TOOLS: Final[Mapping[str, Any]] = parse_json(schema_text("import-tools.json"))
ON_HUB: Final = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
"""`owner/name`; `./merged` and `../merged` are folders."""
DEFAULT: Final = "data/rows.jsonl"
Source = dict[str, Any]
Found = tuple[str, list[Source], list[str]]
"""Kind of task, sources, notes."""


class Config(Value):
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
        tool: (len(settings.keys() & set(own)), len(known_keys(tool) & settings.keys()))
        for tool, own in TOOLS["own"].items()
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
        for row in parse_json(schema_text("import-taken.json"))
    )


def why_left_out(tool: str, key: str) -> str:
    """Return why a key is not taken, and where ours is."""
    for row in parse_json(schema_text("import-left-out.json")):
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
    return frozenset(parse_json(schema_text(TOOLS["keys"][tool]))["keys"])


def note(name: str, key: object = "", at: str = "") -> str:
    return str(TOOLS["notes"][name]).format(key=key, at=at)


def sources_of(config: Config) -> Found:
    kind, sources, notes = (_of_axolotl if config.tool == "axolotl" else _of_llamafactory)(config)
    if not sources:
        sources = [{"path": DEFAULT}]
        notes.append(note("no data"))
    return kind, sources, notes


def _hub_or_path(entry: Mapping[str, Any], folder: Path) -> Source:
    """Return the source of an entry with a path and perhaps a split of the hub; `train` for none."""
    name = str(entry.get("path", DEFAULT))
    # `Path.exists` raises for a name that is too long to be one.
    if format_of(name) is not None:
        return {"path": name}
    if os.path.exists(folder / name) or not ON_HUB.fullmatch(name):
        return {"path": name, "format": "jsonl"}
    # `train[:1%]` is a part of a split, which `data.sample` draws.
    return {"hub": name, "split": str(entry.get("split") or "train").split("[")[0]}


def _of_axolotl(config: Config) -> Found:
    found, tested = config.settings, _entries(config.settings.get("test_datasets"))
    trained = _trained(config)
    sources, notes = [], []
    groups = (("datasets", "train", trained), ("test_datasets", "holdout", tested))
    for at, into, entry in (
        (f"{name}[{n}]", into, entry) for name, into, some in groups for n, entry in enumerate(some)
    ):
        files = entry.get("data_files")
        for file in files if isinstance(files, list) and files else [files]:
            source = _hub_or_path(entry, config.path.parent)
            if "hub" in source:
                named = {"config": str(entry["name"])} if entry.get("name") else {}
                part = {"file": str(file)} if file else {"split": source["split"]}
                order = {**part, **named} if file else {**named, **part}
                source = {"hub": source["hub"], **order}
            elif file:
                source = {"path": str(file)}
            sources.append({**source, "into": into} if tested else source)
        kind = entry.get("type")
        inner = [key for key in kind if key not in TOOLS["type"]] if isinstance(kind, Mapping) else ()  # fmt: skip
        notes += [note("type key", key, at) for key in inner]
        notes += [note("entry key", key, at) for key in entry if key not in TOOLS["entry"]]
    types = [
        "custom" if isinstance(e.get("type"), Mapping) else str(e.get("type")) for e in trained
    ]
    notes += [
        note("type", one, f"datasets[{at}]")
        for at, one in enumerate(types)
        if not re.match(TOOLS["known types"], one)
    ]
    if found.get("rl"):
        return "preference", sources, notes
    if found.get("pretraining_dataset"):
        return "text", sources, notes
    kinds = {next(k for begin, k in TOOLS["types"] if re.match(begin, one)) for one in types}
    # One entry that is text, else one that is a chat, decides for all.
    return next((k for _, k in TOOLS["types"] if k in kinds), "chat"), sources, notes


def _trained(config: Config) -> list[dict[str, Any]]:
    found = config.settings
    return _entries(found.get("datasets") or found.get("pretraining_dataset"))


def _entries(value: object) -> list[dict[str, Any]]:
    """Return the entries of a list of data sets of Axolotl, each with its keys, names as paths."""
    entries = value if isinstance(value, list) else [value]
    named = ({"path": one} if isinstance(one, str) else one for one in entries)
    return [
        {str(key): part for key, part in one.items()} for one in named if isinstance(one, Mapping)
    ]


def _of_llamafactory(config: Config) -> Found:
    found, folder = config.settings, config.path.parent
    kind = TOOLS["stages"].get(str(found.get("stage") or "sft"), "chat")
    named = found.get("dataset") or found.get("train_dataset") or []
    named = named.split(",") if isinstance(named, str) else named
    data = str(found.get("dataset_dir") or "data")
    info = _read_below(folder, Path(data) / "dataset_info.json")
    sources: list[Source] = []
    notes: list[str] = []
    for name in (str(one).strip() for one in (named if isinstance(named, list) else ())):
        entry = info.get(name)
        entry = entry if isinstance(entry, Mapping) else {}
        if name.endswith((".yaml", ".yml")):
            # The next LLaMA-Factory lists data sets in a file.
            listed = _read_below(folder, name) or _read_below(Path(), name)
            entries = [one for one in listed.values() if isinstance(one, Mapping)]
            sources += [_hub_or_path(one, folder) for one in entries]
            # Of two answers, one is better.
            is_pair = any(one.get("converter") == "pair" for one in entries)
            kind = "preference" if is_pair else kind
            notes += [] if entries else [note("list", name)]
        elif entry.get("hf_hub_url"):
            split = str(entry.get("split") or "train")
            sources.append({"hub": str(entry["hf_hub_url"]), "split": split})
        elif entry.get("file_name"):
            sources.append({"path": str(Path(data) / str(entry["file_name"]))})
        else:
            at_hub = _hub_or_path({"path": name}, folder)
            sources.append(at_hub if "/" in name else {"path": f"data/{name}.json"})
            notes.append(note("info", name))
    return kind, sources, notes


def _read_below(folder: Path, name: str | Path) -> Mapping[str, Any]:
    """Return the mapping in a file below a folder; empty where it holds none, or lies elsewhere."""
    try:
        place = real_place(folder / name)
        # An untrusted config, or a link next to it, reads nothing elsewhere.
        if not lies_below(place, real_place(folder)):
            return {}
        if place.suffix == ".json":
            value = read_json(place)
        else:
            value = load_yaml(read_text(place, limit=MAX_BYTES), most=MAX_BYTES)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return value if isinstance(value, Mapping) else {}


def columns_of(config: Config) -> dict[str, Any]:
    """Return the columns that all entries of Axolotl's `datasets` name, by their place in a recipe.

    One recipe reads all its rows by the same columns: empty where entries differ.
    """
    is_pair = bool(config.settings.get("rl"))
    entries = _trained(config) if config.tool == "axolotl" else []
    columns = [_columns(entry, is_pair=is_pair) for entry in entries]
    return columns[0] if columns and all(one == columns[0] for one in columns) else {}


def _columns(entry: Mapping[str, Any], *, is_pair: bool) -> dict[str, Any]:
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
        field = entry.get("field") or entry.get("text_column") or "text"
        return {"task.input": f"{{{field}}}"} if field != "text" else {}
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


def _named(entry: Mapping[str, Any], table: str) -> dict[str, str]:
    """Return the columns that an entry names, by the first of the keys in the table that it has."""
    found = {
        ours: next(filter(None, (found_at(entry, key) for key in keys)), None)
        for ours, keys in TOOLS[table].items()
    }
    return {ours: str(value) for ours, value in found.items() if value}
