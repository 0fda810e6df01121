"""Validate, plan and compare every changed recipe of a git repository, in one Markdown comment.

Exit codes: 0 all changed recipes are valid; 1 a gate got weaker, or could not be compared, and no waiver
says why (with --fail-on weaker-gate); 2 a recipe is not valid, or there is nothing in this clone to compare
with; 3 git failed, or the comment cannot be written.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from engine.cli.output import refuse_taken, show, show_json, store_of
from engine.environment import detect_device
from engine.errors import EngineError, EnvironmentProblem, ExitCode
from engine.evidence.review import Comment
from engine.files.reading import require_regular
from engine.files.writing import refuse_link, write_text
from engine.render.number_format import counted
from engine.render.review.comment import MARKER, comment_json, comment_markdown, failure_markdown
from engine.review.checks import asked, check_changes
from engine.review.repository import Repository
from engine.store import Store

MOST = 200
"""Characters of a path that are shown."""


def run(options: argparse.Namespace) -> int:
    try:
        comment = _checked(options)
    except EngineError as error:
        # Without this an earlier comment, which may be green, would stay.
        if options.output is not None:
            _write(options.output, failure_markdown(error.problems))
        raise
    if options.output is not None:
        _write(options.output, comment_markdown(comment))
    if options.format == "json":
        show_json(comment_json(comment))
    elif options.output is None:
        show(comment_markdown(comment))
    else:
        show(f"{counted(len(comment.checked), 'changed recipe')}: {options.output}")
    if not all(one.is_valid for one in comment.checked):
        return ExitCode.USAGE
    fails = options.fail_on is not None and comment.fails
    return ExitCode.REFUSED if fails else ExitCode.ACCEPTED


def _checked(options: argparse.Namespace) -> Comment:

    what = asked(Repository.around(Path.cwd()), options.since)
    return check_changes(what, store=Store(store_of(options)), device=detect_device())


def _write(path: Path, text: str) -> None:
    """Write the comment.

    EnvironmentProblem R027 for what is no file, or is reached by a link below this folder; RecipeError R005 for
    somebody's file.
    """
    here = Path.cwd()
    # resolve() would follow links.
    place = Path(os.path.abspath(here / path))
    try:
        refuse_link(place)
        if os.path.lexists(place):
            require_regular(place)
            hint = "only an earlier comment is replaced: name another file with -o"
            refuse_taken(path, mark=MARKER, hint=hint)
        if not place.is_relative_to(here):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, text, below=here if place.is_relative_to(here) else None)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        what = f"the comment cannot be written to `{str(path)[:MOST]}`: {why}"
        hint = "name a file with -o, or leave -o out"
        raise EnvironmentProblem.one("R027", what, hint=hint) from error
