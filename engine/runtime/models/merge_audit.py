"""A merged model held against what it was made of, tensor by tensor, by arithmetic of its own.

Nothing of `engine.runtime.models.merge` is used: factors and weights are read again, and each weight must be the
one nearest to W + (alpha / rank) B A, with DoRA brought to its row's length, that its type can hold. Tensors without
factors must be the base's bytes.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.errors import StageError
from engine.files.reading import read_json
from engine.runtime.models.load import one_thread, read_tensor, tensor_places
from engine.store import sha256_of

PREFIX = "base_model.model."
ROUNDING = 2.0**-21
"""Rounding of sums in float32, as a share of what was added."""
BLOCK = 1 << 17
"""Weights that are compared at a time: computing with float64 takes some ten times their size."""


@one_thread()
def check_merge(base: Path, adapter: Path, out: Path) -> None:
    """Compare the merged model in `out` with base and adapter. StageError X673 names the first wrong tensor."""
    config = read_json(adapter / "adapter_config.json")
    factors = adapter / "adapter_model.safetensors"
    ending = ".lora_A.weight"
    expected, merged, given = map(tensor_places, (base, out, adapter))
    left = {name.removesuffix(ending) for name in given if name.endswith(ending)}
    if names := sorted(expected.keys() ^ merged.keys()):
        raise _wrong(names[0], "it is in one of the two models only")
    for name, file in expected.items():
        before, after = read_tensor(file, name), read_tensor(merged[name], name)
        if (before.dtype, before.shape) != (after.dtype, after.shape):
            raise _wrong(name, "its type or shape is not the base's")
        stem = f"{PREFIX}{name.removesuffix('.weight')}"
        if stem not in left:
            one, two = (tensor.reshape(-1).view(torch.uint8) for tensor in (before, after))
            if not torch.equal(one, two):
                raise _wrong(name, "the adapter does not change it, and it is not the base's")
            continue
        left.remove(stem)
        if wrong := _misplaced(before, after, factors, stem, config):
            raise _wrong(name, f"{wrong:,} of {after.numel():,} weights are not base plus adapter")
    if left:
        raise _wrong(min(left), "the adapter changes it, and the base model has no such weight")


def check_copy(model: Path, out: Path) -> None:
    """Compare copied weights with those that were trained. StageError X673 names the first wrong file."""
    for path in sorted(model.glob("*.safetensors")):
        copy = out / path.name
        if not copy.exists() or sha256_of(path) != sha256_of(copy):
            what = f"`{path.name}` of the merged model is not the trained one"
            hint = "run the same command again with `--force merge`"
            raise StageError.one("X673", what, hint=hint)


def _misplaced(
    before: torch.Tensor, after: torch.Tensor, factors: Path, stem: str, config: Mapping[str, Any]
) -> int:
    down = read_tensor(factors, f"{stem}.lora_A.weight").double()
    divisor = math.sqrt(len(down)) if config.get("use_rslora") else len(down)
    # Own alphas stand by the last part of a module's name, or by more of it.
    own = (config.get("alpha_pattern") or {}).items()
    named = (alpha for name, alpha in own if f".{stem}".endswith(f".{name}"))
    alpha = next(named, config["lora_alpha"])
    up = read_tensor(factors, f"{stem}.lora_B.weight").double() * (alpha / divisor)
    lengths = None
    if config.get("use_dora"):
        lengths = read_tensor(factors, f"{stem}.lora_magnitude_vector").double()
    reach = float(up.abs().max() * down.abs().max()) * len(down)
    short_up, short_down = up.float(), down.float()
    rows = max(1, BLOCK // before.shape[1])
    wrong = 0
    # Some rows at a time: a whole matrix in float64 would take four times its size in 16 bits.
    for start in range(0, len(before), rows):
        part = slice(start, start + rows)
        given, weights = after[part], before[part]
        # Most are the nearest in 32 bits already, in which a merge is computed.
        if lengths is None:
            near = torch.addmm(weights.float(), short_up[part], short_down).to(given.dtype)
            if torch.equal(near, given):
                continue
        exact = torch.addmm(weights.double(), up[part], down)
        slack = ROUNDING * (exact.abs() + reach)
        if lengths is not None:
            factor = (lengths[part] / torch.linalg.norm(exact, dim=1)).unsqueeze(1)
            # A length and a product more are rounded.
            exact, slack = exact * factor, 2 * slack * factor.abs()
        low, high = (exact - slack).to(given.dtype), (exact + slack).to(given.dtype)
        # Written this way round, so that NaN counts as wrong.
        wrong += int((~((low <= given) & (given <= high) & given.isfinite())).sum())
    return wrong


def _wrong(name: str, why: str) -> StageError:
    what = f"the merged model is not base plus adapter at `{name}`: {why}"
    hint = "run the same command again with `--force merge`"
    return StageError.one("X673", what, hint=hint)
