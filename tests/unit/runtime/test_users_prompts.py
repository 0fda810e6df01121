"""What users of a GGUF file send is what training read, token by token, for the templates of known families."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

from engine.recipe.prompt import messages
from engine.runtime.gguf import convert_worker as gguf_convert_worker
from engine.runtime.llama.client import file_tokenizer
from engine.runtime.llama.engine import Engine
from engine.runtime.models.base_model import write_tokenizer
from engine.runtime.models.merge import copy_model
from engine.runtime.rendering.chat import Chat, load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.renderer import Renderer
from support.export_bench import TASK
from support.model_families import FAMILIES, make_family

TEXTS = ("a fine film", "so so 12 ½", "日本 {{ x }}", "two\n\nlines")
CASES: list[tuple[str, dict[str, bool]]] = [(name, {}) for name in FAMILIES] + [
    ("llama32", {"adds_bos": True, "stale": True}),
    ("gemma2", {"adds_bos": True}),
    ("smollm2", {"adds_bos": True, "stale": True}),
    ("own_ending", {"adds_bos": True}),
]


class Row:
    """An example."""

    id, origin, repeat = "0" * 16, "rows.csv:2", 1
    payload: Mapping[str, Any] = {}

    def __init__(self, text: str) -> None:
        self.input, self.target = text, "good"


def exported(base: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Chat]:
    """The folder and the file that leave, and the chat of training."""
    chat = load_chat(base)
    copy_model(base, base, folder / "model")
    write_tokenizer(folder / "model", chat, has_turns=True)
    path = folder / "model.gguf"
    words = ["convert", str(folder / "model"), "--outfile", str(path), "--outtype", "f16"]
    monkeypatch.setattr(sys, "argv", words)
    gguf_convert_worker.main()
    return folder / "model", path, chat


def trained(chat: Chat, texts: Sequence[str]) -> list[list[int]]:
    """Tokens before the answer, as training reads them."""
    limits = LengthLimits(max_length=512, truncation="off", template_tokens="off")
    renderer = Renderer(chat, TASK, limits)
    rows = [renderer.render(Row(text))[0].segments for text in texts]
    return [[token for part in row[:-1] for token in chat.token_ids(part.text)] for row in rows]


def sent(path: Path, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of what a program makes of the file's own template, with the special tokens that the file adds."""
    tokenizer, engine = file_tokenizer(path), Engine(str(path), threads=1)
    prompts = [
        tokenizer.apply_chat_template(messages(TASK, text), add_generation_prompt=True)
        for text in texts
    ]
    return [
        list(engine.vocab.tokenize(text, add_special=True, parse_special=True)) for text in prompts
    ]


@pytest.mark.parametrize(("name", "faults"), CASES)
def test_users_of_the_file_and_the_folder_send_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, faults: dict[str, bool]
) -> None:
    base = make_family(tmp_path / "base", name, **faults)
    folder, path, chat = exported(base, tmp_path, monkeypatch)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rendered = [
        tokenizer.apply_chat_template(
            messages(TASK, text), add_generation_prompt=True, tokenize=False
        )
        for text in TEXTS
    ]

    assert sent(path, TEXTS) == trained(chat, TEXTS)
    assert [tokenizer(text)["input_ids"] for text in rendered] == trained(chat, TEXTS)
    vocab = Engine(str(path), threads=1).vocab
    (ending,) = chat.token_ids(chat.terminator)
    assert vocab.is_eog(ending)
    assert not vocab.get_add_bos()
    assert not vocab.get_add_eos()
    assert "chat_template" not in (folder / "tokenizer_config.json").read_text()


def test_prompts_are_equal_forty_days_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_family(tmp_path / "base", "llama32")
    turns = [{"role": "user", "content": "hi"}]
    today = load_chat(base).prompt(turns)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2027, 1, 4, tzinfo=tz or UTC)

    monkeypatch.setattr(chat_template_utils, "datetime", Later)

    assert load_chat(base).prompt(turns) == today


def test_a_tokenizer_with_several_templates_keeps_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_family(tmp_path / "base", "smollm2")
    more = base / "additional_chat_templates"
    more.mkdir()
    (more / "tool_use.jinja").write_text("{{ tools }}" + FAMILIES["smollm2"].text())
    folder, path, chat = exported(base, tmp_path, monkeypatch)

    names = {"default", "tool_use"}
    assert set(AutoTokenizer.from_pretrained(folder).chat_template) == names
    assert GGUFReader(path).get_field("tokenizer.chat_template.tool_use") is not None
    assert sent(path, TEXTS) == trained(chat, TEXTS)
