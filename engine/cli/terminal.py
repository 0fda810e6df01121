"""The two streams as they really are: full, closed, or read by nobody."""

import contextlib
import errno
import os
import sys

from engine.errors import EnvironmentProblem


def open_missing() -> None:
    """Put nothing in the place of descriptors that are closed: the next file that is opened would be taken for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of the process


def write(text: str) -> None:
    """Write a result to stdout. EnvironmentProblem E741 where it has no room, BrokenPipeError where nobody reads it."""
    if sys.stdout is None:
        raise _full(OSError(errno.EBADF, "it is closed"))
    try:
        sys.stdout.write(text)
    # An OSError as well, but no fault: who was reading has seen enough.
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _full(error) from error


def flush() -> None:
    """Have stdout written. Raises as `write`."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _full(error) from error


def write_error(text: str) -> None:
    """Write a word to stderr; where that is impossible there is nobody to say it to.

    What a terminal would obey is escaped, as `show` does for results: a word may quote a stranger's file.
    """
    # A verb that fails early has not imported it.
    from engine.render.progress_display import has_colour
    from engine.render.styled_text import cleaned

    try:
        text = cleaned(text, colour=has_colour(sys.stderr))
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        _discard("stderr")


def discard_output() -> None:
    _discard("stdout")


def _full(error: OSError) -> EnvironmentProblem:
    discard_output()
    return EnvironmentProblem.one(
        "E741",
        f"standard output cannot be written: {error.strerror or error}",
        hint="send it somewhere with room and run the same command again: what was computed is kept",
    )


def point_at_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)


def _discard(name: str) -> None:
    """Point a stream's descriptor at nothing, so that Python's own flush at the end succeeds."""
    stream = getattr(sys, name)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        point_at_nothing(stream.fileno())
        stream.flush()
        return
    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for the rest of the process
