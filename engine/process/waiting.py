"""How long OpenMP's threads wait awake for each other: some microseconds, in this process and in its children.

By default they do for milliseconds, and a thread whose partner has no processor, as beside another program, burns its
own. On two cores with six busy processes a training step took 1.12 times the processor time that it takes alone, and
1.50 times with five times as many rounds; on an idle machine both were equally fast, and 300 rounds a fifth slower.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

BRIEFLY: Final[Mapping[str, str]] = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
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
