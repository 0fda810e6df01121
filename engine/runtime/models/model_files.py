"""The files of a model folder before any library reads them: settings that are data, and nothing that is code.

transformers and PEFT import, fetch or run what some settings name, so nothing that a model could be asked to run is let
through in the first place.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, Severity, StageError
from engine.files.reading import read_json, require_regular
from engine.values import brief_text

CONFIG: Final = "config.json"
GENERATION: Final = "generation_config.json"
MARKS: Final = ("bos_token_id", "eos_token_id")
PLAIN: Final[Mapping[str, object]] = {
    **dict.fromkeys(
        (
            *("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias"),
            *("forced_bos_token_id", "forced_eos_token_id", "force_words_ids", "stop_strings"),
            *("min_new_tokens", "max_length", "max_new_tokens", "guidance_scale"),
            "exponential_decay_length_penalty",
        )
    ),
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty", "length_penalty"), 1.0),
    **dict.fromkeys(("no_repeat_ngram_size", "min_length", "diversity_penalty"), 0),
    "num_beams": 1,
}
"""Settings that give other answers than plain decoding does, with the value that does not."""
WINDOW: Final = 512
"""A greatest length of so many tokens is the model's window, and cuts no answer short."""
SAMPLING: Final = ("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p")
"""Not exported either: rows are judged by the most probable tokens."""
HOT: Final = 2.0
DROPOUT: Final = 0.2


