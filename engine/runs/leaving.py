"""What leaves of a run, by its report as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any


def size_of(report: Mapping[str, Any]) -> tuple[str, int]:
    """Return what leaves and its bytes: the smallest GGUF file, else all files of the model together."""
    files = [(int(file["bytes"]), str(file["name"])) for file in report.get("files", ())]
    # By the name: small files that belong to a GGUF file have its format in the report.
    packed = [(size, name) for size, name in files if name.endswith(".gguf")]
    size, name = min(packed, key=itemgetter(0), default=(sum(size for size, _ in files), "model"))
    return (name, size) if files else ("", 0)
