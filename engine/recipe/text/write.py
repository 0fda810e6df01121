"""Writing a recipe that a person made: aside and then renamed, so that it is never half there. Not through links."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from engine.errors import EnvironmentProblem
from engine.files.reading import require_regular
from engine.files.writing import create_bytes, replacing, top_of


def rewrite(path: Path, text: str) -> None:
    """Replace the text of a file; its permissions stay, and a link within the project still leads to it.

    EnvironmentProblem E711 where that cannot be done, or where a link leads out of the project. The file is then
    as it was.
    """
    try:
        target, top = _within_project(path)
        mode = stat.S_IMODE(require_regular(target).st_mode)
        with replacing(target, below=top, mode=mode) as stream:
            stream.write(text.encode("utf-8"))
    except OSError as error:
        hint = "the file is as it was; mend the permissions of its folder"
        raise _problem(path, error, hint) from error


def _within_project(path: Path) -> tuple[Path, Path | None]:
    """Return the file that a path leads to, and the folder that it may not lead out of; None where no link is followed.

    OSError ELOOP where a link leads elsewhere, or into a folder whose name begins with a dot.
    """
    whole = Path(os.path.abspath(path))  # as written: resolving would follow the links
    top = top_of(whole)
    start = top or whole.parent
    if whole.parent.resolve() == whole.parent and not whole.is_symlink():
        return whole, top
    real, target = start.resolve(), whole.resolve()
    is_inside = target.is_relative_to(real)
    # A name that begins with a dot is outside of a project: what is written into `.git` may be run.
    if not is_inside or any(part.startswith(".") for part in target.relative_to(real).parts):
        raise OSError(errno.ELOOP, "a link leads out of the project", str(path))
    return target, real


def create(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; EnvironmentProblem E711 where it is, or cannot be written."""
    whole = Path(os.path.abspath(path))  # as written: resolving would follow the links
    try:
        top = top_of(whole)
        if top is None:
            whole.parent.mkdir(parents=True, exist_ok=True)
        if not create_bytes(whole, content, below=top):
            raise FileExistsError(errno.EEXIST, "it is already there")
    except OSError as error:
        raise _problem(path, error, "choose another place") from error


def _problem(path: Path, error: OSError, hint: str) -> EnvironmentProblem:
    if error.errno == errno.ELOOP:
        hint = "name the file itself, or run the command in the folder that the link leads to"
    reason = (error.strerror or str(error)).lower()
    return EnvironmentProblem.one("E711", f"cannot write `{path}`: {reason}", hint=hint)
