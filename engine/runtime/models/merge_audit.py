"""A merged model held against what it was made of, tensor by tensor, by arithmetic of its own.

Nothing of `engine.runtime.models.merge` is used: factors and weights are read again, and each weight must be the
one nearest to W + (alpha / rank) B A, with DoRA brought to its row's length, that its type can hold. Tensors without
factors must be the base's bytes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from engine.errors import StageError
from engine.files.reading import read_json
from engine.runtime.models.one_thread import one_thread
from engine.store import sha256_of
from engine.values import Value

PREFIX = "base_model.model."
DIGITS = {torch.float32: 24, torch.float64: 24, torch.float16: 11, torch.bfloat16: 8}
"""Binary digits of a stored number; a merge is computed in float32."""
HALVES = (torch.float16, torch.bfloat16)
SMALLEST = {torch.float16: -24, torch.bfloat16: -133, torch.float32: -149, torch.float64: -149}
"""Exponent of the smallest step."""
ROUNDING = 2.0**-21
"""Of sums in float32, as a share of what was added."""
MAPPED = 8 << 20
"""Bytes that are read of a file before it is opened again."""
BYTES = 1 << 20
"""That are compared at a time where all must be the same."""
BLOCK = 1 << 17
"""Weights that are compared at a time: computing with float64 takes some ten times their size."""


class _Factors(Value):
    down: torch.Tensor
    """A: [rank, in], float64."""
    up: torch.Tensor
    """(alpha / rank) B: [out, rank], float64."""
    lengths: torch.Tensor | None
    """Of the rows of the merged weight, float64; None without DoRA."""


def _opened(path: Path) -> Any:
    return safe_open(path, framework="pt")


class _TensorFile:
    """A file of tensors that stays open for a few of them: opening it reads the names of all.

    What was read of it counts as this process's memory while it is open.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._file = _opened(path)
        self.names: tuple[str, ...] = tuple(sorted(self._file.keys()))

    def get_tensor(self, name: str) -> torch.Tensor:
        """Return a tensor, which is valid without the file."""
        if self._read > MAPPED:
            self._file, self._read = _opened(self._path), 0
        tensor: torch.Tensor = self._file.get_tensor(name)
        self._read += tensor.nbytes
        return tensor


class _Adapter:
    """The factors of an adapter, read one pair at a time: in float64 all of them would take twice the file or more."""

    def __init__(self, folder: Path) -> None:
        self._file = _TensorFile(folder / "adapter_model.safetensors")
        self._config: dict[str, Any] = read_json(folder / "adapter_config.json")

    def stems(self) -> set[str]:
        """Return the names of what has factors."""
        ending = ".lora_A.weight"
        return {name.removesuffix(ending) for name in self._file.names if name.endswith(ending)}

    def of(self, stem: str) -> _Factors:
        """Return the factors of one weight."""
        config = self._config
        down = self._file.get_tensor(f"{stem}.lora_A.weight").double()
        up = self._file.get_tensor(f"{stem}.lora_B.weight").double()
        divisor = math.sqrt(len(down)) if config.get("use_rslora") else len(down)
        # Own alphas stand by the last part of a module's name, or by more of it.
        own = (config.get("alpha_pattern") or {}).items()
        alphas = [alpha for name, alpha in own if f".{stem}".endswith(f".{name}")]
        alpha = alphas[0] if alphas else config["lora_alpha"]
        lengths = None
        if config.get("use_dora"):
            lengths = self._file.get_tensor(f"{stem}.lora_magnitude_vector").double()
        return _Factors(down=down, up=up * (alpha / divisor), lengths=lengths)


@one_thread()
def check_merge(base: Path, adapter: Path, out: Path) -> None:
    """Compare the merged model in `out` with base and adapter. StageError X673 names the first wrong tensor."""
    factors = _Adapter(adapter)
    left = factors.stems()
    merged = _tensors(out)
    expected = _tensors(base)
    if names := sorted(expected.keys() ^ merged.keys()):
        raise _wrong(names[0], "it is in one of the two models only")
    for name, file in expected.items():
        before, after = file.get_tensor(name), merged[name].get_tensor(name)
        if (before.dtype, before.shape) != (after.dtype, after.shape):
            raise _wrong(name, "its type or shape is not the base's")
        stem = f"{PREFIX}{name.removesuffix('.weight')}"
        if stem not in left:
            if not _is_equal(before, after):
                raise _wrong(name, "the adapter does not change it, and it is not the base's")
            continue
        left.remove(stem)
        if wrong := _misplaced(before, after, factors.of(stem)):
            raise _wrong(name, f"{wrong:,} of {after.numel():,} weights are not base plus adapter")
    if left:
        raise _wrong(min(left), "the adapter changes it, and the base model has no such weight")


