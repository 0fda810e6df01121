"""The tokenizer beside trained weights: one chat template, and special tokens that are added as in training.

Training writes each special token that it wants into the text. So nothing else may add one: a program that
put the BOS before a rendered prompt would ask what no row was trained on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.files.reading import read_json
from engine.runtime.models.settings_check import SAMPLING, bending, is_mark, token_ids
from engine.runtime.rendering.chat import Chat

CONFIG, TOKENIZER, GENERATION = "tokenizer_config.json", "tokenizer.json", "generation_config.json"
TEMPLATE, OLD_TEMPLATE, MORE_TEMPLATES = (
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates",
)
DEFAULT = "default"


def write_tokenizer(folder: Path, chat: Chat, *, has_turns: bool) -> None:
    """Make the tokenizer files of a model folder say what training did.

    `has_turns` is False for documents: what the tokenizer adds to a text was trained with them, and stays.
    """
    write_template(folder, chat.tokenizer.chat_template)
    if not has_turns:
        return
    _edit(folder / CONFIG, {"add_bos_token": False, "add_eos_token": False})
    _add_nothing(folder / TOKENIZER, chat.tokenizer)
    path = folder / GENERATION
    settings = read_json(path) if path.exists() else {}
    # Rows were judged without: with them the exported model would give other answers.
    changes: dict[str, Any] = dict.fromkeys([*bending(settings), *SAMPLING])
    ending = chat.token_ids(chat.terminator)
    # transformers stops at single tokens only.
    if len(ending) == 1:
        known = token_ids(settings.get("eos_token_id", chat.tokenizer.eos_token_id))
        marks = [one for one in known if one != ending[0] and is_mark(chat.tokenizer, one)]
        # The last place matters: the GGUF file takes it for the end of a turn (`engine.runtime.gguf.convert_worker`).
        changes["eos_token_id"] = [*marks, ending[0]] if marks else ending[0]
    _edit(path, changes)


def write_template(folder: Path, template: str | Mapping[str, str] | None) -> None:
    """Leave one chat template in a model folder, or one of each name, where every program looks for it."""
    # transformers prefers the .jinja file, llama.cpp's converter the setting: two templates could differ.
    _edit(folder / CONFIG, {"chat_template": None})
    (folder / OLD_TEMPLATE).unlink(missing_ok=True)
    shutil.rmtree(folder / MORE_TEMPLATES, ignore_errors=True)
    if not template:
        (folder / TEMPLATE).unlink(missing_ok=True)
        return
    named = {DEFAULT: template} if isinstance(template, str) else dict(template)
    # Line ends as they are: with others the same messages would have other tokens.
    (folder / TEMPLATE).write_text(named.pop(DEFAULT), encoding="utf-8", newline="")
    for name, text in named.items():
        (folder / MORE_TEMPLATES).mkdir(exist_ok=True)
        (folder / MORE_TEMPLATES / f"{name}.jinja").write_text(text, encoding="utf-8", newline="")


def _add_nothing(path: Path, tokenizer: Any) -> None:
    """Take the tokens that start and end a text out of tokenizer.json's own rule for adding them."""
    if not path.exists():
        return
    whole = read_json(path)
    processor = whole.get("post_processor") or {}
    changed = False
    for one in processor.get("processors", [processor]):
        for form in ("single", "pair") if one.get("type") == "TemplateProcessing" else ():
            kept = [part for part in one[form] if not _is_bound(part, tokenizer)]
            changed, one[form] = changed or kept != one[form], kept
    if changed:
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False), encoding="utf-8")


def _is_bound(part: Mapping[str, Any], tokenizer: Any) -> bool:
    name = part.get("SpecialToken", {}).get("id")
    return name is not None and name in (tokenizer.bos_token, tokenizer.eos_token)


def _edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Set keys of a JSON file, take out those that are None, and leave the file alone where all are so."""
    before = read_json(path) if path.exists() else {}
    after = {**before, **changes}
    after = {key: value for key, value in after.items() if key not in changes or value is not None}
    if after != before:
        text = json.dumps(after, indent=2, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
