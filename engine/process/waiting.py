"""How long OpenMP's threads wait awake for each other: some microseconds, in this process and in its children.

By default they do for milliseconds, and a thread whose partner has no processor, as beside another program, burns its
own. On two cores with six busy processes a training step took 1.12 times the processor time that it takes alone, and
1.50 times with five times as many rounds. Where as many cores are idle as a training has threads when it starts, they
wait longer (`awake`): in four pairs a step of the quickstart took 0.74 to 1.04 of the time on two quiet cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BRIEFLY: Final[Mapping[str, str]] = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
"""Rounds of GNU's library, milliseconds of LLVM's and Intel's."""
LONGER: Final[Mapping[str, str]] = {"GOMP_SPINCOUNT": "20000"}
LOOK_SECONDS: Final = 0.2
"""For which it is looked how idle the cores are."""
IDLE: Final = 0.75
"""Share of that time in which an idle core does nothing: this process looks, and others tick."""
STAT: Final = Path("/proc/stat")
POLICY: Final = "OMP_WAIT_POLICY"
"""Who sets it, or one of those above, gets what they say."""


def waiting(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment lacks for its threads to wait briefly."""
    if POLICY in variables:
        return {}
    return {name: value for name, value in BRIEFLY.items() if name not in variables}


def wait_briefly() -> None:
    """Have this process's threads wait so; of use only before torch is imported."""
    os.environ.update(waiting(os.environ))


def awake(variables: Mapping[str, str], *, stat: Path = STAT) -> dict[str, str]:
    """Return what lets the threads of a process wait longer, given its environment; nothing beside other programs.

    Nothing either where the user says how long they wait, or where the system does not say how idle it is.
    """
    threads = variables.get("OMP_NUM_THREADS", "")
    if not threads.isdigit() or any(variables.get(name) != BRIEFLY[name] for name in LONGER):
        return {}
    before = _idle_ticks(stat)
    time.sleep(LOOK_SECONDS)
    after = _idle_ticks(stat)
    ticks = LOOK_SECONDS * os.sysconf("SC_CLK_TCK") if after else 0
    idle = [core for core in after if after[core] - before.get(core, after[core]) >= IDLE * ticks]
    return dict(LONGER) if len(idle) >= int(threads) else {}


def _idle_ticks(stat: Path) -> dict[int, int]:
    """Return how long each core that this process may use was idle; nothing where the system does not say it."""
    if not hasattr(os, "sched_getaffinity"):
        return {}
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        fields = [line.split() for line in lines if line.startswith("cpu")]
        known = {int(name[3:]): int(ticks[3]) for name, *ticks in fields if name[3:].isdigit()}
    except (OSError, ValueError, IndexError):
        return {}
    return {core: known[core] for core in os.sched_getaffinity(0) if core in known}
