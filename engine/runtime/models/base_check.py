"""A base model checked before anything is spent on it: its files, its tokens, and how it reads an ordinary text."""

import contextlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from torch import _C
from torch.nn.functional import cross_entropy
from torch.utils import _device
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import EnvironmentProblem, Problem, Severity, StageError
from engine.failures import library_errors
from engine.files.reading import read_json
from engine.process.limits import TooSlowError, more_memory, processor_time
from engine.runtime.models.load import (
    DTYPES,
    LOADABLE,
    load_whole,
    one_thread,
    read_tensor,
    torch_device,
    whole_model,
)
from engine.runtime.models.model_files import base_problem, require_vocabulary, settings_problems
from engine.runtime.models.weights import INDEX, WHOLE, WeightFile, weight_files, weight_map
from engine.runtime.rendering.chat import kept_tokenizer

REVISION: Final = 9
READING_REVISION: Final = 7
TEXT: Final = (
    "The river rises in the hills north of the town and flows south for about forty miles before it reaches the sea."
    " In spring, when the snow melts, the water is high and brown, and the people who live near the banks move their"
    " animals to higher ground. By the end of summer it is so low that children can walk across it without getting"
    " their knees wet.\n\nFor a long time there was only one bridge. It was built of stone in the year 1742, after a"
    " flood had carried away the old wooden one, and it was wide enough for a single cart. Farmers who came to the"
    " market on Saturday mornings often had to wait for an hour or more until it was their turn to cross. A second"
    " bridge, made of steel, was opened in 1931, and the old one is now used by people on foot and on bicycles.\n\n"
)
BLIND: Final = 0.65
"""Loss, as a share of guessing any token, from which a model is suspected; SmolLM2 of 135 M has 0.24."""
GUESSING: Final = 1.0
"""The same from which it is refused: no text of another language is predicted worse than by guessing."""
TURNED: Final = 0.05
"""Share of guessing by which a transposed matrix of the first layer reads better; 0.16 for queries of SmolLM2."""
SUSPECT: Final = 0.25
"""Share of zeros in a matrix from which its rows and columns are counted."""
WIPED: Final = 0.2
"""Share of rows, or of columns, that are all zeros, from which a matrix is damaged."""
SPARSE: Final = 0.4
"""Share of zeros, none of them in whole rows, from which a matrix was thinned out."""
BITS: Final = {2: torch.int16, 4: torch.int32}
"""Whole numbers of as many bytes."""
WORDS: Final = 0.005
"""Share of ordinary tokens whose rows are zeros from which an embedding is damaged."""
SHOWN: Final = 3
BUILD_SECONDS: Final = 20.0
"""Processor seconds to build a model without its weights; a model of 100 layers takes a tenth of a second."""
BUILD_MEMORY: Final = 2 << 30
"""Bytes to do so, beyond what the process holds and the files of the weights."""
LAYER: Final = re.compile(r"\.\d+\.")
NORM: Final = re.compile(r"(norm|\bln_).*\.weight$", re.IGNORECASE)
BUFFERS: Final = ("inv_freq", "masked_bias", "attn.bias", "attention.bias")
"""Ends of names of what older versions saved with the weights, and every model computes by itself."""
FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
FEW_COLUMNS: Final = 8
"""Compared first: most rows differ there."""
HEAD: Final = "lm_head.weight"
EMBEDDINGS: Final = (
    "model.embed_tokens.weight",
    "transformer.wte.weight",
    "gpt_neox.embed_in.weight",
)
SAME_MODEL: Final = "take config.json and weights of the same revision of the same model"
AGAIN: Final = "fetch or make the model again"


