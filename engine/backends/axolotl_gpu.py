"""What Axolotl is given on an NVIDIA GPU: kernels, loss, attention, optimizer and TF32, each with its reason."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine.backends.base import CompileInputs, shares_prefix
from engine.environment import Device
from engine.recipe.model import Json, Method, Recipe
from engine.recipe.teacher import soft_targets_of

Line = tuple[str, Json, str]

LIGER, CUT_CROSS_ENTROPY, FLASH = "liger-kernel", "cut-cross-entropy", "flash-attn"
PLUGINS = {
    LIGER: "axolotl.integrations.liger.LigerPlugin",
    CUT_CROSS_ENTROPY: "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin",
}
TOKENWISE = ("liger_rope", "liger_rms_norm", "liger_glu_activation")
"""What Liger computes token by token: the same whatever attention and batches are."""
LOSS = "liger_fused_linear_cross_entropy"
CUT = "cut_cross_entropy"
LONG = 2048
"""`method.max_length` from which on flash attention is worth its unpadding of every layer's states."""
FORK_MARK = "AXOLOTL_CCE_FORK"
"""Stands in the patch of Axolotl's fork of cut-cross-entropy, the only one that its plugin takes."""


def kernels(device: Device) -> tuple[str, ...]:
    """Return the packages of GPU kernels that training on this device can use; none but on an NVIDIA GPU."""
    return _importable() if device.kind == "cuda" else ()


def plugins(recipe: Recipe, setting: CompileInputs) -> list[str]:
    return [PLUGINS[name] for name in _chosen(recipe, setting) if name in PLUGINS]


def kernel_lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    chosen = _chosen(recipe, setting)
    if LIGER in chosen:
        for name in TOKENWISE:
            yield name, True, "default: fused on a GPU; computes token by token"
        key, reason = _loss(recipe, setting)
        yield LOSS, key == LOSS, reason
    if CUT_CROSS_ENTROPY in chosen:
        yield CUT, True, _loss(recipe, setting)[1]


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
    if not _rounds(setting):
        return ()
    used = {
        LIGER: True,
        CUT_CROSS_ENTROPY: _loss(recipe, setting)[0] == CUT,
        # It keeps documents of packed rows apart in batches of one row only.
        FLASH: recipe.method.max_length >= LONG
        and not (shares_prefix(recipe) or recipe.method.packing)
        and _holds_bf16(recipe.method),
    }
    return tuple(name for name, wanted in used.items() if wanted and name in setting.kernels)


def _loss(recipe: Recipe, setting: CompileInputs) -> tuple[str | None, str]:
    whole = {
        # Labels of such rows are none that the fused losses of some models read.
        "rows that share their start have logits only where something is learned": shares_prefix(
            recipe
        ),
        "soft targets are compared with the logits of learned tokens": soft_targets_of(recipe),
        # Their trainers give the model no labels: they read its logits.
        "losses of preferences are computed of logits": recipe.method.preference,
    }
    if reason := next((words for words, holds in whole.items() if holds), ""):
        return None, f"default: {reason}"
    key, why = LOSS if LIGER in setting.kernels else None, "is not installed"
    if CUT_CROSS_ENTROPY in setting.kernels:
        why = "takes no 32-bit weights"
        if _holds_bf16(recipe.method):
            key, why = CUT, "is installed"
    return key, f"default: no logits of all tokens are held; cut-cross-entropy {why}"


def _rounds(setting: CompileInputs) -> bool:
    # Before Ampere bfloat16 can be asked for too, and is emulated: transformers refuses TF32 there, and neither
    # Triton's kernels nor flash attention have it.
    return setting.device.kind == "cuda" and setting.precision == "bf16" and setting.device.bf16


def _holds_bf16(method: Method) -> bool:
    """Full training holds weights of 32 bits and has `bf16: false` in the config: not for kernels of 16 bits."""
    return method.kind != "full"


@cache
def _importable() -> tuple[str, ...]:
    found = []
    # Triton compiles the launcher of its kernels when they first run.
    if _is_there("triton") and _compiles_c():
        found += [LIGER] if _is_there("liger_kernel") else []
        found += [CUT_CROSS_ENTROPY] if _has_axolotls_fork() else []
    return tuple([*found, FLASH] if _is_there("flash_attn") else found)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _compiles_c() -> bool:
    import sysconfig  # only where there is a GPU

    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return header.exists() and any(map(shutil.which, ("gcc", "clang")))


def _has_axolotls_fork() -> bool:
    # Looked for in its text: importing it brings torch.
    spec = importlib.util.find_spec("cut_cross_entropy")
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    patches = (folder / "transformers" / "patch.py" for folder in folders)
    return any(FORK_MARK in path.read_text(encoding="utf-8") for path in patches if path.exists())
