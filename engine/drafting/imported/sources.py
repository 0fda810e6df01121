"""The data that a config of another tool names, as sources; and the kind of task that their layout says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.drafting.imported.configs import EXPRESSION, Config
from engine.files.reading import read_json
from engine.recipe.formats import format_of

Source = dict[str, Any]
Found = tuple[str, list[Source], list[str]]
"""Kind of task, sources, notes."""
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
        or (folder / name).exists()
        or not re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    )
    if not is_file:
        return {"hub": name}
    return {"path": name} if format_of(name) is not None else {"path": name, "format": "jsonl"}


def _of_axolotl(config: Config, found: Mapping[str, Any]) -> Found:
    entries = found.get("datasets") or found.get("pretraining_dataset") or []
    entries = [entries] if isinstance(entries, str | Mapping) else list(entries)
    sources, notes, types = [], [], []
    for at, entry in enumerate(entries):
        given = {"path": entry} if isinstance(entry, str) else dict(entry)
        source = _hub_or_path(str(given.get("path", "data/rows.jsonl")), config.path.parent)
        files = given.get("data_files")
        if files and "path" in source:
            source = {"path": str(files[0] if isinstance(files, list) else files)}
        elif "hub" in source:
            source |= {"file": str(files[0] if isinstance(files, list) else files)} if files else {}
            source |= {"config": str(given["name"])} if given.get("name") else {}
            # `train[:1%]` is a part of a split, which `data.sample` draws.
            split = str(given.get("split") or "train").split("[")[0]
            source |= {} if files else {"split": split}
        sources.append(source)
        types.append(
            str(given.get("type") if not isinstance(given.get("type"), Mapping) else "custom")
        )
        left = [key for key in given if key not in ENTRY_KEYS]
        notes += [
            f"datasets[{at}].{key} is left out: the shape of the rows says it, else data.messages or data.pair"
            for key in left
        ]
    return _kind_of_types(types, config, is_text="pretraining_dataset" in found), sources, notes


def _kind_of_types(types: list[str], config: Config, *, is_text: bool) -> str:
    if config.settings.get("rl"):
        return "preference"
    if is_text or any(one.startswith("completion") or one == "pretrain" for one in types):
        return "text"
    is_chat = any(re.match(r"chat_template|sharegpt|chatml|input_output", one) for one in types)
    return "chat" if is_chat or not any(one.startswith("alpaca") for one in types) else "generation"


def _of_llamafactory(config: Config, found: Mapping[str, Any]) -> Found:
    stage = str(found.get("stage") or "sft")
    kind = {"pt": "text", "dpo": "preference", "kto": "preference"}.get(stage, "chat")
    named = found.get("dataset") or found.get("train_dataset") or []
    names = (
        [one.strip() for one in named.split(",")]
        if isinstance(named, str)
        else [str(one) for one in named]
    )
    named_folder = Path(str(found.get("dataset_dir") or "data"))
    folder = config.path.parent / named_folder
    # A stranger's config reads nothing outside of its own folder.
    is_inside = not named_folder.is_absolute() and ".." not in named_folder.parts
    info = read_json(folder / INFO) if is_inside and (folder / INFO).is_file() else {}
    sources, notes = [], []
    for name in names:
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


def _of_unsloth(config: Config, found: Mapping[str, Any]) -> Found:
    trainer = str(found.get("trainer") or "").lower()
    kind = "preference" if trainer.startswith(("dpo", "orpo", "kto")) else "chat"
    given = found.get("load_dataset") or []
    words = [one for one in given if isinstance(one, str)]
    more = next((one for one in given if isinstance(one, Mapping)), {})
    files = more.get("data_files")
    if isinstance(files, str):
        return kind, [{"path": files}], []
    if not words:
        return kind, [], []
    source = _hub_or_path(words[0], config.path.parent)
    if "hub" in source:
        source |= {"config": words[1]} if words[1:] else {}
        split = more.get("split")
        source["split"] = str(split).split("[")[0] if split not in (None, EXPRESSION) else "train"
    return (
        kind,
        [source],
        ["what the script does to the rows is not run: its rows are read by their shape"],
    )


def _of_openai(config: Config, found: Mapping[str, Any]) -> Found:
    del config
    # A generation and no chat: a model behind an endpoint can be asked for answers, not for likelihoods.
    kind = "preference" if found.get("type") == "dpo" else "generation"
    sources = [{"path": f"{found['training_file']}.jsonl"}] if "training_file" in found else []
    notes = [
        "download the job's files and put them beside the recipe; `recipe init FILE` says what they hold"
    ]
    if "validation_file" in found:
        sources[0]["into"] = "train"
        sources.append({"path": f"{found['validation_file']}.jsonl", "into": "holdout"})
    return kind, sources, notes


_READERS: Final = {
    "axolotl": _of_axolotl,
    "llamafactory": _of_llamafactory,
    "unsloth": _of_unsloth,
    "openai": _of_openai,
}