def bending(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings that give other answers than plain decoding does, by name."""
    found = {key for key in PLAIN if settings.get(key) not in (None, PLAIN[key])}
    if _number(settings.get("max_length")) >= WINDOW:
        found.discard("max_length")
    if settings.get("do_sample") and _number(settings.get("temperature")) > HOT:
        found.add("temperature")
    return sorted(found)


def _number(found: object) -> float:
    return found if isinstance(found, int | float) else 0.0


def token_ids(found: object) -> list[int]:
    """Return the tokens that a setting names: one, a list, or none; those below 0 stand for none."""
    listed = found if isinstance(found, list) else [found]
    return [one for one in listed if isinstance(one, int) and one >= 0]


def is_mark(tokenizer: Any, token: int) -> bool:
    """Say whether a token marks something, and is no ordinary text."""
    return token in tokenizer.added_tokens_decoder or token in tokenizer.all_special_ids


def settings_problems(folder: Path, tokenizer: Any, *, rows: int, built: str) -> Iterator[Problem]:
    """Yield X842, a warning, for settings that the exported model does not keep or that no sound model has."""
    config, generation = (
        read_settings(folder / name) if (folder / name).is_file() else {}
        for name in (CONFIG, GENERATION)
    )
    for name, settings in ((CONFIG, config), (GENERATION, generation)):
        for key in (*MARKS, "pad_token_id"):
            ends, own = token_ids(settings.get(key)), getattr(tokenizer, key, None)
            for token in ends:
                if token >= rows:
                    what = f"{token:,}, and the embedding has {rows:,} rows"
                    yield _warning(f"`{key}` of {name} is {what}")
                elif key in MARKS and not is_mark(tokenizer, token):
                    text = tokenizer.decode([token])
                    yield _warning(f"`{key}` of {name} is {token}, the ordinary text {text!r}")
            if key in MARKS and ends and own is not None and own not in ends:
                listed = ", ".join(map(str, ends))
                yield _warning(f"`{key}` of {name} is {listed}, and that of the tokenizer is {own}")
    begins = [*token_ids(config.get("bos_token_id")), *token_ids(generation.get("bos_token_id"))]
    template = str(getattr(tokenizer, "chat_template", None) or "")
    if begins and "bos_token" in template and tokenizer.bos_token is None:
        what = f"and {CONFIG} has it as token {begins[0]}: no text would begin with it"
        yield _warning(f"the tokenizer has no `bos_token`, which the chat template writes, {what}")
    if odd := bending(generation):
        listed = ", ".join(f"`{key}: {brief_text(str(generation[key]))}`" for key in odd)
        yield _warning(
            f"{GENERATION} bends answers by {listed}: rows are judged without, and it is not exported"
        )
    for key, value in config.items():
        is_dropout = "dropout" in key or key.endswith("pdrop")
        if is_dropout and isinstance(value, float) and not 0 <= value <= DROPOUT:
            yield _warning(f"`{key}` of {CONFIG} is {value:g}: models have {DROPOUT:g} at most")
    base, positions = config.get("rope_theta"), config.get("rope_parameters")
    if base is not None and isinstance(positions, dict) and positions.get("rope_theta") != base:
        # Which of the two counts depends on the program.
        yield _warning(f"{CONFIG} has two values of `rope_theta`, one of them in `rope_parameters`")
    named = config.get("architectures")
    if isinstance(named, list) and named and built not in named:
        yield _warning(f"`architectures` of {CONFIG} names {named[0]}, and a {built} is trained")


def _warning(message: str) -> Problem:
    hint = "take the settings of the same revision of the same model"
    return base_problem("X842", message, hint, warns=True)


MOST_GROWTH: Final = 1000
"""Times; those of models in use come to some dozens, with a table of Unicode's compatibility forms."""
MOST_PADDED: Final = 1 << 20
"""Tokens that a text is filled up to, as many as the longest `method.max_length`."""


def growth_of(tokenizer: Any) -> float:
    """Return by what factor the rules of a tokenizer.json can make a text longer; infinite for endless filling."""
    found = tokenizer if isinstance(tokenizer, dict) else {}
    if any(isinstance(one, int) and one > MOST_PADDED for _, one in _entries(found.get("padding"))):
        return float("inf")
    growth = 1.0
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        whole = 1.0
        for rule in _mappings(found.get(name)):
            whole = min(whole * _factor(rule), 2.0 * MOST_GROWTH)
        growth = max(growth, whole)
    return growth


def _factor(rule: dict[str, Any]) -> float:
    match rule.get("type"):
        case "Replace":
            pattern = rule.get("pattern")
            replaced = pattern.get("String") if isinstance(pattern, dict) else None
            # Of a regular expression it is not known what it takes away.
            taken = len(replaced) if isinstance(replaced, str) else 0
            put = _length(rule.get("content"))
            return max(1.0, put / taken) if taken else 1.0 + put
        case "Prepend":
            return 1.0 + _length(rule.get("prepend"))
        case "Precompiled":
            try:
                content = base64.b64decode(rule["precompiled_charsmap"], validate=True)
            except (binascii.Error, ValueError, TypeError, KeyError):
                return 1.0
            # SentencePiece's table: a trie behind its size, then texts.
            texts = content[4 + int.from_bytes(content[:4], "little") :].split(b"\0")
            return float(max(1, *(len(text.decode(errors="replace")) for text in texts)))
        case "TemplateProcessing":
            return float(max(1, *(_length(rule.get(one)) for one in ("single", "pair"))))
    return 1.0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list) else 0


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


CODE_KEYS: Final = frozenset(
    {
        *("auto_map", "auto_mapping", "custom_generate", "custom_pipelines"),
        *("kernel_config", "hub_kernels", "use_kernels", "megatron_config"),
    }
)
"""Settings that name modules, repositories with code, or kernels; empty they are harmless."""
REMOTE_CODE: Final = "trust_remote_code"
ATTENTION: Final = frozenset(
    {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"}
)
"""Implementations that are installed or absent; every other name is one of the hub."""
QUANTIZED: Final = frozenset({"bitsandbytes"})
"""Methods whose code is installed with us; others import what they name or fetch kernels."""
CLASS_KEYS: Final = frozenset(
    {
        *("architectures", "tokenizer_class", "processor_class", "image_processor_type"),
        *("feature_extractor_type", "video_processor_type", "model_type", "peft_type"),
    }
)
FILE_KEYS: Final = ("_file", "_files")
NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[0-9][A-Za-z0-9_-]*)*")
"""Name of a class or an architecture (`gpt-neox`, `qwen2.5`): no module, no repository."""
ADAPTER: Final = "adapter_config.json"
MOST_FILES: Final = 10_000
LARGEST: Final = (
    (re.compile(r"layers?$"), 1_000),
    (re.compile(r"experts?$"), 4_096),
    (re.compile(r"labels$"), 65_536),
    (re.compile(r"(dim|heads)$"), 1 << 20),
)
"""The largest number of a configuration, by how its key ends."""
MOST_TOKENS: Final = 1 << 23
"""Tokens of a vocabulary; the largest have some hundred thousand."""
MOST_ADDED: Final = 1 << 16
"""Tokens added to the model's own; transformers adds them one at a time."""
VOCABULARIES: Final = ("tokenizer.json", "vocab.json")
UNREAD: Final = frozenset(VOCABULARIES)
"""Vocabularies: their entries are texts, and libraries read them as nothing else."""