@one_thread()
def check_base(folder: Path, *, has_numbers: bool = True) -> list[Problem]:
    """Return the warnings about a model folder.

    `has_numbers` is False for a blank model, whose weights were made here a moment ago.

    StageError with every error: X604, X692, X693, X770, X771, X773, X774, X843, X845.
    """
    files = weight_files(folder)
    found = [*_file_problems(folder, files)]
    # Packed weights have names and shapes of their own.
    if read_json(folder / "config.json").get("quantization_config"):
        tensors = [tensor for file in files for tensor in file.tensors]
        if all(one.dtype in FLOATS and "scale" not in one.name for one in tensors):
            what = "config.json has a `quantization_config`, and the weights are plain numbers: they would be rounded"
            hint = "take `quantization_config` out of config.json, or fetch the weights that it describes"
            found.append(base_problem("X843", f"{what} as they are loaded", hint, warns=True))
    else:
        model, unexpected = _built(folder)
        require_vocabulary(folder)
        with library_errors("X601", "the tokenizer of the base model cannot be loaded", hint=AGAIN):
            tokenizer = kept_tokenizer(folder)
        found += _other_tensors(model, files, unexpected)
        found += _rows(folder, files, tokenizer, has_numbers=has_numbers)
        rows = model.get_input_embeddings().weight.shape[0]
        largest = max(tokenizer.get_vocab().values(), default=-1)
        if largest >= rows:
            what = f"the tokenizer has a token of number {largest:,}, and the embedding has {rows:,} rows"
            hint = "take tokenizer and weights of the same revision of the same model"
            found.append(base_problem("X693", what, hint))
        found += settings_problems(folder, tokenizer, rows=rows, built=type(model).__name__)
    if has_numbers:
        found += _numbers(files)
    if errors := [one for one in found if one.severity is Severity.ERROR]:
        raise StageError(errors)
    return found


def _file_problems(folder: Path, files: tuple[WeightFile, ...]) -> Iterator[Problem]:
    """Yield X843 for an index that does not say which file holds which tensor; as a warning for two sets of weights."""
    if not (folder / INDEX).exists():
        return
    named = weight_map(folder / INDEX)
    held = {(tensor.name, file.path.name) for file in files for tensor in file.tensors}
    if (folder / WHOLE).exists() and {*named.values()} != {WHOLE}:
        what = f"the folder holds `{WHOLE}` and the files that `{INDEX}` names: the first is the one that is used"
        yield base_problem("X843", what, "take one of the two out of the folder", warns=True)
    elif odd := sorted(held ^ {*named.items()}):
        name, file = odd[0]
        what = f"`{INDEX}` and the files differ in {len(odd)} places, such as `{name}` in `{file}`"
        yield base_problem("X843", f"{what}: programs load one or the other", AGAIN)


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
    if other := sorted(loading.get("mismatched_keys", ()), key=str):
        name, *shapes = other[0]
        file, built = (list(shape) for shape in [*shapes, (), ()][:2])
        what = f"{len(other)} tensors of the weights have another shape than config.json says, such as `{name}`:"
        raise StageError(base_problem("X692", f"{what} {file} and {built}", SAME_MODEL))
    return whole_model(model, loading), [*map(str, loading.get("unexpected_keys", ()))]


