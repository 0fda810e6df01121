"""Settings of a base model that contradict its tokenizer, or bend the answers of who generates with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from transformers import CONFIG_MAPPING
from transformers.convert_slow_tokenizer import bytes_to_unicode

from engine.errors import Problem
from engine.files.reading import read_json
from engine.runtime.models.files import read_settings
from engine.runtime.models.tensor_check import base_problem, is_trained
from engine.values import brief_text

UNREACHED: Final = 0.1
"""Share of words that no merge makes from which merges are missing."""
SWAPPED: Final = 0.02
"""Share of words out of order below which they are exceptions in a vocabulary that has one."""
MOST_BYTES: Final = 4
"""Bytes out of order that may be swapped pairs; a vocabulary with an order of its own has more."""
REVERSED: Final = 0.9
"""Share of words out of order from which merges stand the other way round."""
FEW_BYTES: Final = 100


def vocabulary_problems(folder: Path) -> Iterator[Problem]:
    """Yield X841, a warning, for words that merges cannot make, and for those with the number of others."""
    path = folder / "tokenizer.json"
    whole = read_json(path) if path.is_file() else {}
    model = whole.get("model") or {}
    words = model.get("vocab")
    if model.get("type") != "BPE" or not isinstance(words, dict):
        return
    beside = folder / "vocab.json"
    other = read_json(beside) if beside.is_file() else {}
    numbered = other.items() if isinstance(other, dict) else ()
    if odd := [word for word, number in numbered if words.get(word, number) != number]:
        yield _odd_vocabulary(
            f"gives {_words(len(odd))} another number than vocab.json, such as {odd[0]!r}"
        )
    yield from _swapped_bytes(words)
    made = [*dict.fromkeys(_product(one) for one in model.get("merges") or ())]
    known = {*made, *(one.get("content") for one in whole.get("added_tokens") or ())}
    unreached = [
        one for one in words if len(one) > 1 and not one.startswith("<") and one not in known
    ]
    if len(unreached) > UNREACHED * len(words) and not model.get("ignore_merges"):
        yield _odd_vocabulary(
            f"has {len(unreached):,} words of {len(words):,} that no merge makes, such as {unreached[0]!r}"
        )
    # Training a tokenizer numbers words as it makes them.
    order = [words[one] for one in made if one in words]
    back = [later for one, later in pairwise(order) if one > later]
    if 0 < len(back) <= SWAPPED * len(order):
        names = {number: word for word, number in words.items()}
        yield _odd_vocabulary(
            f"gives {_words(len(back))} a number out of order, such as {names[back[0]]!r}: words may be swapped"
        )
    elif len(back) > REVERSED * len(order):
        yield _odd_vocabulary(
            f"has its {len(made):,} merges the other way round: the last ones come first"
        )


def _words(count: int) -> str:
    return f"{count:,} word{'' if count == 1 else 's'}"


def _swapped_bytes(words: Mapping[str, int]) -> Iterator[Problem]:
    """Yield X841 where two bytes have each other's number: any text comes back, and the model reads another one.

    Bytes are numbered by their own order, or by that of the letters that stand for them.
    """
    letters = bytes_to_unicode()
    orders = [
        [one for one in order if one in words]
        for order in ((letters[byte] for byte in range(256)), sorted(letters.values()))
    ]
    orders.append([name for byte in range(256) if (name := f"<0x{byte:02X}>") in words])
    odd = [_out_of_order(order, words) for order in orders if len(order) > FEW_BYTES]
    found = min(odd, key=len, default=[])
    if 0 < len(found) <= MOST_BYTES:
        yield _odd_vocabulary(f"gives bytes each other's numbers: {', '.join(map(repr, found))}")


def _out_of_order(order: Sequence[str], words: Mapping[str, int]) -> list[str]:
    numbers = [words[one] for one in order]
    return [
        one
        for one, number, right in zip(order, numbers, sorted(numbers), strict=True)
        if number != right
    ]


def _product(merge: Any) -> str:
    return "".join(merge.split(" ", 1) if isinstance(merge, str) else merge)


def _odd_vocabulary(what: str) -> Problem:
    hint = "take the tokenizer files of the same revision of the same model"
    return base_problem("X841", f"the tokenizer of the base model {what}", hint, warns=True)


CONFIG: Final = "config.json"
GENERATION: Final = "generation_config.json"
MARKS: Final = ("bos_token_id", "eos_token_id")
TOKENS: Final = (*MARKS, "pad_token_id")
BENDING: Final = frozenset(
    {
        *("repetition_penalty", "no_repeat_ngram_size", "encoder_repetition_penalty"),
        *("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias"),
        *("forced_bos_token_id", "forced_eos_token_id", "force_words_ids", "stop_strings"),
        *("min_length", "min_new_tokens", "max_length", "max_new_tokens", "length_penalty"),
        *("exponential_decay_length_penalty", "diversity_penalty", "guidance_scale", "num_beams"),
    }
)
"""Settings of generation that give other answers than those that were judged; sampling is no question of right."""
PLAIN: Final[Mapping[str, object]] = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "num_beams": 1,
    "no_repeat_ngram_size": 0,
    "diversity_penalty": 0.0,
    "min_length": 0,
}
"""Values of such settings that bend nothing."""
WINDOW: Final = 512
"""A greatest length of so many tokens is the model's window, and cuts no answer short."""
SAMPLING: Final = ("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p")
"""Not exported either: rows are judged by the most probable tokens."""
HOT: Final = 2.0
ACTIVATION_KEYS: Final = ("hidden_act", "hidden_activation", "activation_function")
EPSILON: Final = 1e-5
DROPOUT: Final = 0.2
POSITIONS: Final = 1 << 24
BASES: Final = (1e3, 1e10)
"""Bases of positions; those of published models lie between 1e4 and 4e9."""


