"""The folder of the model that training starts from: a base model as it is, some of its layers, or a blank one.

What stands in it every later stage reads as it reads any base model. Beside it lies what was made, for the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.progress import Progress, mention
from engine.recipe.model import BaseModel, FewerLayers, NewTokenizer, Scratch
from engine.runtime.models.base_model import (
    FOLDER,
    locate_base_model,
    locate_tokenizer,
    validated_folder,
)
from engine.store import Cached, sha256_of
from engine.values import Value

FACTS: Final = "start.json"
"""Beside a folder that was made of another model, or of none: how, as JSON."""
REVISION: Final = 1
"""Bumped when the same layers, sizes and text would now give another folder."""
_SAMPLE: Final = 1 << 20
"""Characters of the training text by which the bytes of a token are counted."""


class TrainingText(Value):
    """The texts of the training split, for a tokenizer that is made of them."""

    texts: Callable[[], Iterable[str]]
    digest: str
    """sha256 of their file."""


class Start(Value):
    """What training starts from."""

    base: BaseModel
    identity: Mapping[str, Any]
    """As it stands in keys (`engine.sources.base_model_identity`)."""
    text: TrainingText | None
    """None where nothing is to be made of it."""


def locate_start(start: Start, cached: Cached, progress: Progress) -> Path:
    """Return the folder of the model, made at most once. Raises as `locate_base_model`, and X740 to X743."""
    base = start.base
    if isinstance(base, Scratch):
        return _blank(base, start, cached, progress)
    if isinstance(base, FewerLayers):
        return _fewer(base, start, cached, progress)
    return locate_base_model(base, cached, progress)


def locate_start_tokenizer(start: Start, cached: Cached, progress: Progress) -> Path:
    """Return a folder with the model's tokenizer; no weights are read. Raises as `locate_start`."""
    base = start.base
    if isinstance(base, FewerLayers):
        return locate_tokenizer(base.of, cached, progress)
    if not isinstance(base, Scratch):
        return locate_tokenizer(base, cached, progress)
    if isinstance(base.tokenizer, NewTokenizer):
        return _byte_pairs(base.tokenizer, start, cached, progress)
    return locate_tokenizer(base.tokenizer, cached, progress)


def facts_beside(folder: Path) -> Path | None:
    """Return the file that says how a folder was made; None for a base model as it came."""
    facts = folder.parent / FACTS
    return facts if folder.name == FOLDER and facts.is_file() else None


def _byte_pairs(new: NewTokenizer, start: Start, cached: Cached, progress: Progress) -> Path:
    from engine.runtime.models.byte_pairs import write_byte_pairs

    text = _text(start)
    payload = {"byte_pairs": new.size, "text": text.digest, "made": REVISION}

    def build(folder: Path) -> None:
        mention(progress, f"training a tokenizer of {new.size:,} tokens on the training split")
        write_byte_pairs(text.texts(), folder / FOLDER, size=new.size)

    return cached("tokenizer", payload, build).file(FOLDER)


def _blank(blank: Scratch, start: Start, cached: Cached, progress: Progress) -> Path:
    tokenizer = locate_start_tokenizer(start, cached, progress)
    # Of the tokenizer its files, whatever made them: text that gives the same one gives the same model.
    payload = {**start.identity, "files": _digests(tokenizer, "tokenizer"), "start": REVISION}

    def build(folder: Path) -> None:
        from engine.runtime.models.blank import copy_tokenizer, write_blank_model

        target = folder / FOLDER
        target.mkdir()
        mention(progress, "writing a blank model")
        copy_tokenizer(tokenizer, target)
        facts = write_blank_model(blank, target)
        counted = {"bytes_per_token": _bytes_a_token(target, start)}
        _write_facts(folder, {"kind": "scratch", **facts, **counted})
        validated_folder(target)

    return cached("base-model", payload, build).file(FOLDER)


def _fewer(base: FewerLayers, start: Start, cached: Cached, progress: Progress) -> Path:
    whole = locate_base_model(base.of, cached, progress)
    payload = {**start.identity, "start": REVISION}
    # What moves has no pin that says what came: then the bytes do.
    if None in start.identity.values():
        payload["files"] = _digests(whole, "")

    def build(folder: Path) -> None:
        from engine.runtime.models.fewer_layers import write_fewer_layers

        target = folder / FOLDER
        mention(progress, "leaving layers of the base model out")
        facts = write_fewer_layers(whole, target, base.keep_layers)
        _write_facts(folder, {"kind": "fewer_layers", **facts})
        validated_folder(target)

    return cached("base-model", payload, build).file(FOLDER)


def _text(start: Start) -> TrainingText:
    if start.text is None:
        raise AssertionError(start.base)  # every stage that needs such a model reads the rows
    return start.text


def _write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _digests(folder: Path, prefix: str) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: sha256_of(path) for path in paths if path.name.startswith(prefix)}


def _bytes_a_token(folder: Path, start: Start) -> float:
    """Return how many bytes of the training text a token stands for."""
    from engine.runtime.models.byte_pairs import bytes_a_token
    from engine.runtime.rendering.chat import load_chat

    texts, length = [], 0
    for text in _text(start).texts():
        texts.append(text)
        length += len(text)
        if length > _SAMPLE:
            break
    return round(bytes_a_token(load_chat(folder, asks=False).tokenizer, texts), 3)
