"""Variables by which libraries would compute otherwise than a recipe says: taken out before libraries are imported.

accelerate, for one, reads ACCELERATE_MIXED_PRECISION where a trainer asks for no precision of its own, and so trains in
16 bits what is named and kept as a training in 32. No stage's key holds such a variable: what it changed would be taken
for what the recipe asks for, today and whenever the result is reused. Children get what is left.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Final

from engine.errors import Problem, Severity

PREFIXES: Final = (
    *("ACCELERATE_", "FSDP_", "MEGATRON_LM_", "PARALLELISM_CONFIG_"),
    "PYTORCH_TUNABLEOP_",
)
"""How trainers are set up by their launchers, and kernels that are chosen by the time that they take."""
NAMES: Final = frozenset(
    {
        *("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"),
        *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    }
)
"""Multiply numbers of 32 bits with fewer, or no longer do."""
INSTRUCTIONS: Final = (
    *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
)
"""Choose among a processor's instructions, as another processor would: its sums differ in their last bits."""
_unreported: set[str] = set()


def take_out(variables: MutableMapping[str, str] = os.environ) -> None:
    """Take the variables out of this process."""
    found = {name for name in variables if name in NAMES or name.startswith(PREFIXES)}
    for name in found:
        del variables[name]
    _unreported.update(found)


def taken_out_problem() -> Problem | None:
    """Return E764, a warning, where variables were taken out; once of each."""
    take_out()
    if not _unreported:
        return None
    listed = ", ".join(sorted(_unreported))
    _unreported.clear()
    return Problem(
        code="E764",
        message=f"{listed}: not passed on to libraries, which would compute otherwise than the recipe says",
        path="environment",
        hint="say what you want in the recipe (`backend.precision`, `method`), and unset the rest",
        severity=Severity.WARNING,
    )


def instructions(variables: Mapping[str, str] = os.environ) -> str:
    """Return the settings that choose among the processor's instructions, as text; "" for none."""
    return " ".join(f"{name}={variables[name]}" for name in INSTRUCTIONS if variables.get(name))
