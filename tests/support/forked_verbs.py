"""Verbs run in forked processes with limits, and what is wrong with how they ended."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.paths import ROOT

CPU: Final = 4.0
"""Seconds of processor time for a verb, imports apart: light ones take a quarter of one."""
MEMORY: Final = 1 << 30
"""Bytes beyond those of the process that the verbs are forked from."""
WALL: Final = 60
"""Seconds after which a verb counts as one that never ends; it waits, since it takes no processor time."""
TYPED: Final = re.compile(r"\b[A-Z]\d{3}\b|\"code\": \"[A-Z]\d{3}\"|usage: recipe")
RAW: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys or that turn the direction of text; a tab and a line break apart."""
MODULES: Final = (
    *(
        f"engine.cli.{module}"
        for module in (
            *("compile", "doctor", "drafts", "exports", "plan", "references", "review", "rows"),
            *("runs", "texts"),
        )
    ),
    *("engine.recipe.rules", "engine.bundle.build", "engine.estimate.run"),
    "engine.bundle.verification",
    *(
        "engine.review",
        "engine.runs.run_comparison",
        "engine.drafting.draft",
        "engine.runs.data_view",
        "jsonschema",
    ),
    "pyarrow.parquet",
)
"""What the verbs import, so that a case is not charged for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a verb left, and what it took."""

    words: str
    code: int
    hangs: bool
    cpu: float
    memory: int
    out: str
    err: str

    def faults(self) -> list[str]:
        """What is wrong with the way in which it ended; nothing where it is right."""
        output = self.out + self.err
        found = {
            "never ends": self.hangs,
            f"ended by signal {-self.code}": self.code < 0 and not self.hangs,
            f"exit {self.code}": self.code > 3,
            "a bug in the engine": "I900" in output,
            "a traceback": "Traceback" in output,
            f"{self.cpu:.1f} s of processor time": self.cpu > CPU,
            f"{self.memory >> 20} MiB": self.memory > 2 * MEMORY,
            "no code": self.code in (2, 3) and not TYPED.search(output),
            "raw control characters": bool(RAW.search(output)),
        }
        last = output.strip().splitlines()[-1:] or [""]
        return [
            f"{self.words}: {fault} ({last[0][:120]})" for fault, is_so in found.items() if is_so
        ]


class Verbs:
    """Runs verbs in processes of their own, forked from one that has imported what they need."""

    def __init__(self, home: Path) -> None:
        words = [sys.executable, "-P", str(Path(__file__).with_name("fork_server.py")), *MODULES]
        settings = {"HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        hidden = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ | settings
        )

    def run(self, words: Sequence[str], folder: Path) -> Ended:
        ask = {"words": list(words), "folder": str(folder), "wall": WALL, "cpu": 4 * int(CPU)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**ask, "memory": 2 * MEMORY}) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        return Ended(words=" ".join(words)[:80], **found)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
