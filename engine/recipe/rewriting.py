"""Writing a recipe that a person made: aside and then renamed, so that it is never half there."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from engine.errors import EnvironmentProblem


def rewrite(path: Path, text: str) -> None:
    """Replace the text of a file; its permissions stay, and a link still leads to it.

    EnvironmentProblem E711 where that cannot be done; the file is then as it was.
    """
    target = path.resolve()
    aside: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "wb", dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
        ) as file:
            aside = Path(file.name)
            file.write(text.encode("utf-8"))
        shutil.copymode(target, aside)
        aside.replace(target)
    except OSError as error:
        if aside is not None:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentProblem.one(
            "E711",
            f"cannot write `{path}`: {reason}",
            hint="the file is as it was; mend the permissions of its folder",
        ) from error


def create(path: Path, text: str) -> None:
    """Write a file that is not there yet; EnvironmentProblem E711 where it is, or cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentProblem.one("E711", f"cannot write `{path}`: {reason}") from error
