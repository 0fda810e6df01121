"""Show what a change of a recipe means: the gate first, then the rest. Reads two files, or git."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engine.cli.output import show, show_json, show_problems, store_of
from engine.environment import detect_device
from engine.errors import ExitCode, RecipeError
from engine.evidence.review import Gate, Review
from engine.render.progress import columns, has_colour


def run(options: argparse.Namespace) -> int:
    """Print the review; 1 where it was asked to be an answer, 2 where a version is not valid."""
    from engine.render.review.rows import review_json, review_markdown, review_text

    found = _review(options)
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


def _review(options: argparse.Namespace) -> Review:
    from engine.review.findings import review  # after the arguments are known good
    from engine.store import Store

    with _sides(options) as (old, new):
        store = Store(store_of(options))
        if options.format == "text":
            show_problems(new.problems)
        return review(old, new, store=store, device=detect_device())


@contextmanager
def _sides(options: argparse.Namespace) -> Iterator[tuple]:  # type: ignore[type-arg]
    from engine.review.file_tree import Disk, revisions
    from engine.review.version import load_side

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

    path = options.old
    repository = Repository.around(path.parent)
    old = repository.commit(options.since)
    new = repository.commit(options.to) if options.to else None
    moved = repository.moved(old, new)
    changed = frozenset(name for one in moved for name in (one.path, one.was) if name)
    with revisions(repository, old, new, changed) as (before, after):
        named = f"{path} at {options.to}" if options.to else str(path)
        first = load_side(path, before, label=f"{path} at {options.since}")
        yield first, load_side(path, after, label=named)