def _leave_modes() -> None:
    """Leave the modes of torch that a stopped build is still in: later models would be built without weights too."""
    leave, depth = _C._pop_torch_function_stack, _C._len_torch_function_stack()  # noqa: SLF001 - there is no public way
    for _ in range(depth):
        leave()
    _device.CURRENT_DEVICE = None


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    before = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def _other_tensors(
    model: Any, files: tuple[WeightFile, ...], unexpected: list[str]
) -> Iterator[Problem]:
    """Yield X773 for layers that the configuration does not count, X843 for tensors that the architecture lacks.

    X843 is a warning for tensors outside of layers. It also stands for weights in whole numbers or 8 bits, whose scales
    are not there.
    """
    state, modules = model.state_dict(), {name for name, _ in model.named_modules()}
    forms = {LAYER.sub(".#.", name) for name in state}
    tensors = [tensor for file in files for tensor in file.tensors]
    beyond, inside, outside = list[str](), list[str](), list[str]()
    for name in sorted({tensor.name for tensor in tensors} - state.keys()):
        if LAYER.search(name) and LAYER.sub(".#.", name) in forms:
            beyond.append(name)
        elif name in unexpected and name != HEAD and not name.endswith(BUFFERS):
            parent = name.rpartition(".")[0]
            is_inside = LAYER.search(name) and {parent, parent.rpartition(".")[0]} & modules
            (inside if is_inside else outside).append(name)
    if beyond:
        what = f"the weights hold {len(beyond)} tensors of layers that config.json does not count, such as"
        yield base_problem("X773", f"{what} `{beyond[0]}`", SAME_MODEL)
    for names in filter(None, (inside, outside)):
        what = f"the weights hold {len(names)} tensors that the architecture of config.json does not have, such as"
        message = f"{what} `{names[0]}`: they are left out"
        yield base_problem("X843", message, SAME_MODEL, warns=names is outside)
    floats = {name for name, one in state.items() if one.is_floating_point()}
    if odd := [one for one in tensors if one.name in floats and one.dtype not in FLOATS]:
        what = f"{len(odd)} tensors are stored as {odd[0].dtype}, such as `{odd[0].name}`, and config.json says nothing"
        yield base_problem("X843", f"{what} of a quantization: their scale is not known", AGAIN)


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
    rows = read_tensor(places[embedding], embedding)
    head = read_tensor(places[HEAD], HEAD) if HEAD in places else rows
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
    padding, added = config.get("pad_token_id"), tokenizer.added_tokens_decoder
    template = str(tokenizer.chat_template or "")
    for token, text in added.items():
        if token != padding and (str(text) in template or token == tokenizer.eos_token_id):
            yield from token_row(head, token, str(text))
    words = [one for one in tokenizer.get_vocab().values() if one not in added]
    known = torch.tensor(
        [one for one in words if one < len(rows) and one != padding], dtype=torch.long
    )
    # Few rows begin with zeros, and all of those few are read.
    near = known[(rows[:, :FEW_COLUMNS] == 0).all(dim=1)[known]]
    count = int((~(rows[near] != 0).any(dim=1)).sum())
    if count > max(1, WORDS * len(known)):
        what = f"`{embedding}` of the base model: the rows of {count} words are zeros"
        yield base_problem("X771", what, AGAIN)


def token_row(rows: torch.Tensor, token: int, text: str) -> Iterator[Problem]:
    """Yield X845 for a token of turns whose row of the head is zeros, or that of another token."""
    if not 0 <= token < len(rows):
        return
    near = (rows[:, :FEW_COLUMNS] == rows[token, :FEW_COLUMNS]).all(dim=1).nonzero()[:, 0]
    same = [int(one) for one in near if one != token and torch.equal(rows[one], rows[token])]
    if not rows[token].any():
        what = "all zeros"
    elif same:
        what = f"that of token {same[0]}, too, so that the two cannot be distinguished"
    else:
        return
    message = (
        f"`{text}`, which marks turns, was never trained: its row of the output matrix is {what}"
    )
    hint = "take the instruct version of the model"
    yield base_problem("X845", message, hint)


