"""The data that a config of another tool names: sources, the kind of task by their layout, and the columns."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.foreign_yaml import load_yaml, usual
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_json, read_text
from engine.recipe.text.paths import as_typed, format_of
from engine.recipe.text.source import MAX_BYTES
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.trust.project import lies_below, real_place
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


Source = dict[str, Any]
Found = tuple[str, list[Source], list[str]]
"""Kind of task, sources, notes."""
KINDS_OF_TYPES: Final = (
    (r"completion|pretrain$", "text"),
    (r"chat_template|sharegpt|chatml|input_output|None", "chat"),
    (r"", "generation"),
)
"""How the names of Axolotl's types begin, and the kind of task."""
KNOWN_TYPES: Final = re.compile(
    r"chat_template|sharegpt|chatml|alpaca|completion|custom|pretrain|None|llama3"
)
ON_HUB: Final = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
"""`owner/name`; `./merged` and `../merged` are folders."""
READ_KEYS: Final = frozenset({
    "path", "data_files", "name", "split", "ds_type", "type", "field", "field_messages", "message_field_role",
    "message_field_content", "message_property_mappings", "text_column", "roles", "field_prompt", "field_chosen",
    "field_rejected", "field_system",
})  # fmt: skip
"""Keys of an entry of Axolotl's `datasets` that are read."""
FIELD_KEYS: Final = ("field_instruction", "field_input", "field_output")
"""Keys of a type that is written out, which are read."""
INFO: Final = "dataset_info.json"
DEFAULT: Final = "data/rows.jsonl"
SPEAKERS: Final = {"user", "assistant", "system", "human", "gpt", "tool", "model"}
"""Roles that need no table."""


def sources_of(config: Config) -> Found:
    """Return the kind of task, its sources and what is to be known of them."""
    kind, sources, notes = (_of_axolotl if config.tool == "axolotl" else _of_llamafactory)(config)
    if not sources:
        sources = [{"path": DEFAULT}]
        notes.append("it names no data: write the files under data.sources")
    return kind, sources, notes


def _hub_or_path(name: str, folder: Path, split: object = None) -> Source:
    """Return the source of a name; `split` is that of the hub, `train` for none."""
    # `Path.exists` raises for a name that is too long to be one.
    if format_of(name) is not None:
        return {"path": name}
    if os.path.exists(folder / name) or not ON_HUB.fullmatch(name):
        return {"path": name, "format": "jsonl"}
    # `train[:1%]` is a part of a split, which `data.sample` draws.
    return {"hub": name, "split": str(split or "train").split("[")[0]}


def _of_axolotl(config: Config) -> Found:
    found = config.settings
    trained = _entries(found.get("datasets") or found.get("pretraining_dataset"))
    tested = _entries(found.get("test_datasets"))
    sources, notes, types = [], [], []
    for name, into, entries in (
        ("datasets", "train", trained), ("test_datasets", "holdout", tested),
    ):  # fmt: skip
        for at, entry in enumerate(entries):
            kind = entry.get("type")
            files = entry.get("data_files")
            for file in files if isinstance(files, list) and files else [files]:
                source = _source(entry, file, config.path.parent)
                sources.append({**source, "into": into} if tested else source)
            notes += [
                f"{name}[{at}].type.{key} is left out: task.system and task.input say what is asked"
                for key in (kind if isinstance(kind, Mapping) else ())
                if key not in FIELD_KEYS
            ]
            notes += [
                f"{name}[{at}].{key} is left out: the shape of the rows says it, else data.messages or data.pair"
                for key in entry
                if key not in READ_KEYS
            ]
    types = [
        "custom" if isinstance(e.get("type"), Mapping) else str(e.get("type")) for e in trained
    ]
    notes += [
        f"datasets[{at}].type `{one}` lays rows out in a way of its own: look at task.kind and the columns"
        for at, one in enumerate(types)
        if not KNOWN_TYPES.match(one)
    ]
    if found.get("rl"):
        return "preference", sources, notes
    if found.get("pretraining_dataset"):
        return "text", sources, notes
    kinds = [next(k for begin, k in KINDS_OF_TYPES if re.match(begin, one)) for one in types]
    # One entry that is text, else one that is a chat, decides for all.
    kind = next((k for _, k in KINDS_OF_TYPES if k in kinds), "chat")
    return kind, sources, notes


