"""The card of a published model: that of its run, with what is published, how it is checked, and who signed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from engine.bundle.archive import ENDING
from engine.evidence import Report
from engine.render.markdown import code, fenced, joined
from engine.render.report.card import render_card

RELATION: Final = {"gguf": "quantized", "merged": "finetune", "adapter": "adapter"}
"""How the hub calls what became of the base model."""
LIBRARY: Final = {"gguf": "gguf", "merged": "transformers", "adapter": "peft"}
_TITLE: Final = re.compile(r"^# .*\n", re.MULTILINE)


def published_card(report: Report, *, forms: Sequence[str], names: Sequence[str], key: str) -> str:
    """Return the card in Markdown, with YAML of the hub's metadata in front.

    `names` are the files beside it, `key` is the sha256 of the key that signed the bundle, empty for no bundle.
    """
    card = render_card(report, form=forms[0])
    relation = {"base_model_relation": RELATION[forms[0]]} if "\nbase_model: " in card else {}
    entries = {**relation, "library_name": LIBRARY[forms[0]]}
    front = "".join(f"{name}: {json.dumps(value)}\n" for name, value in entries.items())
    card = card.replace("---\n", f"---\n{front}", 1)
    return joined([card.rstrip("\n"), *_published(report, forms, names, key)]) + "\n"


def _published(report: Report, forms: Sequence[str], names: Sequence[str], key: str) -> list[str]:
    bundle = f"{report.recipe_name}{ENDING}"
    parts = [
        "## Files",
        f"Published as {', '.join(map(code, forms))}: {', '.join(map(code, names))}.",
    ]
    model = next((name for name in names if name.endswith((".gguf", ".safetensors"))), None)
    commands = ["sha256sum -c SHA256SUMS"]
    if "model.sig" in names:
        commands.append(
            "model_signing verify key . --signature model.sig --ignore_unsigned_files "
            "--public_key KEY.pub"
        )
    if bundle in names and model:
        signed = f" --key {key}" if key else ""
        commands.append(f"recipe verify {bundle} --model {model}{signed}")
        parts.append("The bundle holds the signed evidence. Check files and evidence offline:")
    else:
        parts.append("Check the files:")
    return [*parts, fenced("\n".join(commands), "console")]