Finding = tuple[str, str]
"""The key, and what is wrong with it."""


def require_data(folder: Path) -> Path:
    """Return the folder when it holds files and no code. StageError X609, X691, X694."""
    files = list(_files(folder))
    for path in files:
        if path.suffix == ".py" and path.name != "__init__.py":
            raise _code(f"`{path.relative_to(folder).as_posix()}`")
        try:
            require_regular(path)
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from error
    if (folder / "custom_generate").exists():
        raise _code("`custom_generate`")
    if (folder / ADAPTER).exists():
        what = "the base model is an adapter: it names another model to load"
        hint = "merge it into its base model, and name the folder that this gives"
        raise StageError.one("X691", what, path="base_model", hint=hint)
    return require_settings(folder, files)


def require_settings(folder: Path, files: Iterable[Path] = ()) -> Path:
    """Return the folder when none of its settings files makes a library run code. StageError X609, X694."""
    for path in files or _files(folder):
        if path.suffix != ".json" or path.name in UNREAD:
            continue
        settings = read_settings(path)
        # A number of a configuration that no model has: libraries make as many parts, or none, of it.
        for key, value in _entries(settings) if path.name == "config.json" else ():
            most = next((most for form, most in LARGEST if form.search(key)), None)
            if most is not None and isinstance(value, int) and not 0 <= value <= most:
                shown = f"{value:,}" if abs(value) < 1 << 64 else "beyond 64 bits"
                raise unreadable(path, f"`{key}` is {shown}, {most:,} is the most")
        found = next(chain(findings(settings), _beside(folder, settings)), None)
        if found is not None:
            key, why = found
            what = f"`{path.relative_to(folder).as_posix()}` of the base model has `{key}`, {why}"
            hint = f"take `{key}` out of {path.name}, if the model works without its own code"
            raise StageError.one("X609", what, path="base_model", hint=hint)
    return folder


