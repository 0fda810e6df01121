"""The chat of a GGUF file by the template and the special tokens that stand in it.

llama.cpp cuts the text into tokens itself, so any architecture that it runs can be asked, whether
transformers knows it or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.runtime.rendering.chat import Chat, chat_of
from engine.values import Value

BOS, EOS = "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"
TEMPLATE, TOKENS = "tokenizer.chat_template", "tokenizer.ggml.tokens"
TOOL_TEMPLATE = f"{TEMPLATE}.tool_use"


class FileTokenizer(Value):
    """What a chat needs of a tokenizer, from a file: the template and two special tokens."""

    chat_template: str
    bos_token: str
    eos_token: str
    tool_template: str = ""
    """What is used instead where tools are offered; empty for the same."""

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
    ) -> str:
        """Return the text of a conversation, in the sandbox of transformers."""
        from transformers.utils.chat_template_utils import (  # only where one is asked
            render_jinja_template,
        )

        if tokenize:
            raise NotImplementedError("llama.cpp makes the tokens")
        rendered, _ = render_jinja_template(
            conversations=[list(messages)],
            tools=list(tools) if tools else None,
            chat_template=(self.tool_template if tools else "") or self.chat_template,
            add_generation_prompt=add_generation_prompt,
            bos_token=self.bos_token,
            eos_token=self.eos_token,
        )
        text: str = rendered[0]
        return text


def load_gguf_chat(path: Path) -> Chat:
    """Return the chat of a GGUF file. StageError X602 without a template, X603, X634 for no whole file."""
    return chat_of(file_tokenizer(path))


def file_tokenizer(path: Path) -> FileTokenizer:
    """Return the chat template of a GGUF file and its special tokens. StageError X634 for no whole file."""
    from gguf import GGUFReader  # brings NumPy

    try:
        reader = GGUFReader(path)
        template, tools = _value(reader, TEMPLATE), _value(reader, TOOL_TEMPLATE)
        ids = [_value(reader, name) for name in (BOS, EOS)]
        tokens = reader.get_field(TOKENS)
        bos, eos = ("" if place is None else str(tokens.contents(int(place))) for place in ids)
    # The file may come from anybody, and a field of it hold another type than its name promises.
    except (ValueError, OSError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise StageError.one("X634", f"`{path.name}` cannot be read: {error}") from error
    return FileTokenizer(
        chat_template=template or "", bos_token=bos, eos_token=eos, tool_template=tools or ""
    )


def _value(reader: Any, name: str) -> Any:
    field = reader.get_field(name)
    return None if field is None else field.contents()
