"""Which columns hold what, by the entries of Axolotl's `datasets`: as `data.messages`, `data.pair` or `data.answer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.drafting.imported.configs import Config
from engine.drafting.imported.sources import entries_of

USUAL: Final = {"column": "messages", "role": "role", "content": "content"}
Columns = dict[str, Any]


def columns_of(config: Config) -> Columns:
    """Return the columns of all entries, by their place in a recipe; none where entries differ.

    One recipe reads all its rows by the same columns.
    """
    if config.tool != "axolotl":
        return {}
    entries = config.settings.get("datasets") or config.settings.get("pretraining_dataset")
    found = [_columns(entry, config) for entry in entries_of(entries)]
    return found[0] if found and all(one == found[0] for one in found) else {}


def _columns(entry: Mapping[str, Any], config: Config) -> Columns:
    kind = entry.get("type")
    if isinstance(kind, Mapping):
        return _of_fields(kind)
    if config.settings.get("rl"):
        pair = [entry.get(f"field_{name}") for name in ("chosen", "rejected")]
        prompt = entry.get("field_prompt") or entry.get("field_messages")
        if not all(pair) or not prompt:
            return {}
        return {
            "data.pair": dict(zip(("prompt", "chosen", "rejected"), (prompt, *pair), strict=True))
        }
    if str(kind).startswith(("completion", "pretrain")) or entry.get("text_column"):
        field = entry.get("field") or entry.get("text_column") or "text"
        return {"task.input": f"{{{field}}}"} if field != "text" else {}
    return _of_turns(entry)


def _of_fields(kind: Mapping[str, Any]) -> Columns:
    """Read a type that is written out: which fields are asked, and which one answers."""
    asked = [kind.get("field_instruction", "instruction"), kind.get("field_input")]
    is_input_used = "{input}" in str(kind.get("format", ""))
    texts = [str(one) for one in asked[: 2 if is_input_used else 1] if one]
    answer = str(kind.get("field_output", "output"))
    return {
        "task.input": "\n".join(f"{{{one}}}" for one in texts),
        "data.answer": {"column": answer},
    }


def _of_turns(entry: Mapping[str, Any]) -> Columns:
    keys = entry.get("message_property_mappings")
    keys = keys if isinstance(keys, Mapping) else {}
    found = {
        "column": entry.get("field_messages"),
        "role": keys.get("role") or entry.get("message_field_role"),
        "content": keys.get("content") or entry.get("message_field_content"),
    }
    named = {key: str(value) for key, value in found.items() if value}
    roles = entry.get("roles")
    roles = roles if isinstance(roles, Mapping) else {}
    # Ours is the role of each name, Axolotl's the names of each role.
    speakers = {
        str(name): str(role)
        for role, names in roles.items()
        for name in ([names] if isinstance(names, str) else names or [])
    }
    # `messages` or `conversations` with the usual keys is a shape that is known by itself.
    is_usual = (named.get("column", "messages"), named.get("role"), named.get("content")) in (
        ("messages", "role", "content"), ("messages", None, None), ("conversations", "from", "value"),
    )  # fmt: skip
    if is_usual and not set(speakers) - {
        "user",
        "assistant",
        "system",
        "human",
        "gpt",
        "tool",
        "model",
    }:
        return {}
    if not named and not speakers:
        return {}
    return {"data.messages": USUAL | named | ({"roles": speakers} if speakers else {})}
