"""What Axolotl is given on an NVIDIA GPU: kernels, loss, attention, optimizer and TF32, each with its reason."""

import importlib.util
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine.backends.base import CompileInputs, shares_prefix
from engine.environment import Device
from engine.recipe.model import Json, Recipe
from engine.recipe.teacher import soft_targets_of

Line = tuple[str, Json, str]

LIGER, FLASH = "liger-kernel", "flash-attn"
PLUGIN = "axolotl.integrations.liger.LigerPlugin"
TOKENWISE = ("liger_rope", "liger_rms_norm", "liger_glu_activation")
"""What Liger computes token by token: the same whatever attention and batches are."""
LOSS = "liger_fused_linear_cross_entropy"
LONG = 2048
"""`method.max_length` from which on flash attention is worth its unpadding of every layer's states."""


def kernels(device: Device) -> tuple[str, ...]:
    """Return the packages of GPU kernels that training on this device can use; none but on an NVIDIA GPU."""
    return _importable() if device.kind == "cuda" else ()


def plugins(recipe: Recipe, setting: CompileInputs) -> list[str]:
    return [PLUGIN] if LIGER in _chosen(recipe, setting) else []


def kernel_lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    if LIGER not in _chosen(recipe, setting):
        return
    for name in TOKENWISE:
        yield name, True, "default: fused on a GPU; computes token by token"
    plain = {
        # Labels of such rows are none that the fused losses of some models read.
        "rows that share their start have logits only where something is learned": shares_prefix(
            recipe
        ),
        "soft targets are compared with the logits of learned tokens": soft_targets_of(recipe),
        # Their trainers give the model no labels: they read its logits.
        "losses of preferences are computed of logits": recipe.method.preference,
    }
    reason = next((words for words, holds in plain.items() if holds), "")
    yield LOSS, not reason, f"default: {reason or 'no logits of all tokens are held'}"


def attention(recipe: Recipe, setting: CompileInputs) -> Line:
    """Return the attention that rows are trained with where they do not share their start."""
    if FLASH in _chosen(recipe, setting):
        reason = f"default: flash-attn is installed, and rows may have {LONG} tokens or more"
        return "attn_implementation", "flash_attention_2", reason
    return "attn_implementation", "sdpa", "default: on every device, nothing fetched"


def tf32(setting: CompileInputs) -> Line:
    """Return whether what is left of 32-bit products may round to TF32: where products are of bf16 anyway."""
    if _rounds(setting):
        return "tf32", True, "default: products are of bf16, which rounds more"
    if setting.device.kind != "cuda":
        return "tf32", False, "default: a format of NVIDIA GPUs"
    if not setting.device.bf16:
        return "tf32", False, "default: this GPU has none; it came with bf16"
    exact = "fp32 means" if setting.precision == "fp32" else "what fp16 leaves in 32 bits stays"
    return "tf32", False, f"default: {exact} fp32"


def _chosen(recipe: Recipe, setting: CompileInputs) -> tuple[str, ...]:
    method = recipe.method
    # Flash attention keeps documents of packed rows apart in batches of one row only, and needs weights of 16 bits.
    is_plain = not (shares_prefix(recipe) or method.packing or method.kind == "full")
    used = (LIGER, FLASH) if is_plain and method.max_length >= LONG else (LIGER,)
    return tuple(one for one in used if one in setting.kernels) if _rounds(setting) else ()


def _rounds(setting: CompileInputs) -> bool:
    # Before Ampere bfloat16 can be asked for too, and is emulated: transformers refuses TF32 there, and neither
    # Triton's kernels nor flash attention have it.
    return setting.device.kind == "cuda" and setting.precision == "bf16" and setting.device.bf16


@cache
def _importable() -> tuple[str, ...]:
    import sysconfig  # only where there is a GPU

    there = {
        name: importlib.util.find_spec(name) for name in ("triton", "liger_kernel", "flash_attn")
    }
    # Triton compiles the launcher of its kernels in C when they first run.
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    compiles = header.exists() and any(map(shutil.which, ("gcc", "clang")))
    found = [LIGER] if there["triton"] and there["liger_kernel"] and compiles else []
    return tuple([*found, FLASH] if there["flash_attn"] else found)
