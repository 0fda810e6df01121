"""A base model looked at before anything is spent on it: its tensors, its tokens, the numbers in its weights."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from torch import _C
from torch.utils import _device
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from engine.errors import EnvironmentProblem, Problem, Severity, StageError
from engine.failures import library_errors
from engine.files.reading import read_json
from engine.process.limits import TooSlowError, more_memory, processor_time
from engine.runtime.models.files import require_vocabulary
from engine.runtime.models.load import LOADABLE, one_thread, whole_model
from engine.runtime.models.settings_check import settings_problems, vocabulary_problems
from engine.runtime.models.tensor_check import (
    AGAIN,
    EMBEDDINGS,
    FLOATS,
    HEAD,
    SAME_MODEL,
    LayerSizes,
    base_problem,
    file_problems,
    norm_start,
    plain_weights,
    stray_tensors,
    token_rows,
    whole_numbers,
    wiped_words,
)
from engine.runtime.models.weights import WeightFile, weight_files
from engine.runtime.rendering.chat import kept_tokenizer

REVISION: Final = 7
SUSPECT: Final = 0.25
"""Share of zeros in a matrix from which its rows and columns are looked at."""
WIPED: Final = 0.2
"""Share of rows, or of columns, that are all zeros, from which a matrix is damaged."""
SPARSE: Final = 0.4
"""Share of zeros, none of them in whole rows, from which a matrix was thinned out."""
MATRIX: Final = 2
BITS: Final = {2: torch.int16, 4: torch.int32}
"""Whole numbers of as many bytes."""
WORDS: Final = 0.005
"""Share of ordinary tokens whose rows are zeros from which an embedding is damaged."""
SHOWN: Final = 3
BUILD_SECONDS: Final = 20.0
"""Of processor time to build a model without its weights; a model of 100 layers takes a tenth of a second."""
BUILD_MEMORY: Final = 2 << 30
"""Bytes to do so, beyond what the process holds and the files of the weights."""


@one_thread()
def check_base(folder: Path, *, has_numbers: bool = True) -> list[Problem]:
    """Return the warnings about a model folder.

    `has_numbers` is False for a blank model, whose weights were made here a moment ago.

    StageError with every error: X604, X692, X693, X770, X771, X773, X774, X843, X845, X846.
    """
    files = weight_files(folder)
    found = [*file_problems(folder, files)]
    model = None
    # Packed weights have names and shapes of their own.
    if read_json(folder / "config.json").get("quantization_config"):
        found += plain_weights(files)
    else:
        model, unexpected = _built(folder)
        tokenizer = _tokenizer(folder)
        found += _beyond(model, files)
        # What stands in layers beyond the last one is reported as such.
        known = {_form(name) for name in model.state_dict()}
        found += stray_tensors(model, (one for one in unexpected if _form(one) not in known))
        found += whole_numbers(model, files)
        found += _rows(folder, files, tokenizer, has_numbers=has_numbers)
        rows = model.get_input_embeddings().weight.shape[0]
        largest = max(tokenizer.get_vocab().values(), default=-1)
        if largest >= rows:
            what = f"the tokenizer has a token of number {largest:,}, and the embedding has {rows:,} rows"
            hint = "take tokenizer and weights of the same revision of the same model"
            found.append(base_problem("X693", what, hint))
        found += settings_problems(folder, tokenizer, rows=rows, built=type(model).__name__)
        found += vocabulary_problems(folder)
    if has_numbers:
        found += _numbers(files, model)
    if errors := [one for one in found if one.severity is Severity.ERROR]:
        raise StageError(errors)
    return found


def _built(folder: Path) -> tuple[Any, list[str]]:
    """Return the model without memory for its weights, and the names that it has no place for.

    StageError X604, X692 where files and architecture differ.
    """
    # The files are mapped into memory, beside what is built.
    memory = BUILD_MEMORY + sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    try:
        with (
            library_errors("X604", "the base model cannot be loaded", hint=LOADABLE),
            _quietly(), more_memory(memory), processor_time(BUILD_SECONDS),
        ):  # fmt: skip
            model, loading = AutoModelForCausalLM.from_pretrained(
                folder,
                device_map="meta",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (StageError, EnvironmentProblem) as error:
        if not isinstance(error.__cause__, TooSlowError | MemoryError):
            raise
        _leave_modes()
        message = "config.json asks for a model that takes too long, or too much memory, to build without its weights"
        raise StageError.one("X604", message, path="base_model", hint=LOADABLE) from error
    if other := sorted(map(_mismatch, loading.get("mismatched_keys", ()))):
        name, file, built = other[0]
        raise StageError(
            base_problem(
                "X692",
                f"{len(other)} tensors of the weights have another shape than config.json says, such as `{name}`:"
                f" {file} and {built}",
                SAME_MODEL,
            )
        )
    return whole_model(model, loading), [*map(str, loading.get("unexpected_keys", ()))]


def _leave_modes() -> None:
    """Leave the modes of torch that a stopped build is still in: later models would be built without weights too."""
    leave, depth = _C._pop_torch_function_stack, _C._len_torch_function_stack()  # noqa: SLF001 - there is no public way
    for _ in range(depth):
        leave()
    _device.CURRENT_DEVICE = None


def _mismatch(found: Any) -> tuple[str, str, str]:
    name, *shapes = found
    file, built = (str(list(shape)) for shape in [*shapes, (), ()][:2])
    return str(name), file, built


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    before = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def _beyond(model: Any, files: tuple[WeightFile, ...]) -> Iterator[Problem]:
    """Yield X773 for layers in the files that the configuration does not count: they would be left out."""
    known = {*model.state_dict()}
    forms = {_form(name) for name in known}
    odd = [
        tensor.name
        for file in files
        for tensor in file.tensors
        if tensor.name not in known
        and _form(tensor.name) in forms
        and _form(tensor.name) != tensor.name
    ]
    if odd:
        yield base_problem(
            "X773",
            f"the weights hold {len(odd)} tensors of layers that config.json does not count, such as `{odd[0]}`",
            SAME_MODEL,
        )


def _form(name: str) -> str:
    return re.sub(r"\.\d+\.", ".#.", name)


def _tokenizer(folder: Path) -> Any:
    """Return the tokenizer. StageError X601, X694."""
    require_vocabulary(folder)
    with library_errors("X601", "the tokenizer of the base model cannot be loaded", hint=AGAIN):
        return kept_tokenizer(folder)


def _rows(
    folder: Path, files: tuple[WeightFile, ...], tokenizer: Any, *, has_numbers: bool
) -> Iterator[Problem]:
    """Yield X774 where config.json has one matrix for input and output, and two different ones are in the files.

    With numbers also X845 for tokens of turns that were never trained, X771 for rows of words that were wiped.
    """
    config = read_json(folder / "config.json")
    places = {tensor.name: file.path for file in files for tensor in file.tensors}
    embedding = next((name for name in EMBEDDINGS if name in places), None)
    if embedding is None:
        return
    rows = _read(places[embedding], embedding)
    head = _read(places[HEAD], HEAD) if HEAD in places else rows
    if config.get("tie_word_embeddings") and (
        rows.shape != head.shape or not torch.equal(rows, head)
    ):
        yield base_problem(
            "X774",
            f"config.json says that input and output share one matrix, and `{HEAD}` is another one than `{embedding}`",
            "set `tie_word_embeddings: false` in config.json if the head is right, or take the head out of the weights",
        )
    if not has_numbers:
        return
    padding = config.get("pad_token_id")
    added = tokenizer.added_tokens_decoder
    template = str(tokenizer.chat_template or "")
    marks = {
        number: str(one)
        for number, one in added.items()
        if number != padding and (str(one) in template or number == tokenizer.eos_token_id)
    }
    yield from token_rows(head, marks.items())
    words = (one for one in tokenizer.get_vocab().values() if one not in added)
    if count := wiped_words(rows, words, share=WORDS, ignored=padding):
        zeros = "the row of 1 word is" if count == 1 else f"the rows of {count} words are"
        what = f"`{embedding}` of the base model: {zeros} zeros"
        yield base_problem("X771", what, AGAIN)


def _numbers(files: tuple[WeightFile, ...], model: Any) -> Iterator[Problem]:
    """Yield X770 for weights that are no numbers, X771 for wiped ones, X846 for norms of another architecture.

    As warnings X771 for sparse ones and X845.
    `model` is None where it was not built.
    """
    found: dict[str, list[str]] = {"broken": [], "wiped": [], "sparse": [], "foreign": []}
    sizes = LayerSizes()
    for file in files:
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                if tensor.dtype not in FLOATS or 0 in tensor.shape:
                    continue
                weight = source.get_tensor(tensor.name)
                state = _state(weight)
                if weight.ndim == 1 and model is not None:
                    state = state or _state_of_norm(model, tensor.name, weight)
                    sizes.add_norm(tensor.name, weight)
                found.get(state, []).append(tensor.name)
                if weight.ndim == MATRIX and state != "broken":
                    sizes.add(tensor.name, weight)
    if broken := found["broken"]:
        yield base_problem("X770", f"{_named(broken)}: NaN or infinity among the weights", AGAIN)
    if wiped := found["wiped"]:
        yield base_problem(
            "X771", f"{_named(wiped)}: wiped, whole rows or columns are zeros", AGAIN
        )
    if foreign := found["foreign"]:
        what = f"{_named(foreign)}: all 1, where a {type(model).__name__} begins with 0 and adds 1"
        yield base_problem("X846", f"{what}: config.json names another architecture", SAME_MODEL)
    yield from sizes.problems()
    if sparse := found["sparse"]:
        what = f"{_named(sparse)}: at least {SPARSE:.0%} of the weights are zeros"
        hint = "a model that was thinned out on purpose trains as any other, and fills up again"
        yield base_problem("X771", what, hint, warns=True)


def _state(weight: torch.Tensor) -> str:
    """Return `broken`, `wiped`, `sparse` or ""."""
    low, high = weight.aminmax()
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        return "broken"
    if weight.ndim < MATRIX:
        return ""
    bits = BITS.get(weight.element_size())
    # Whole numbers are counted three times as fast; the first bit of -0, which is its sign, falls out of the sum.
    counted = weight if bits is None else weight.view(bits) + weight.view(bits)
    zeros = 1 - int(torch.count_nonzero(counted)) / weight.numel()
    if is_wiped(weight, constant=bool(low == high), zeros=zeros):
        return "wiped"
    return "sparse" if zeros >= SPARSE else ""


def _state_of_norm(model: Any, name: str, weight: torch.Tensor) -> str:
    """Return `wiped` for a norm that lets nothing through, `foreign` for the start of one that adds nothing, or ""."""
    for number, start, state in ((0.0, 1.0, "wiped"), (1.0, 0.0, "foreign")):
        if bool((weight == number).all()) and norm_start(model, name) == start:
            return state
    return ""


def is_wiped(weight: torch.Tensor, *, constant: bool, zeros: float) -> bool:
    """Say whether a matrix [.., out, in] is one number everywhere, or many of its rows or columns are zeros.

    `zeros` is the share of zeros in all of it.
    """
    if constant:
        return weight.numel() > 1
    if zeros < SUSPECT:
        return False
    flat = weight.reshape(-1, weight.shape[-1]) != 0
    empty = (float((~flat.any(dim=side)).float().mean()) for side in (0, 1))
    return max(empty) >= WIPED


def _read(path: Path, name: str) -> torch.Tensor:
    with safe_open(path, framework="pt") as source:
        tensor: torch.Tensor = source.get_tensor(name)
    return tensor


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more tensors" if len(names) > SHOWN else ""
    return f"{', '.join(f'`{one}`' for one in names[:SHOWN])}{more} of the base model"