def _numbers(files: tuple[WeightFile, ...]) -> Iterator[Problem]:
    """Yield X770 for weights that are no numbers, X771 for wiped ones and, as a warning, for sparse ones."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, weight in _floats(files):
        found[_state(weight)].append(name)
        if weight.ndim == 1 and NORM.search(name):
            found["norm" if weight.any() else "empty norm"].append(name)
    # All norms of a model that adds 1 to them may begin with zeros.
    if found["norm"]:
        found["wiped"] += found["empty norm"]
    if broken := found["broken"]:
        yield base_problem("X770", f"{_named(broken)}: NaN or infinity among the weights", AGAIN)
    if wiped := found["wiped"]:
        what = f"{_named(wiped)}: wiped, whole rows or columns are zeros"
        yield base_problem("X771", what, AGAIN)
    if sparse := found["sparse"]:
        what = f"{_named(sparse)}: at least {SPARSE:.0%} of the weights are zeros"
        hint = "a model that was thinned out on purpose trains as any other, and fills up again"
        yield base_problem("X771", what, hint, warns=True)


def _floats(
    files: tuple[WeightFile, ...], wanted: re.Pattern[str] = re.compile("")
) -> Iterator[tuple[str, torch.Tensor]]:
    for file in files:
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                is_wanted = tensor.dtype in FLOATS and 0 not in tensor.shape
                if is_wanted and wanted.search(tensor.name):
                    yield tensor.name, source.get_tensor(tensor.name)


def _state(weight: torch.Tensor) -> str:
    """Return `broken`, `wiped`, `sparse` or ""."""
    low, high = weight.aminmax()
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        return "broken"
    if weight.ndim < 2:  # norms and biases
        return ""
    bits = BITS.get(weight.element_size())
    # Whole numbers are counted three times as fast; the first bit of -0, which is its sign, falls out of the sum.
    counted = weight if bits is None else weight.view(bits) + weight.view(bits)
    zeros = 1 - int(torch.count_nonzero(counted)) / weight.numel()
    if bool(low == high):
        return "wiped" if weight.numel() > 1 else ""
    if zeros >= SUSPECT:
        flat = weight.reshape(-1, weight.shape[-1]) != 0
        if max(float((~flat.any(dim=side)).float().mean()) for side in (0, 1)) >= WIPED:
            return "wiped"
    return "sparse" if zeros >= SPARSE else ""


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more tensors" if len(names) > SHOWN else ""
    return f"{', '.join(f'`{one}`' for one in names[:SHOWN])}{more} of the base model"


def is_trained(folder: Path) -> bool:
    """Say whether a norm of a model has different numbers: each begins with one number, and any training changes it."""
    return any(
        weight.ndim == 1 and bool((weight != weight[0]).any())
        for _, weight in _floats(weight_files(folder), NORM)
    )


def reading_problems(folder: Path, *, device: Device, precision: str) -> Iterator[Problem]:
    """Yield X846 for trained weights that predict ordinary text hardly better than guessing, or worse."""
    if read_json(folder / "config.json").get("quantization_config") or not is_trained(folder):
        return
    transformers_logging.disable_progress_bar()
    if device.kind == "cpu":
        torch.set_num_threads(device.threads)
    model = load_whole(folder, dtype=DTYPES[precision], use_safetensors=True).eval()
    model.to(torch_device(device))
    ids = torch.tensor([kept_tokenizer(folder)(TEXT)["input_ids"]], device=model.device)
    loss, guess = _loss(model, ids), math.log(model.config.vocab_size)
    for name, weight in _first_square(model):
        turned, weight.data = weight.data, weight.data.T.contiguous()
        other, weight.data = _loss(model, ids), turned
        if other < min(loss - TURNED * guess, BLIND * guess):
            what = (
                f"with {loss:.3g} nats a token, and with {other:.3g} where `{name}` is transposed"
            )
            yield base_problem("X846", f"the base model predicts English text {what}", AGAIN)
            return
    # Written this way round, so that NaN is odd too.
    if loss < BLIND * guess:
        return
    is_possible = loss < GUESSING * guess
    yield base_problem(
        "X846",
        f"the base model was trained, and predicts ordinary English text with {loss:.3g} nats a token, where"
        f" guessing gives {guess:.3g}: config.json, tokenizer and weights may be of different models",
        f"{SAME_MODEL}{'; a model of other texts only can be right as it is' if is_possible else ''}",
        warns=is_possible,
    )


def _loss(model: Any, ids: torch.Tensor) -> float:
    """Return the nats a token of one text, [1, tokens]."""
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits
    return float(cross_entropy(logits[0, :-1].float(), ids[0, 1:]))


def _first_square(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the square matrices of the first layer, which fit their places transposed, too."""
    for name, weight in model.named_parameters():
        found = LAYER.search(name)
        if found and found[0] == ".0." and weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
            yield name, weight