def _beside(folder: Path, settings: Any) -> Iterator[Finding]:
    """Yield each setting that leads a tokenizer to a file that is there, and outside of the folder."""
    for key, value in _entries(settings):
        if not key.endswith(FILE_KEYS):
            continue
        for one in value if isinstance(value, list) else [value]:
            # As written: the files of a hub's cache are links to another of its folders.
            if (
                isinstance(one, str)
                and (os.path.isabs(one) or os.path.normpath(one).startswith(os.pardir))
                and os.path.lexists(folder / one)
            ):
                yield key, "which names a file outside of it"


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a model folder, by name. StageError X691 where there are too many for it to be one."""
    count = 0
    for parent, folders, names in os.walk(folder):
        # In place, as `os.walk` wants it: hidden folders, such as `.git`, are not entered.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                what = f"the base model's folder holds more than {MOST_FILES:,} files"
                hint = "name the folder that `save_pretrained` wrote"
                raise StageError.one("X691", what, path="base_model", hint=hint)
            yield Path(parent) / name


def require_vocabulary(folder: Path) -> None:
    """Refuse numbers of tokens beyond reason, and rules that make texts longer without bound. StageError X694."""
    for name in VOCABULARIES:
        path = folder / name
        if path.is_file():
            status = path.stat()
            _require_numbers(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _require_numbers(path: Path, _changed: int, _size: int) -> None:
    """Like `require_vocabulary`, once for each state of a file: the largest take a second to read."""
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    whole = found if isinstance(found, dict) else {}
    model, added = whole.get("model"), whole.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else whole
    more = added if isinstance(added, list) else []
    every = [*vocabulary.values()] if isinstance(vocabulary, dict) else []
    every += [one.get("id") for one in more if isinstance(one, dict)]
    # What is no number is left to who reads it.
    numbers = (one for one in every if isinstance(one, int) and not isinstance(one, bool))
    if odd := next((one for one in numbers if not 0 <= one < MOST_TOKENS), None):
        number = f"{odd:,}" if abs(odd) < 1 << 64 else "beyond 64 bits"
        raise unreadable(path, f"a token has the number {number}, {MOST_TOKENS:,} is the most")
    if len(more) > MOST_ADDED:
        raise unreadable(path, f"it adds more than {MOST_ADDED:,} tokens to its vocabulary")
    if path.name == VOCABULARIES[0] and growth_of(found) > MOST_GROWTH:
        raise unreadable(path, f"its rules make a text more than {MOST_GROWTH:,} times longer")


def read_settings(path: Path) -> Any:
    """Return what a settings file holds. StageError X694 when it cannot be read, or is no object where one is due."""
    try:
        settings = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if path.name.endswith(("config.json", "index.json")) and not isinstance(settings, dict):
        raise unreadable(path, "it holds no object")
    return settings


def base_problem(code: str, message: str, hint: str, *, warns: bool = False) -> Problem:
    severity = Severity.WARNING if warns else Severity.ERROR
    return Problem(code=code, message=message, path="base_model", hint=hint, severity=severity)


def unreadable(path: Path, why: str) -> StageError:
    what = f"`{path.name}` of the model cannot be read: {why.splitlines()[0][:200]}"
    hint = "fetch or make the model again"
    return StageError.one("X694", what, path="base_model", hint=hint)


def without_code(settings: Any) -> Any:
    """Return settings without the keys that make a library run code, however deep they stand."""
    if isinstance(settings, list):
        return [without_code(value) for value in settings]
    if not isinstance(settings, dict):
        return settings
    return {
        key: without_code(value) for key, value in settings.items() if _why(str(key), value) is None
    }


def findings(settings: Any) -> Iterator[Finding]:
    """Yield each setting that makes a library run code, however deep it stands."""
    for key, value in _entries(settings):
        if (why := _why(key, value)) is not None:
            yield key, why


def _entries(settings: Any) -> Iterator[tuple[str, Any]]:
    for one in _mappings(settings):
        yield from ((str(key), value) for key, value in one.items())


def _why(key: str, value: Any) -> str | None:
    # CVE-2026-4372: `_attn_implementation_internal` had code of the hub run although no remote code was trusted.
    is_internal = key.startswith("_attn") or key.endswith("_internal")
    if (key in CODE_KEYS and value) or is_internal:
        return "which makes transformers run code"
    if key == REMOTE_CODE and value is not False and value is not None:
        return "which asks for the model's own code"
    if key == "attn_implementation":
        known = value.values() if isinstance(value, dict) else (value,)
        if not all(one is None or (isinstance(one, str) and one in ATTENTION) for one in known):
            return "whose value is no attention that comes with transformers"
    if key == "quantization_config" and value:
        # Early configurations of bitsandbytes have no `quant_method`; transformers takes them for what they are.
        method = value.get("quant_method", "bitsandbytes") if isinstance(value, dict) else None
        return None if method in QUANTIZED else "whose method imports or fetches code of its own"
    if key in CLASS_KEYS:
        names = value if isinstance(value, list) else [value]
        if not all(one is None or (isinstance(one, str) and NAME.fullmatch(one)) for one in names):
            return "whose value is no name of a class"
    return None


def _code(what: str) -> StageError:
    message = f"the base model comes with code: {what}"
    hint = "a base model is data: take the file out of its folder, if the model works without it"
    return StageError.one("X691", message, path="base_model", hint=hint)