def check_copy(model: Path, out: Path) -> None:
    """Compare copied weights with those that were trained. StageError X673 names the first wrong file."""
    for path in sorted(model.glob("*.safetensors")):
        copy = out / path.name
        if not copy.exists() or sha256_of(path) != sha256_of(copy):
            raise StageError.one(
                "X673",
                f"`{path.name}` of the merged model is not the trained one",
                hint="run the same command again with `--force merge`",
            )


def _tensors(folder: Path) -> dict[str, _TensorFile]:
    """Return the file of every tensor, in the order of files and names."""
    found: dict[str, _TensorFile] = {}
    for path in sorted(folder.glob("*.safetensors")):
        file = _TensorFile(path)
        found |= dict.fromkeys(file.names, file)
    return found


def _is_equal(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Return whether two tensors have the same bytes; NaN too."""
    # Numbers of 16 bits take torch four times as long as NumPy.
    first, second = (side.contiguous().reshape(-1).view(torch.uint8).numpy() for side in (one, two))
    # A part at a time: of each byte that is compared NumPy writes one, and a cache holds those of a part.
    parts = (slice(start, start + BYTES) for start in range(0, len(first), BYTES))
    return all(np.array_equal(first[part], second[part]) for part in parts)


def _misplaced(before: torch.Tensor, after: torch.Tensor, found: _Factors) -> int:
    """Count the weights that are further from base plus adapter than rounding takes them."""
    reach = float(found.up.abs().max() * found.down.abs().max()) * len(found.down)
    wrong = 0
    rows = max(1, BLOCK // before.shape[1])
    # Numbers of 16 bits that are the nearest in 32 already, in which a merge is computed, need no more.
    is_short = before.dtype in HALVES and found.lengths is None
    up, down = found.up.float(), found.down.float()
    # Some rows at a time: a whole matrix in float64 would take four times its size in 16 bits.
    for start in range(0, len(before), rows):
        part = slice(start, start + rows)
        given = after[part]
        # NaN is both.
        is_finite = bool(torch.stack(given.aminmax()).isfinite().all())
        if is_short and is_finite:
            near = torch.addmm(before[part].float(), up[part], down).to(before.dtype)
            if _is_equal(near, given):
                continue
        exact = torch.addmm(before[part].double(), found.up[part], found.down)
        factor = None
        if found.lengths is not None:
            factor = (found.lengths[part] / torch.linalg.norm(exact, dim=1)).unsqueeze(1)
        # All but a few are the nearest number that the type holds: what sums lose decides near the middle of two alone.
        nearest = (exact if factor is None else exact * factor).to(before.dtype)
        odd = nearest != given
        if not is_finite:
            odd |= ~given.isfinite()
        if bool(odd.any()):
            factors = None if factor is None else factor.expand_as(exact)[odd]
            wrong += _beyond_rounding(exact[odd], factors, given[odd], reach)
    return wrong


def _beyond_rounding(
    exact: torch.Tensor, factors: torch.Tensor | None, given: torch.Tensor, reach: float
) -> int:
    """Count the weights `given` that are not `exact` times `factors` but for rounding; `reach` is of what was added."""
    slack = ROUNDING * (exact.abs() + reach)
    if factors is not None:
        exact = exact * factors
        # A length and a product more are rounded.
        slack = 2 * slack * factors.abs()
    # The distance to the next number that the type holds; rounding to the nearest takes half of it. It stops shrinking
    # below the smallest normal number, hence the clamp.
    step = torch.frexp(exact)[1] - DIGITS[given.dtype]
    half = torch.ldexp(torch.ones_like(exact), step.clamp(min=SMALLEST[given.dtype])) / 2
    # Negated, so that NaN counts as wrong.
    return int((~((given.double() - exact).abs() <= half + slack)).sum())


def _wrong(name: str, why: str) -> StageError:
    return StageError.one(
        "X673",
        f"the merged model is not base plus adapter at `{name}`: {why}",
        hint="run the same command again with `--force merge`",
    )