def bending(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings that give other answers than plain decoding does, by name."""
    found = {
        key for key in BENDING & settings.keys() if settings[key] not in (None, PLAIN.get(key))
    }
    found -= {key for key in found & {"max_length"} if _number(settings[key]) >= WINDOW}
    is_hot = bool(settings.get("do_sample")) and _number(settings.get("temperature")) > HOT
    return sorted(found | ({"temperature"} if is_hot else set()))


def _number(found: object) -> float:
    """Return a number as it is, and 0 for anything else that stands in its place."""
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
        yield from _other_tokens(name, settings, tokenizer, rows)
        for key in MARKS:
            ends, own = token_ids(settings.get(key)), getattr(tokenizer, key, None)
            if ends and own is not None and own not in ends:
                listed = ", ".join(map(str, ends))
                yield _warning(f"`{key}` of {name} is {listed}, and that of the tokenizer is {own}")
    if odd := bending(generation):
        listed = ", ".join(f"`{key}: {brief_text(str(generation[key]))}`" for key in odd)
        yield _warning(
            f"{GENERATION} bends answers by {listed}: rows are judged without, and it is not exported"
        )
    yield from _odd_numbers(config)
    yield from _odd_bases(config)
    # Weights that were trained are asked which activation they had.
    if not is_trained(folder):
        yield from _other_activation(config)
    named = config.get("architectures")
    if isinstance(named, list) and named and built not in named:
        yield _warning(f"`architectures` of {CONFIG} names {named[0]}, and a {built} is trained")


def _other_tokens(
    name: str, settings: Mapping[str, Any], tokenizer: Any, rows: int
) -> Iterator[Problem]:
    for key in TOKENS:
        for token in token_ids(settings.get(key)):
            if token >= rows:
                what = f"{token:,}, and the embedding has {rows:,} rows"
            elif key in MARKS and not is_mark(tokenizer, token):
                what = f"{token}, which is the ordinary text {tokenizer.decode([token])!r}"
            else:
                continue
            yield _warning(f"`{key}` of {name} is {what}")


def _odd_numbers(config: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in config.items():
        most = EPSILON if key.endswith(("_eps", "_epsilon")) else None
        most = DROPOUT if "dropout" in key or key.endswith("pdrop") else most
        if most is not None and isinstance(value, float) and not 0 <= value <= most:
            yield _warning(f"`{key}` of {CONFIG} is {value:g}: models have {most:g} at most")
    if _number(longest := config.get("max_position_embeddings")) > POSITIONS:
        yield _warning(
            f"`max_position_embeddings` of {CONFIG} is {longest:,}: no model has read as much"
        )


def _odd_bases(config: Mapping[str, Any]) -> Iterator[Problem]:
    found = config.get("rope_parameters")
    inner = [found, *found.values()] if isinstance(found, dict) else []
    parts = [config, *(one for one in inner if isinstance(one, dict))]
    for base in dict.fromkeys(_number(one.get("rope_theta")) for one in parts):
        if base and not BASES[0] <= base <= BASES[1]:
            yield _warning(f"`rope_theta` of {CONFIG} is {base:g}: models have 10,000 or more")
    if not isinstance(found, dict):
        return
    # Both are read: which of the two counts depends on the program.
    scaling = config.get("rope_scaling")
    older = {
        "rope_theta": config.get("rope_theta"),
        **(scaling if isinstance(scaling, dict) else {}),
    }
    older["rope_type"] = older.pop("type", None) or older.get("rope_type")
    for key, value in older.items():
        if value is not None and key in found and found[key] != value:
            yield _warning(
                f"{CONFIG} has two values of `{key}`: {brief_text(str(value))}, and"
                f" {brief_text(str(found[key]))} in `rope_parameters`"
            )


def _other_activation(config: Mapping[str, Any]) -> Iterator[Problem]:
    if (kind := config.get("model_type")) not in CONFIG_MAPPING:
        return
    usual = CONFIG_MAPPING[kind]()
    for key in ACTIVATION_KEYS:
        known, given = getattr(usual, key, None), config.get(key)
        if isinstance(known, str) and isinstance(given, str) and given != known:
            yield _warning(
                f"`{key}` of {CONFIG} is {given}, and models of type {kind} have {known}"
            )


def _warning(message: str) -> Problem:
    hint = "take the settings of the same revision of the same model"
    return base_problem("X842", message, hint, warns=True)
