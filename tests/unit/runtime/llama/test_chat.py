"""A GGUF file is asked by its own template, as the folder that it was made of is asked."""

from pathlib import Path

import pytest

from engine.errors import StageError
from engine.runtime.llama.client import FileTokenizer, file_tokenizer
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.chat import chat_of
from support.pico import pico_gguf

TURNS = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "good?\n½"}]


def test_the_prompt_is_that_of_the_folder(pico: LoadedModel) -> None:
    chat = chat_of(file_tokenizer(pico_gguf()))

    assert chat.prompt(TURNS) == pico.chat.prompt(TURNS)
    assert chat.terminator == pico.chat.terminator


def test_a_file_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and no more")

    with pytest.raises(StageError, match="X634"):
        chat_of(file_tokenizer(tmp_path / "model.gguf"))


def test_special_tokens_stand_in_the_template() -> None:
    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = FileTokenizer(chat_template=template, **special)

    text = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}])

    assert text == "<s>hi</s>"
