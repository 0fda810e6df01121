"""The data that a config of another tool names, as sources; and the kind of task that their layout says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.foreign_yaml import load_yaml
from engine.drafting.imported.configs import Config
from engine.files.reading import read_json, read_text
from engine.recipe.formats import format_of
from engine.recipe.text.source import MAX_BYTES
from engine.trust.project import lies_below, real_place

Source = dict[str, Any]
KNOWN_TYPES: Final = re.compile(
    r"chat_template|sharegpt|chatml|alpaca|completion|custom|pretrain|None|llama3"
)
ON_HUB: Final = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
"""`owner/name`; `./merged` and `../merged` are folders."""
LISTS: Final = (".yaml", ".yml")
"""Endings of files that list data sets, as the next LLaMA-Factory names them under `train_dataset`."""
COLUMN_KEYS: Final = (
    *(
        "field",
        "field_messages",
        "message_field_role",
        "message_field_content",
        "message_property_mappings",
    ),
    *("text_column", "roles", "field_prompt", "field_chosen", "field_rejected", "field_system"),
)
"""Keys of an entry that say which columns hold what (`engine.drafting.imported.columns`)."""
FIELD_KEYS: Final = ("field_instruction", "field_input", "field_output")
"""Keys of a type that is written out, which are taken."""
Found = tuple[str, list[Source], list[str]]
"""Kind of task, sources, notes."""
READERS: Final = ("csv", "json", "parquet", "text")
"""Names that `load_dataset` has for files, which name no data set."""
INFO: Final = "dataset_info.json"
ENTRY_KEYS: Final = {
    "path": "the source's hub or path", "data_files": "path", "name": "config", "split": "split",
    "ds_type": "format", "type": "task.kind, by the shape of the rows",
}  # fmt: skip
"""Keys of an entry of Axolotl's `datasets` that are taken, and where they go."""


def sources_of(config: Config, found: Mapping[str, Any]) -> Found:
    """Return the kind of task, its sources and what is to be known of them."""
    kind, sources, notes = _READERS[config.tool](config, found)
    if not sources:
        sources = [{"path": "data/rows.jsonl"}]
        notes.append("it names no data: write the files under data.sources")
    return kind, sources, notes


def _hub_or_path(name: str, folder: Path) -> Source:
    is_file = (
        format_of(name) is not None
        # `Path.exists` raises for a name that is too long to be one.
        or os.path.exists(folder / name)
        or not ON_HUB.fullmatch(name)
    )
    if not is_file:
        return {"hub": name}
    return {"path": name} if format_of(name) is not None else {"path": name, "format": "jsonl"}


def _of_axolotl(config: Config, found: Mapping[str, Any]) -> Found:
    trained = entries_of(found.get("datasets") or found.get("pretraining_dataset"))
    tested = entries_of(found.get("test_datasets"))
    sources, notes = [], []
    for into, entries in (("train", trained), ("holdout", tested)):
        name = "datasets" if into == "train" else "test_datasets"
        for at, entry in enumerate(entries):
            found_in = _sources_of(entry, config.path.parent)
            sources += [{**source, "into": into} if tested else source for source in found_in]
            kind = entry.get("type")
            notes += [
                f"{name}[{at}].type.{key} is left out: task.system and task.input say what is asked"
                for key in (kind if isinstance(kind, Mapping) else ())
                if key not in FIELD_KEYS
            ]
            notes += [
                f"{name}[{at}].{key} is left out: the shape of the rows says it, else data.messages or data.pair"
                for key in entry
                if key not in ENTRY_KEYS and key not in COLUMN_KEYS
            ]
    types = [
        str(e.get("type")) if not isinstance(e.get("type"), Mapping) else "custom" for e in trained
    ]
    notes += [
        f"datasets[{at}].type `{one}` lays rows out in a way of its own: look at task.kind and the columns"
        for at, one in enumerate(types)
        if not KNOWN_TYPES.match(one)
    ]
    return _kind_of_types(types, config, is_text="pretraining_dataset" in found), sources, notes


def entries_of(value: object) -> list[dict[str, Any]]:
    """Return the entries of a list of data sets of Axolotl, each with its keys, names as paths."""
    entries = value if isinstance(value, list) else [value]
    named = ({"path": one} if isinstance(one, str) else one for one in entries)
    return [
        {str(key): part for key, part in one.items()} for one in named if isinstance(one, Mapping)
    ]


def _sources_of(given: Mapping[str, Any], folder: Path) -> list[Source]:
    files = given.get("data_files")
    names = files if isinstance(files, list) and files else [files]
    return [_source_of({**given, "data_files": one}, folder) for one in names]


