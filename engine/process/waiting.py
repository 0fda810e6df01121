"""How long OpenMP's threads wait awake for each other: some microseconds, in this process and in its children.

By default they do for milliseconds, and a thread whose partner has no processor, as beside another program, burns its
own. On two cores with six busy processes a training step took 1.13 times the processor time that it takes alone with
1,000 rounds, 1.30 times with 3,000, and with 100,000 ten steps had not ended after eight minutes. On idle cores 3,000
rounds took 0.93, 0.90 and 0.87 of the time that 1,000 take, and 100,000 took 0.87, 0.89 and 0.82.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROUNDS: Final = "GOMP_SPINCOUNT"
BRIEFLY: Final[Mapping[str, str]] = {ROUNDS: "1000", "KMP_BLOCKTIME": "1"}
"""Rounds of GNU's library, milliseconds of LLVM's and Intel's."""
ALONE: Final = "3000"
"""Rounds where nothing else runs at the start. What starts later may make a step 1.3 times as dear, and no more."""
POLICY: Final = "OMP_WAIT_POLICY"
"""Who sets it, or one of those above, gets what they say."""
STAT: Final = Path("/proc/stat")
RUNNING: Final = re.compile(r"^procs_running (\d+)$", re.MULTILINE)


def waiting(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment lacks for its threads to wait briefly."""
    if POLICY in variables:
        return {}
    lacking = {name: value for name, value in BRIEFLY.items() if name not in variables}
    # Children get what their parent found.
    if ROUNDS in lacking and _is_alone():
        lacking[ROUNDS] = ALONE
    return lacking


def wait_briefly() -> None:
    """Have this process's threads wait so; of use only before torch is imported."""
    os.environ.update(waiting(os.environ))


def _is_alone() -> bool:
    """Return whether this is the only thread that runs now, as far as the system says."""
    try:
        running = RUNNING.search(STAT.read_text("ascii"))
    except OSError:
        return False
    return running is not None and int(running[1]) <= 1
