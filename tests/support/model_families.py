"""Tiny models with the chat templates that known families of models really have, as TRL ships them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from support.pico import make_pico_model

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Of the form of SmolLM2's, which TRL does not ship."""
STALE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[bot] {% endif %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a family's tokenizer has."""

    template: str
    """Name of a file of TRL, or the template."""
    special: tuple[str, ...]
    eos: str
    bos: str = ""

    def text(self) -> str:
        """The chat template."""
        if "{" in self.template:
            return self.template
        path = files("trl") / "chat_templates" / f"{self.template}.jinja"
        return path.read_text(encoding="utf-8")


FAMILIES: Mapping[str, Family] = {
    "qwen3": Family(
        template="qwen3",
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"),
        eos="<|im_end|>",
    ),
    "llama32": Family(
        template="llama3_2",
        special=(
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        eos="<|eot_id|>",
        bos="<|begin_of_text|>",
    ),
    "gemma2": Family(
        template="gemma",
        special=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        eos="<eos>",
        bos="<bos>",
    ),
    "gemma3": Family(
        template="gemma3",
        special=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        eos="<eos>",
        bos="<bos>",
    ),
    "phi3": Family(
        template="phi3",
        special=(
            "<unk>",
            "<s>",
            "<|endoftext|>",
            "<|assistant|>",
            "<|user|>",
            "<|system|>",
            "<|end|>",
        ),
        eos="<|endoftext|>",
        bos="<s>",
    ),
    "smollm2": Family(
        template=SMOLLM2,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        eos="<|im_end|>",
        bos="<|im_start|>",
    ),
    "own_ending": Family(
        template="{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|over|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        special=("<s>", "</s>", "<|over|>", "<|user|>", "<|assistant|>"),
        eos="</s>",
        bos="<s>",
    ),
}
"""The last ends turns with a token that llama.cpp does not know by name."""


def make_family(folder: Path, name: str, *, adds_bos: bool = False, stale: bool = False) -> Path:
    """Write a tiny model of a family; its tokenizer may add the BOS, and hold a second, stale template."""
    family = FAMILIES[name]
    names = {"eos_token": family.eos, "pad_token": family.eos, "unk_token": family.special[0]}
    if family.bos:
        names["bos_token"] = family.bos
    make_pico_model(folder, template=family.text(), names=names, special=family.special)
    if adds_bos:
        _add_bos(folder, family)
    if stale:
        _edit(folder / "tokenizer_config.json", chat_template=STALE)
    return folder


def _add_bos(folder: Path, family: Family) -> None:
    token = {"id": family.bos, "ids": [family.special.index(family.bos)], "tokens": [family.bos]}
    first = {"SpecialToken": {"id": family.bos, "type_id": 0}}
    one, two = ({"Sequence": {"id": name, "type_id": kind}} for kind, name in enumerate("AB"))
    _edit(
        folder / "tokenizer.json",
        post_processor={
            "type": "TemplateProcessing",
            "single": [first, one],
            "pair": [first, one, two],
            "special_tokens": {family.bos: token},
        },
    )
    _edit(folder / "tokenizer_config.json", add_bos_token=True)


def _edit(path: Path, **changes: Any) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**found, **changes}), encoding="utf-8")
