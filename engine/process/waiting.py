"""How long OpenMP's threads wait awake for each other: some microseconds, in this process and in its children.

By default they do for milliseconds, and a thread whose partner has no processor, as beside another program, burns its
own: on two cores with six busy processes, products took 2.3 times the processor time and twice as long as with these
settings. Not to wait awake at all would cost a third of a training step's time on a machine that is idle.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

BRIEFLY: Final[Mapping[str, str]] = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
"""Rounds of GNU's library, milliseconds of LLVM's and Intel's."""
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
