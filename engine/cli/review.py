"""What changed in recipes: two versions, or all of a branch."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.cli.output import refuse_taken, show, show_json, show_problems
from engine.environment import detect_device
from engine.errors import EngineError, EnvironmentProblem, ExitCode, RecipeError
from engine.evidence.review import Comment, Gate, Review
from engine.files.reading import require_regular
from engine.files.writing import refuse_link, write_text
from engine.render.number_format import counted
from engine.render.progress_display import columns, has_colour
from engine.render.review.comment import MARKER, comment_json, comment_markdown, failure_markdown
from engine.render.review.rows import review_json, review_markdown, review_text


def diff(options: argparse.Namespace) -> int:
    found = _reviewed(options)
    if options.format == "json":
        show_json(review_json(found))
    elif options.format == "markdown":
        show(review_markdown(found))
    else:
        colour, width = has_colour(sys.stdout), columns(sys.stdout)
        show(review_text(found, colour=colour, width=width))
    fails = options.fail_on and found.gate in (Gate.WEAKER, Gate.UNKNOWN)
    differs = options.exit_code and not found.is_empty
    return ExitCode.REFUSED if fails or differs else ExitCode.ACCEPTED


def _reviewed(options: argparse.Namespace) -> Review:
    from engine.review.findings import review  # after the arguments are known good

    with _sides(options) as (old, new):
        if options.format == "text":
            show_problems(new.problems)
        return review(old, new, device=detect_device())


@contextmanager
def _sides(options: argparse.Namespace) -> Iterator[tuple]:  # type: ignore[type-arg]
    from engine.review.version import Disk, load_side

    if options.since is None and options.to is not None:
        raise RecipeError.one("R022", "--to needs --from", hint="add --from with the old revision")
    if (options.new is None) == (options.since is None):
        message = "two files, or one file and --from: not both, not neither"
        hint = "recipe diff OLD NEW, or recipe diff FILE --from main"
        raise RecipeError.one("R022", message, hint=hint)
    if options.since is None:
        tree = Disk()
        yield tuple(load_side(path, tree, label=str(path)) for path in (options.old, options.new))
        return
    from engine.review.repository import Repository  # brings pygit2
    from engine.review.revisions import revisions

    path = options.old
    repository = Repository.around(path.parent)
    old = repository.commit(options.since)
    new = repository.commit(options.to) if options.to else None
    with revisions(repository, old, new, repository.changed(old, new)) as (before, after):
        named = f"{path} at {options.to}" if options.to else str(path)
        first = load_side(path, before, label=f"{path} at {options.since}")
        yield first, load_side(path, after, label=named)


MOST = 200
"""Characters of a path that are shown."""


def ci(options: argparse.Namespace) -> int:
    try:
        comment = _checked(options)
    except EngineError as error:
        # Without this an earlier comment, which may be green, would stay.
        if options.output is not None:
            _write_comment(options.output, failure_markdown(error.problems))
        raise
    if options.output is not None:
        _write_comment(options.output, comment_markdown(comment))
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
    from engine.review.branch_review import asked, check_changes  # brings pygit2
    from engine.review.repository import Repository

    repository = Repository.around(Path.cwd())
    return check_changes(repository, asked(repository, options.since), device=detect_device())


def _write_comment(path: Path, text: str) -> None:
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