def _source_of(given: Mapping[str, Any], folder: Path) -> Source:
    source = _hub_or_path(str(given.get("path", "data/rows.jsonl")), folder)
    files = given.get("data_files")
    if "hub" not in source:
        return {"path": str(files)} if files else source
    source |= {"file": str(files)} if files else {}
    source |= {"config": str(given["name"])} if given.get("name") else {}
    # `train[:1%]` is a part of a split, which `data.sample` draws.
    split = str(given.get("split") or "train").split("[")[0]
    return source | ({} if files else {"split": split})


def _kind_of_types(types: list[str], config: Config, *, is_text: bool) -> str:
    if config.settings.get("rl"):
        return "preference"
    if is_text or any(one.startswith("completion") or one == "pretrain" for one in types):
        return "text"
    is_chat = any(
        re.match(r"chat_template|sharegpt|chatml|input_output|None", one) for one in types
    )
    return "chat" if is_chat or not types else "generation"


def _of_llamafactory(config: Config, found: Mapping[str, Any]) -> Found:
    stage = str(found.get("stage") or "sft")
    kind = {"pt": "text", "dpo": "preference", "kto": "preference"}.get(stage, "chat")
    named = found.get("dataset") or found.get("train_dataset") or []
    named = named.split(",") if isinstance(named, str) else named
    names = [str(one).strip() for one in named] if isinstance(named, list) else []
    info = _dataset_info(config.path.parent, str(found.get("dataset_dir") or "data"))
    sources, notes = [], []
    for name in names:
        if name.endswith(LISTS):
            listed = _listed_in(config.path.parent, name)
            sources += [_of_entry(entry, config.path.parent) for entry in listed]
            # Of two answers, one is better.
            kind = "preference" if any(one.get("converter") == "pair" for one in listed) else kind
            if not listed:
                notes.append(
                    f"`{name}` lists the data sets, and is not here: write their files under data.sources"
                )
            continue
        entry = info.get(name) if isinstance(info, Mapping) else None
        if isinstance(entry, Mapping) and entry.get("hf_hub_url"):
            sources.append(
                {"hub": str(entry["hf_hub_url"]), "split": str(entry.get("split") or "train")}
            )
        elif isinstance(entry, Mapping) and entry.get("file_name"):
            sources.append(
                {"path": str(Path(found.get("dataset_dir") or "data") / str(entry["file_name"]))}
            )
        else:
            named_source = (
                _hub_or_path(name, config.path.parent)
                if "/" in name
                else {"path": f"data/{name}.json"}
            )
            sources.append(named_source | ({"split": "train"} if "hub" in named_source else {}))
            notes.append(
                f"{INFO} beside the config says where `{name}` is; it is not here: correct its source"
            )
    return kind, sources, notes


def _listed_in(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the data sets that a file below the config's folder, or the one worked in, lists; none without it."""
    for root in (folder, Path()):
        try:
            place = real_place(root / name)
            # As for `_dataset_info`.
            if lies_below(place, real_place(root)):
                value = load_yaml(read_text(place, limit=MAX_BYTES), most=MAX_BYTES)
                return [dict(one) for one in value.values() if isinstance(one, Mapping)]
        except (OSError, ValueError, AttributeError, yaml.YAMLError):
            continue
    return []


def _of_entry(entry: Mapping[str, Any], folder: Path) -> Source:
    source = _hub_or_path(str(entry.get("path", "data/rows.jsonl")), folder)
    return source | ({"split": str(entry.get("split") or "train")} if "hub" in source else {})


def _dataset_info(folder: Path, named: str) -> Any:
    """Return what LLaMA-Factory keeps of its data; nothing where that is not in the config's own folder, or no JSON."""
    try:
        place = real_place(folder / named / INFO)
        # A stranger's config, or a link beside it, reads nothing elsewhere.
        return read_json(place) if lies_below(place, real_place(folder)) else {}
    except (OSError, ValueError):
        return {}


def _job_file(named: object) -> str:
    """Return what a file of a job is called here: its id has no ending."""
    name = str(named)
    return name if Path(name).suffix else f"{name}.jsonl"


def _of_openai(config: Config, found: Mapping[str, Any]) -> Found:
    del config
    # A generation and no chat: a model behind an endpoint can be asked for answers, not for likelihoods.
    kind = "preference" if found.get("type") == "dpo" else "generation"
    sources = [{"path": _job_file(found["training_file"])}] if "training_file" in found else []
    notes = [
        "download the job's files and put them beside the recipe; `recipe init FILE` says what they hold"
    ]
    if sources and "validation_file" in found:
        sources[0]["into"] = "train"
        sources.append({"path": _job_file(found["validation_file"]), "into": "holdout"})
    return kind, sources, notes


_READERS: Final = {
    "axolotl": _of_axolotl,
    "llamafactory": _of_llamafactory,
    "openai": _of_openai,
}
