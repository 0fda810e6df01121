"""What is left when everything expected has been caught: a bug of ours, reported without a traceback on the screen."""

from __future__ import annotations

import os
import platform
import shlex
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine import __version__
from engine.cli.output import STORE
from engine.cli.terminal import write_error
from engine.errors import ExitCode
from engine.files.writing import create_text
from engine.trust.redaction import redacted, secrets_of


def report_bug(bug: BaseException, words: Sequence[str]) -> int:
    trace = "".join(traceback.format_exception(bug))
    # `platform.platform` starts `uname`, by PATH, which may lead to the folder that one stands in.
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    text = _readable(
        f"recipe {__version__}, Python {platform.python_version()}, {system}\n"
        f"command: recipe {shlex.join(words)}\n\n{trace}"
    )
    kind = _readable(f"{type(bug).__name__}: {bug}".splitlines()[0])
    write_error(f"I900  this is a bug in the engine: {kind}\n")
    path = _write(text)
    write_error(f"        a report to paste: {path}\n" if path else text)
    return ExitCode.BUG


def _readable(text: str) -> str:
    """Return the text without secrets, and with half surrogates, which no file takes, as escapes."""
    found = redacted(text, secrets_of(os.environ))
    return found.encode("utf-8", "backslashreplace").decode()


def _write(text: str) -> Path | None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S-%f")
    root = Path(STORE)
    path = root / "logs" / f"bug-{stamp}.txt"
    try:
        # Through no link below the store, which may have come with somebody else's folder.
        return path if create_text(path, text, below=root) else None
    except OSError:
        return None
