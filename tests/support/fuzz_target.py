"""A reader of foreign files, as the fuzzer knows it."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OF_A_READER: Final = 10
"""The weight of what reads one small file and nothing besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader and a file that it reads well."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    """Reads the file at a path; `EngineError` is a right end."""
    load: Callable[[str], Any] | None = None
    dump: Callable[[Any], str] = json.dumps
    """For files whose values are changed, too."""
    draw: Callable[[random.Random], bytes] | None = None
    """Makes one of a grammar, for files that have one."""
    weight: int = OF_A_READER
    """How often it is taken, beside others: verbs take ten times as long as readers."""
    is_heavy: bool = False
    """It imports libraries that take seconds."""
