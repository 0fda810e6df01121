"""Chat templates of a stranger's model, rendered within limits that the sandbox of transformers does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.errors import StageError
from engine.process.limits import TooSlowError, more_memory, processor_time

SECONDS: Final = 5.0
"""Of processor time for one conversation; templates take thousandths of it."""
MEMORY: Final = 1 << 30
"""Bytes, beyond what the process holds."""
LONGEST: Final = 64 << 20
"""Characters of one conversation."""
_FAILS: Final = (ArithmeticError, LookupError, AttributeError, ValueError, RecursionError)
"""What the code of a template raises besides jinja's own errors."""


def within_limits(render: Callable[[], str]) -> str:
    """Return what a template writes. StageError X603 where it does not end, or writes or takes too much."""
    try:
        with processor_time(SECONDS), more_memory(MEMORY):
            text = render()
    except TooSlowError as error:
        raise _refused(f"takes more than {SECONDS:g} s for one conversation") from error
    # `'a' * 10**30` overflows before any memory is asked for.
    except (MemoryError, OverflowError) as error:
        raise _refused(f"takes more than {MEMORY >> 20:,} MiB for one conversation") from error
    except _FAILS as error:
        raise _refused(f"fails: {type(error).__name__}: {error}"[:200]) from error
    if len(text) > LONGEST:
        raise _refused(f"writes more than {LONGEST:,} characters for one conversation")
    return text


def _refused(why: str) -> StageError:
    return StageError.one(
        "X603",
        f"the chat template of the base model {why}",
        path="base_model",
        hint="take the template of the model's own repository",
    )
