"""Processes timed with modules that are compiled, as those of users are after their first start.

An environment with PYTHONDONTWRITEBYTECODE, as images of CI have it, would have every start compile anew whatever
module is younger than its compiled form: half of a verb's time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

Spent = tuple[float, float]
"""Wall clock and CPU seconds."""
ROOT = Path(__file__).parents[1]


def environment(compiled: str) -> dict[str, str]:
    """Return variables by which compiled modules are kept in a folder of the measurement."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": compiled}


def time_process(command: Sequence[str], place: Path, variables: dict[str, str]) -> Spent:
    """Run one process to its end; a command that fails is not measured."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=place, env=variables, capture_output=True, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
