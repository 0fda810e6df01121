"""Tensors of a base model that libraries pass over, read in another way, or that no training has left so."""

from __future__ import annotations

import copy
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from safetensors import safe_open
from torch.nn.functional import cross_entropy
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import Problem, Severity
from engine.files.reading import read_json
from engine.runtime.models.load import DTYPES, load_whole, torch_device
from engine.runtime.models.weights import INDEX, WHOLE, WeightFile, weight_files, weight_map
from engine.runtime.rendering.chat import kept_tokenizer

REVISION: Final = 6
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


def is_trained(folder: Path) -> bool:
    """Say whether a norm of a model has different numbers: each begins with one number, and any training changes it."""
    for file in weight_files(folder):
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                is_norm = NORM.search(tensor.name) and tensor.name.endswith(".weight")
                if (
                    is_norm
                    and len(tensor.shape) == 1
                    and tensor.shape[0]
                    and tensor.dtype in FLOATS
                ):
                    weight = source.get_tensor(tensor.name)
                    if bool((weight != weight[0]).any()):
                        return True
    return False


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
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits
    loss = float(cross_entropy(logits[0, :-1].float(), ids[0, 1:]))
    guess = math.log(model.config.vocab_size)
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


LAYER: Final = re.compile(r"\.\d+\.")
NORM: Final = re.compile(r"norm|\bln_|layernorm", re.IGNORECASE)
BUFFERS: Final = ("inv_freq", "masked_bias", "attn.bias", "attention.bias")
"""Ends of names of what older versions saved with the weights, and every model computes by itself."""
FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
MOST_RATIO: Final = 30.0
"""Factor between a matrix and the same one of other layers that no training leaves."""
FRESH: Final = 3.0
"""Standard errors by which lengths of rows may vary more than those of drawn numbers do, in a matrix begun anew."""
TRAINED: Final = 1.3
"""Times as much as such a matrix they vary in the same one of other layers: in SmolLM2 2 to 12 times."""
MANY_LAYERS: Final = 3
FEW_ROWS: Final = 64
TINY: Final = 1e-12
FEW_COLUMNS: Final = 8
"""Compared first: rows that differ there need no further look."""
HEAD: Final = "lm_head.weight"
EMBEDDINGS: Final = (
    "model.embed_tokens.weight",
    "transformer.wte.weight",
    "gpt_neox.embed_in.weight",
)
SAME_MODEL: Final = "take config.json and weights of the same revision of the same model"
AGAIN: Final = "fetch or make the model again"


def file_problems(folder: Path, files: Iterable[WeightFile]) -> Iterator[Problem]:
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


def stray_tensors(model: Any, unexpected: Iterable[str]) -> Iterator[Problem]:
    """Yield X843 for tensors in layers that the architecture has no place for; as a warning for others.

    A bias or a norm that config.json does not ask for is left out, and the model computes something else.
    """
    modules = dict(model.named_modules())
    strange = [one for one in sorted(unexpected) if not one.endswith(BUFFERS) and one != HEAD]
    inside = [
        one
        for one in strange
        if LAYER.search(one) and {_parent(one), _parent(_parent(one))} & modules.keys()
    ]
    for names, warns in ((inside, False), ([one for one in strange if one not in inside], True)):
        if names:
            what = f"the weights hold {len(names)} tensors that the architecture of config.json does not have, such as"
            yield base_problem(
                "X843", f"{what} `{names[0]}`: they are left out", SAME_MODEL, warns=warns
            )


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def whole_numbers(model: Any, files: Iterable[WeightFile]) -> Iterator[Problem]:
    """Yield X843 for weights stored as whole numbers or in 8 bits, whose scales are not there."""
    floats = {name for name, one in model.state_dict().items() if one.is_floating_point()}
    odd = [
        tensor
        for file in files
        for tensor in file.tensors
        if tensor.name in floats and tensor.dtype not in FLOATS
    ]
    if odd:
        what = f"{len(odd)} tensors are stored as {odd[0].dtype}, such as `{odd[0].name}`, and config.json says nothing"
        yield base_problem("X843", f"{what} of a quantization: their scale is not known", AGAIN)


def plain_weights(files: Iterable[WeightFile]) -> Iterator[Problem]:
    """Yield X843 as a warning where config.json speaks of a quantization, and no tensor is packed or has a scale."""
    tensors = [tensor for file in files for tensor in file.tensors]
    if all(one.dtype in FLOATS and "scale" not in one.name for one in tensors):
        what = "config.json has a `quantization_config`, and the weights are plain numbers"
        hint = (
            "take `quantization_config` out of config.json, or fetch the weights that it speaks of"
        )
        yield base_problem(
            "X843", f"{what}: they would be rounded as they are loaded", hint, warns=True
        )


def norm_start(model: Any, name: str) -> float | None:
    """Return the number that a norm's weights begin with: 1, or 0 where the norm adds 1 to them; None if not known."""
    if not name.endswith(".weight"):
        return None
    try:
        module = model.get_submodule(_parent(name))
        if "Norm" not in type(module).__name__:
            return None
        fresh = copy.deepcopy(module).to_empty(device="cpu")
        fresh.weight.data.fill_(-1.0)
        model._init_weights(fresh)  # noqa: SLF001 - transformers has no other way to ask
    # What an architecture of its own kind raises; then it is not known.
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None
    begin = float(fresh.weight.detach()[0])
    return begin if begin in (0.0, 1.0) else None