def _entries(value: object) -> list[dict[str, Any]]:
    """Return the entries of a list of data sets of Axolotl, each with its keys, names as paths."""
    entries = value if isinstance(value, list) else [value]
    named = ({"path": one} if isinstance(one, str) else one for one in entries)
    return [
        {str(key): part for key, part in one.items()} for one in named if isinstance(one, Mapping)
    ]


def _source(entry: Mapping[str, Any], file: object, folder: Path) -> Source:
    source = _hub_or_path(str(entry.get("path", DEFAULT)), folder, entry.get("split"))
    if "hub" not in source:
        return {"path": str(file)} if file else source
    named = {"config": str(entry["name"])} if entry.get("name") else {}
    if file:
        return {"hub": source["hub"], "file": str(file), **named}
    return {"hub": source["hub"], **named, "split": source["split"]}


def _of_llamafactory(config: Config) -> Found:
    found, folder = config.settings, config.path.parent
    stage = str(found.get("stage") or "sft")
    kind = {"pt": "text", "dpo": "preference", "kto": "preference"}.get(stage, "chat")
    named = found.get("dataset") or found.get("train_dataset") or []
    named = named.split(",") if isinstance(named, str) else named
    data = str(found.get("dataset_dir") or "data")
    info = _read_below(folder, Path(data) / INFO)
    sources: list[Source] = []
    notes: list[str] = []
    for name in (str(one).strip() for one in (named if isinstance(named, list) else ())):
        if name.endswith((".yaml", ".yml")):
            # The next LLaMA-Factory lists data sets in a file.
            listed = _read_below(folder, name) or _read_below(Path(), name)
            entries = [one for one in listed.values() if isinstance(one, Mapping)]
            sources += [
                _hub_or_path(str(one.get("path", DEFAULT)), folder, one.get("split"))
                for one in entries
            ]
            # Of two answers, one is better.
            is_pair = any(one.get("converter") == "pair" for one in entries)
            kind = "preference" if is_pair else kind
            if not entries:
                notes.append(
                    f"`{name}` lists the data sets, and is not here: write their files under data.sources"
                )
            continue
        entry = info.get(name)
        entry = entry if isinstance(entry, Mapping) else {}
        if entry.get("hf_hub_url"):
            split = str(entry.get("split") or "train")
            sources.append({"hub": str(entry["hf_hub_url"]), "split": split})
        elif entry.get("file_name"):
            sources.append({"path": str(Path(data) / str(entry["file_name"]))})
        else:
            at_hub = "/" in name
            sources.append(_hub_or_path(name, folder) if at_hub else {"path": f"data/{name}.json"})
            notes.append(
                f"{INFO} beside the config says where `{name}` is; it is not here: correct its source"
            )
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
    if config.tool != "axolotl":
        return {}
    found = config.settings
    entries = _entries(found.get("datasets") or found.get("pretraining_dataset"))
    columns = [_columns(entry, is_pair=bool(found.get("rl"))) for entry in entries]
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
        pair = {
            "prompt": entry.get("field_prompt") or entry.get("field_messages"),
            "chosen": entry.get("field_chosen"),
            "rejected": entry.get("field_rejected"),
        }
        return {"data.pair": pair} if all(pair.values()) else {}
    if str(kind).startswith(("completion", "pretrain")) or entry.get("text_column"):
        field = entry.get("field") or entry.get("text_column") or "text"
        return {"task.input": f"{{{field}}}"} if field != "text" else {}
    return _of_turns(entry)


def _of_turns(entry: Mapping[str, Any]) -> dict[str, Any]:
    keys, roles = (
        one if isinstance(one := entry.get(name), Mapping) else {}
        for name in ("message_property_mappings", "roles")
    )
    found = {
        "column": entry.get("field_messages"),
        "role": keys.get("role") or entry.get("message_field_role"),
        "content": keys.get("content") or entry.get("message_field_content"),
    }
    named = {key: str(value) for key, value in found.items() if value}
    # Ours is the role of each name, Axolotl's the names of each role.
    speakers = {
        str(name): str(role)
        for role, names in roles.items()
        for name in ([names] if isinstance(names, str) else names or [])
    }
    # `messages` or `conversations` with the usual keys is a shape that needs no columns.
    is_usual = tuple(map(named.get, ("column", "role", "content"))) in (
        (None, None, None), ("messages", None, None), (None, "role", "content"), ("messages", "role", "content"),
        ("conversations", "from", "value"),
    )  # fmt: skip
    if is_usual and speakers.keys() <= SPEAKERS:
        return {}
    usual = {"column": "messages", "role": "role", "content": "content"}
    return {"data.messages": usual | named | ({"roles": speakers} if speakers else {})}
