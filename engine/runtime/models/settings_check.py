"""Settings of a base model that contradict its tokenizer, or bend the answers of who generates with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem
from engine.runtime.models.files import base_problem, read_settings
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