class LayerSizes:
    """Matrices of the same name in all layers, by the two numbers that are kept of each."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
        self._spreads: dict[str, list[tuple[str, float, bool]]] = defaultdict(list)
        self._norms: dict[str, list[tuple[str, bool]]] = defaultdict(list)

    def add(self, name: str, weight: torch.Tensor) -> None:
        if LAYER.search(name):
            numbers, form = weight.float(), LAYER.sub(".#.", name)
            norm = float(torch.linalg.vector_norm(numbers))
            total = float(numbers.sum(-1).sum(dtype=torch.float64))
            self._found[form].append((name, total, norm / math.sqrt(weight.numel())))
            spread, is_drawn = _spread(numbers[:FEW_ROWS])
            # A few rows say no nearly always, and are no evidence for a yes.
            if is_drawn:
                spread, is_drawn = _spread(numbers)
                is_drawn &= _spread(numbers.T)[1]
            self._spreads[form].append((name, spread, is_drawn))

    def add_norm(self, name: str, weight: torch.Tensor) -> None:
        if LAYER.search(name) and NORM.search(name) and name.endswith(".weight"):
            is_one = bool((weight == weight[0]).all())
            self._norms[LAYER.sub(".#.", name)].append((name, is_one))

    def problems(self) -> Iterator[Problem]:
        """Yield X845 as a warning for layers that are the same, a matrix much larger or smaller, and one begun anew."""
        if fresh := [*self._fresh()]:
            what = f"{len(fresh)} tensors look as before any training, unlike the same ones of other layers, such as"
            yield base_problem("X845", f"{what} `{fresh[0]}`", AGAIN, warns=True)
        twins, strangers = list[tuple[str, str]](), list[tuple[str, float]]()
        for found in self._found.values():
            seen = dict[tuple[float, float], str]()
            sizes = [size for _, _, size in found]
            # of two layers either may be the odd one
            usual = median(sizes) if len(sizes) > 2 else min(sizes)
            for name, total, size in found:
                if (first := seen.setdefault((total, size), name)) != name:
                    twins.append((first, name))
                ratio = size / (usual or 1.0)
                if not 1 / MOST_RATIO <= ratio <= MOST_RATIO:
                    strangers.append((name, ratio))
        if twins:
            what = f"{len(twins)} matrices are those of another layer, such as `{twins[0][1]}` and `{twins[0][0]}`"
            yield base_problem("X845", what, AGAIN, warns=True)
        if strangers:
            name, ratio = strangers[0]
            what = f"`{name}` is {ratio:.2g} times as large as the same matrix of other layers"
            yield base_problem("X845", what, AGAIN, warns=True)

    def _fresh(self) -> Iterator[str]:
        """Yield matrices whose rows and columns are as alike as those of drawn numbers, and norms that begin anew."""
        for found in self._spreads.values():
            usual = median(spread for _, spread, _ in found)
            for name, spread, is_drawn in found:
                if is_drawn and len(found) >= MANY_LAYERS and usual >= TRAINED * spread:
                    yield name
        for norms in self._norms.values():
            ones = [name for name, is_one in norms if is_one]
            if len(norms) >= MANY_LAYERS and len(ones) < len(norms) / 2:
                yield from ones


def _spread(rows: torch.Tensor) -> tuple[float, bool]:
    """Return how much the lengths of rows vary, where those of drawn numbers give 1, and whether they may be such."""
    lengths = torch.linalg.vector_norm(rows, dim=1)
    spread = float(lengths.std() / lengths.mean().clamp_min(TINY)) * math.sqrt(2 * rows.shape[1])
    return spread, spread <= 1 + FRESH / math.sqrt(2 * len(rows))


def token_rows(rows: torch.Tensor, tokens: Iterable[tuple[int, str]]) -> Iterator[Problem]:
    """Yield X845 for tokens of turns whose row of the head nothing was trained for, or is that of another token."""
    for token, text in tokens:
        if not 0 <= token < len(rows):
            continue
        near = (rows[:, :FEW_COLUMNS] == rows[token, :FEW_COLUMNS]).all(dim=1).nonzero()[:, 0]
        same = [int(one) for one in near if one != token and torch.equal(rows[one], rows[token])]
        if rows[token].any() and not same:
            continue
        what = "all zeros"
        if rows[token].any():
            what = f"that of token {same[0]}, too, so that the two cannot be distinguished"
        yield base_problem(
            "X845",
            f"`{text}`, which marks turns, was never trained: its row of the output matrix is {what}",
            "take the instruct version of the model",
        )


def wiped_words(
    rows: torch.Tensor, words: Iterable[int], *, share: float, ignored: int | None
) -> int:
    """Return how many of a tokenizer's ordinary tokens have a row of zeros; 0 for fewer than a share."""
    count = len(rows)
    known = torch.tensor([one for one in words if one < count and one != ignored])
    if not len(known):
        return 0
    # Few rows begin with zeros, and all of those few are read.
    near = known[(rows[:, :FEW_COLUMNS] == 0).all(dim=1)[known]]
    empty = int((~(rows[near] != 0).any(dim=1)).sum())
    return empty if empty > max(1, share * len(known)) else 0


def base_problem(code: str, message: str, hint: str, *, warns: bool = False) -> Problem:
    severity = Severity.WARNING if warns else Severity.ERROR
    return Problem(code=code, message=message, path="base_model", hint=hint, severity=severity)
