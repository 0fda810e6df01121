"""Do the whole job: data, baselines, training, gate, merge, quantize, verify, report."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.confinement import confine_run
from engine.cli.output import show, show_problems
from engine.cli.place import (
    add_flag,
    add_quiet,
    add_recipe,
    add_shared,
    allowed,
    log_file,
    read_recipe,
    store_and_warnings,
)
from engine.cli.streams import others_to
from engine.cli.watch import Console
from engine.errors import Problem
from engine.stages import STAGES

if TYPE_CHECKING:
    from engine.tracking.followers import Follower


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_recipe(parser)
    parser.add_argument("--until", metavar="STAGE", choices=STAGES, help="stop after this stage")
    parser.add_argument(
        "--force", metavar="STAGE", choices=STAGES, action="append", default=[],
        help="run this stage even if its result is there; may be repeated",
    )  # fmt: skip
    lock = parser.add_mutually_exclusive_group()
    frozen = (
        "refuse whatever the lock does not cover: another recipe, other versions, what can move"
    )
    add_flag(lock, "--frozen", frozen)
    update = "compare nothing with the lock, and let an accepted run take its place"
    add_flag(lock, "--update-lock", update)
    parser.add_argument(
        "--track", metavar="KIND[=WHERE]", action="append", default=[],
        help="follow the run with mlflow, tensorboard, trackio or wandb, in this folder or on this server;"
        " may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--notify", metavar="URL", action="append", default=[],
        help="send one line to this apprise address, or env:NAME, at the end; may be repeated",
    )  # fmt: skip
    add_quiet(parser)
    add_shared(parser, allow=True)


def run(options: argparse.Namespace) -> int:
    """Run it and return what it came to, as an exit code."""
    from engine.lock.policy import LockOptions
    from engine.pipeline.loop import RunOptions
    from engine.pipeline.preflight import refuse_moving, refuse_outside, refuse_unmeasured
    from engine.render.json import render_json
    from engine.render.progress import columns, has_colour
    from engine.render.report.summary import closing_block
    from engine.runs.run import run_recipe

    followers = _followers(options)
    recipe, warnings = read_recipe(options)
    # What cannot be run is refused before a store is made or anything is fetched.
    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    refuse_unmeasured(recipe, until=options.until)
    root, warnings = store_and_warnings(options, warnings)
    show_problems(warnings)
    with _events(followers, root) as (events, not_followed):
        confine_run(options, recipe, root)
        with others_to(log_file(root, "run")) as terminal:
            result = run_recipe(
                recipe,
                warnings,
                root=root,
                options=RunOptions(until=options.until, force=tuple(options.force), events=events),
                lock_options=LockOptions(frozen=options.frozen, update=options.update_lock),
                watcher=Console(terminal, quiet=options.quiet or options.format == "json"),
            )
    show_problems([*result.warnings, *not_followed])
    if result.error is not None:
        show_problems(result.error.problems)
    if options.format == "json":
        show(render_json(result.report))
    else:
        colour, width = has_colour(sys.stdout), columns(sys.stdout)
        show(closing_block(result.report, events=result.events, colour=colour, width=width))
    return result.code


def _followers(options: argparse.Namespace) -> list[Follower]:
    """Return what is to follow the run, refused before anything else happens where it cannot. As `tracker_of`."""
    if not (options.track or options.notify):
        return []
    from engine.tracking.followers import messages_to, tracker_of  # only where it is asked for

    given = allowed(options)
    found = [tracker_of(text, given) for text in options.track]
    return [*found, messages_to(options.notify)] if options.notify else found


@contextlib.contextmanager
def _events(followers: list[Follower], root: Path) -> Iterator[tuple[Path | None, list[Problem]]]:
    """Yield the file that followers read the run's events from, None without any, and what they could not do."""
    if not followers:
        yield None, []
        return
    from engine.tracking.followers import following
    from engine.tracking.stream import live_file

    file = live_file(root)
    with following(followers, file, root) as problems:
        yield file, problems
    with contextlib.suppress(OSError):
        file.unlink()
