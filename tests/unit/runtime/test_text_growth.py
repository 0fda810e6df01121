"""A tokenizer whose rules make a text longer without bound is refused before a text is read by it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.runtime.models.model_files import MOST_ADDED, MOST_GROWTH, growth_of, require_vocabulary
from support.pico import make_pico_model


def sequence(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"normalizer": {"type": "Sequence", "normalizers": list(rules)}}


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def charsmap(*texts: str) -> dict[str, Any]:
    """A table with a trie of four bytes."""
    content = (4).to_bytes(4, "little") + bytes(4) + b"\0".join(text.encode() for text in texts)
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


PIECE = {"Sequence": {"id": "A", "type_id": 0}}
ENDLESS: dict[str, dict[str, Any]] = {
    "replaced again and again": sequence(*[replace({"String": "o"}, "o" * 100)] * 6),
    "put in at every place": sequence(replace({"String": ""}, "o" * MOST_GROWTH)),
    "replaced by a pattern": sequence(*[replace({"Regex": "."}, "o" * 99)] * 2),
    "put before": sequence(*[{"type": "Prepend", "prepend": "x" * 99}] * 2),
    "a table with a long text": sequence(charsmap("a", "b" * 2 * MOST_GROWTH)),
    "two tables": sequence(charsmap("b" * 99), charsmap("b" * 99)),
    "said again": {"post_processor": {"type": "TemplateProcessing", "single": [PIECE] * 2000}},
    "filled up": {"padding": {"strategy": {"Fixed": 10**9}}},
    "replaced when it is decoded": {"decoder": replace({"String": "o"}, "o" * 2 * MOST_GROWTH)},
}
USUAL: dict[str, dict[str, Any]] = {
    "none": {},
    "Llama's": sequence({"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁")),
    "XLM-R's": sequence(charsmap("a", "\u0635\u0644\u0649 " * 4), replace({"Regex": " {2,}"}, "▁")),
    "ALBERT's": sequence(replace({"String": "``"}, '"'), replace({"String": "''"}, '"'), {"type": "NFKD"}),
    "BERT's": {"post_processor": {"type": "TemplateProcessing", "single": [PIECE] * 3, "pair": [PIECE] * 5}},
    "padded": {"padding": {"strategy": {"Fixed": 512}, "pad_to_multiple_of": 8}},
}  # fmt: skip


@pytest.mark.parametrize("rules", ENDLESS.values(), ids=ENDLESS)
def test_rules_that_multiply_are_refused(rules: dict[str, Any], tmp_path: Path) -> None:
    make_pico_model(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **rules}), encoding="utf-8")

    with pytest.raises(StageError, match="longer") as error:
        require_vocabulary(tmp_path)

    assert error.value.problems[0].code == "X694"


def test_more_tokens_beside_the_vocabulary_than_can_be_added_are_refused(tmp_path: Path) -> None:
    added = [{"id": at, "content": f"<{at}>"} for at in range(MOST_ADDED + 1)]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}), encoding="utf-8")

    with pytest.raises(StageError, match="adds more"):
        require_vocabulary(tmp_path)


@pytest.mark.parametrize("rules", USUAL.values(), ids=USUAL)
def test_usual_rules_are_not(rules: dict[str, Any]) -> None:
    assert growth_of(rules) <= MOST_GROWTH / 5
