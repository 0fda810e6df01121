"""A LoRA adapter added into its base: V = W + (alpha / rank) B A, tensor by tensor; with DoRA m V / |V|, row by row.

The sum is taken in float32 and stored in the base's own type; untouched tensors are copied as bytes. Memory
holds the adapter, the change of one tensor, and a block of rows; a weight file appears under its name when it is
whole. The header of each weight file stays as it is, so names, types, shapes and order are those of the base.
LoRA: https://arxiv.org/abs/2106.09685, section 4; DoRA: https://arxiv.org/abs/2402.09353, section 4.
"""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from safetensors.torch import load_file

from engine.errors import StageError
from engine.files.reading import read_json
from engine.files.writing import replacing
from engine.progress import Progress
from engine.runtime.models.load import one_thread, read_tensor, tensor_places
from engine.runtime.models.weights import INDEX, WHOLE, Tensor, weight_files
from engine.store import sha256_of
from engine.values import Value


def rank_of(config: Mapping[str, Any], module: str) -> int:
    """Return the rank of the factors of a module, which is named as in the base model."""
    ranks = config.get("rank_pattern") or {}
    rank: int = ranks.get(get_pattern_key(ranks, module), config["r"])
    return rank


def scale_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """Return what B A of a module of the base model is multiplied by: alpha / rank, or alpha / sqrt(rank)."""
    alphas = config.get("alpha_pattern") or {}
    alpha: float = alphas.get(get_pattern_key(alphas, module), config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


PREFIX = "base_model.model."
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COPIED = frozenset({".json", ".jinja", ".model", ".txt"})
CHOOSING = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
MAGNITUDE = ".lora_magnitude_vector"
LENGTH_ROUNDING = 2.0**-18
BLOCK = 1 << 18
"""Weights that are merged, and bytes that are copied, at a time."""


@dataclass(slots=True, kw_only=True)
class MergeFacts:
    """Counts of changed weights; made while the merged files are written."""

    changed: int = 0
    expected: int = 0
    total: int
    max_abs_delta: float = 0.0
    note: str = ""


class _Pair(Value):
    """The two factors of one weight's change."""

    down: torch.Tensor
    """A: [rank, in]."""
    up: torch.Tensor
    """B: [out, rank]."""
    scale: float
    magnitude: torch.Tensor | None = None
    """Lengths of the rows of the merged weight, [out]; None without DoRA."""

    def delta(self) -> torch.Tensor:
        """Return the change, [out, in], float32."""
        # Of the whole matrix: products of some rows at a time can round differently.
        return (self.up.float() @ self.down.float()).mul_(self.scale)


def merge_adapter(base: Path, adapter: Path, out: Path, *, progress: Progress) -> MergeFacts:
    """Write the merged model into the folder `out`, complete.

    StageError X622 (a tensor of the adapter that fits none of the base's), X623 (tied embeddings), X624 (a change lost
    in rounding, not finite, or left out).
    """
    pairs = _read_pairs(adapter)
    files = weight_files(base)
    tensors = {tensor.name: tensor for file in files for tensor in file.tensors}
    _check_fit(base, pairs, tensors)
    _check_targets(adapter, pairs, tensors)
    copy_beside(base, out)
    facts = MergeFacts(total=sum(len(file.tensors) for file in files))
    done, lost = 0, list[str]()
    for file in files:
        with file.path.open("rb") as source, replacing(out / file.path.name) as target:
            # The header is copied as bytes, so names, types, order and offsets are those of the base.
            target.write(file.header)
            for tensor in file.tensors:
                source.seek(tensor.begin)
                if tensor.name in pairs:
                    changes, largest = _merge_tensor(source, target, tensor, pairs[tensor.name])
                    facts.expected += changes
                    facts.changed += largest > 0
                    facts.max_abs_delta = max(facts.max_abs_delta, largest)
                    lost += [tensor.name] if changes and not largest else []
                else:
                    left = range(0, tensor.end - tensor.begin, BLOCK)
                    target.writelines(source.read(min(BLOCK, left.stop - start)) for start in left)
                done += 1
                progress.update(done, facts.total, "tensors")
    # Read back: a file that was cut short is noticed here and not by whoever loads the model.
    weight_files(out)
    if lost:
        what = f"what the adapter changes in `{lost[0]}` is lost in rounding"
        share = f"({len(lost)} of {facts.expected} tensors)"
        hint = "train longer or with a higher learning rate"
        raise StageError.one("X624", f"{what} {share}", hint=hint)
    if not facts.changed:
        raise StageError.one("X624", "the adapter changes nothing: every update is zero")
    return facts


def copy_model(base: Path, model: Path, out: Path) -> MergeFacts:
    """Copy a fully fine-tuned model into the folder `out`; its weight files are checked.

    Tokenizer and chat template are the base's: trainers rewrite them, and nothing there was trained.
    """
    files = weight_files(model)
    copy_beside(base, out)
    shutil.copyfile(model / "config.json", out / "config.json")
    # The base's index was copied with the rest, and names other files than the trainer wrote.
    (out / INDEX).unlink(missing_ok=True)
    if (model / INDEX).exists():
        shutil.copyfile(model / INDEX, out / INDEX)
    for file in files:
        shutil.copyfile(file.path, out / file.path.name)
    total = sum(len(file.tensors) for file in files)
    note = "full fine-tuning: nothing to merge, the trained model is copied"
    return MergeFacts(total=total, note=note)


def copy_beside(model: Path, out: Path) -> None:
    """Copy what stands beside the weights: configuration, tokenizer, chat template."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(model.iterdir()):
        # Beside a whole file an index would name files that are not there.
        is_stale = path.name == INDEX and (model / WHOLE).exists()
        if path.is_file() and path.suffix in COPIED and not is_stale:
            shutil.copyfile(path, out / path.name)


def _read_pairs(adapter: Path) -> dict[str, _Pair]:
    config = read_json(adapter / "adapter_config.json")
    tensors = load_file(adapter / "adapter_model.safetensors")
    pairs = {}
    for key in sorted(key for key in tensors if key.endswith(".lora_A.weight")):
        stem = key.removesuffix(".lora_A.weight")
        up = tensors.pop(f"{stem}.lora_B.weight", None)
        down = tensors.pop(key)
        # Both factors must be matrices that fit each other.
        if up is None or up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
            raise _unfit(stem, "it has no matching lora_B")
        name, rank = stem.removeprefix(PREFIX), down.shape[0]
        if rank != rank_of(config, name):
            raise _unfit(stem, f"its rank is {rank}, and {rank_of(config, name)} was asked for")
        magnitude = None
        if config.get("use_dora"):
            magnitude = tensors.pop(f"{stem}{MAGNITUDE}", None)
            if magnitude is None or magnitude.shape != up.shape[:1]:
                raise _unfit(stem, "it has no matching lora_magnitude_vector")
        scale = scale_of(config, name, rank)
        pairs[f"{name}.weight"] = _Pair(down=down, up=up, scale=scale, magnitude=magnitude)
    if tensors or not pairs:
        raise _unfit(min(tensors, default="the adapter"), "it is no LoRA factor")
    return pairs


def _check_fit(base: Path, pairs: Mapping[str, _Pair], tensors: Mapping[str, Tensor]) -> None:
    config = read_json(base / "config.json")
    for name, pair in pairs.items():
        # One matrix serves input and output: training moved it in one use, merging would move it in both.
        if config.get("tie_word_embeddings") and ("lm_head" in name or "embed" in name):
            what = f"the adapter changes `{name}`, which the base model shares between input and output"
            hint = "leave embeddings and lm_head out of `method.target_modules`"
            raise StageError.one("X623", what, hint=hint)
        tensor = tensors.get(name)
        if tensor is None:
            raise _unfit(name, "the base model has no such weight")
        if tensor.shape != (pair.up.shape[0], pair.down.shape[1]):
            raise _unfit(name, f"the base's weight has the shape {list(tensor.shape)}")
        if tensor.dtype not in DTYPES:
            raise _unfit(
                name, f"the base's weight is stored as {tensor.dtype}, not in 16 or 32 bit"
            )


def _check_targets(
    adapter: Path, pairs: Mapping[str, _Pair], tensors: Mapping[str, Tensor]
) -> None:
    written = read_json(adapter / "adapter_config.json")
    config = LoraConfig(**{name: written.get(name) for name in CHOOSING})
    if config.target_modules == "all-linear":
        return
    named = {
        name
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2  # matrices
        and check_target_module_exists(config, name.removesuffix(".weight"))
    }
    if missing := sorted(named - pairs.keys()):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        what = f"what training changed in `{missing[0]}`{more} is not in the merged model"
        hint = "train again: `recipe run RECIPE --force train`"
        raise StageError.one("X624", what, hint=hint)


def _merge_tensor(
    source: BinaryIO, out: BinaryIO, tensor: Tensor, pair: _Pair
) -> tuple[bool, float]:
    """Read one tensor, add the pair's change, and write it, some rows at a time.

    Return whether the pair changes it, and the largest difference that this made.
    """
    dtype, delta = DTYPES[tensor.dtype], pair.delta()
    width = delta.shape[1]
    rows = max(1, BLOCK // width)
    changes, largest = False, 0.0
    for start in range(0, len(delta), rows):
        change = delta[start : start + rows]
        # Writable, as torch warns of any buffer that is not.
        raw = bytearray(source.read(change.numel() * dtype.itemsize))
        before = torch.frombuffer(raw, dtype=dtype).reshape(-1, width)
        # In float32: in 16 bit a small change would be rounded away before it is added.
        exact = before.float() + change
        if pair.magnitude is not None:
            factor = pair.magnitude[start : start + rows].float() / torch.linalg.norm(exact, dim=1)
            exact *= factor.unsqueeze(1)
            # A length that differs by rounding alone is none that was trained.
            changes |= bool(((factor - 1).abs() > LENGTH_ROUNDING).any())
        after = exact.to(dtype)
        if not torch.isfinite(after).all():
            raise StageError.one("X624", f"`{tensor.name}` is not finite after the merge")
        changes |= bool(change.any())
        largest = max(largest, (after.float() - before.float()).abs().max().item())
        # As bytes, because NumPy has no bfloat16.
        out.write(after.view(torch.uint8).numpy().data)
    return changes, largest


def _unfit(name: str, why: str) -> StageError:
    what = f"the adapter does not fit the base model at `{name}`: {why}"
    hint = "train again: `recipe run RECIPE --force train`"
    return StageError.one("X622", what, hint=hint)


ROUNDING = 2.0**-21
"""Rounding of sums in float32, as a share of what was added."""
AUDIT_BLOCK = 1 << 17
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
    rows = max(1, AUDIT_BLOCK // before.shape[1])
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
