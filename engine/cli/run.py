"""Runs of a recipe, and of a newer base model against its accepted model."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.backends.nodes import meeting
from engine.cli.confinement import Needs, confine_run
from engine.cli.jobs import ranks_of, run_on_slurm, serve_node
from engine.cli.output import (
    allowed,
    compute_of,
    log_file,
    read_recipe,
    show,
    show_problems,
    store_and_warnings,
)
from engine.cli.streams import others_to
from engine.cli.watch import Console
from engine.compute.jobs import this_node
from engine.compute.profile import SLURM, StorePlace, refuse_indivisible
from engine.errors import Problem
from engine.lock.policy import LockOptions
from engine.pipeline.loop import RunOptions
from engine.pipeline.requirements import refuse_moving, refuse_outside, refuse_unbound
from engine.recipe.model import PathRef
from engine.recipe.outside import refuse_typed
from engine.recipe.references import named_model
from engine.recipe.sweeps import methods_of
from engine.render.challenge import challenge_text
from engine.render.progress_display import columns, has_colour
from engine.render.report.page import closing_block, render_json
from engine.runs.challenge import challenge as run_challenge
from engine.runs.challenge import challenge_json
from engine.runs.run import run_recipe
from engine.store.remote.objects import VARIABLE, shared_place
from engine.store.remote.shared_store import Sharing
from engine.tracking.followers import Follower, following, tracker_of
from engine.tracking.trackers import live_file


@contextlib.contextmanager
def followed(followers: list[Follower], root: Path) -> Iterator[tuple[Path | None, list[Problem]]]:
    """Yield the file that followers read the run's events from, None without any, and what they could not do."""
    if not followers:
        yield None, []
        return

    file = live_file(root)
    with following(followers, file, root) as problems:
        yield file, problems
    with contextlib.suppress(OSError):
        file.unlink()


def run(options: argparse.Namespace) -> int:
    # What cannot follow the run is refused before anything else happens.
    followers = [tracker_of(text, allowed(options)) for text in options.track]
    recipe, warnings = read_recipe(options)
    profile = compute_of(options, runs=True)
    sharing = sharing_of(options, profile.store)
    # What cannot be run is refused before a store is made or anything is fetched.
    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    refuse_unbound(recipe, until=options.until)
    refuse_indivisible(methods_of(recipe), profile.ranks)
    root, warnings = store_and_warnings(options, warnings)
    show_problems(warnings)
    node = this_node(os.environ)
    if profile.engine == SLURM and node is None:
        return run_on_slurm(options, recipe, profile, root)
    place, ranks = sharing.place if sharing else None, ranks_of(profile, node, root)
    if node is not None and node.number > 0:
        confine_run(options, recipe, root, Needs(ranks=ranks, shared=place))
        return serve_node(ranks, node)
    with followed(followers, root) as (events, not_followed), meeting(ranks):
        confine_run(options, recipe, root, Needs(ranks=ranks, shared=place, writes_lock=True))
        with others_to(log_file(root, "run")) as terminal:
            result = run_recipe(
                recipe,
                warnings,
                root=root,
                options=RunOptions(
                    until=options.until,
                    force=tuple(options.force),
                    ranks=ranks,
                    at_once=options.parallel or profile.parallel,
                    sharing=sharing,
                    events=events,
                ),
                lock_options=LockOptions(frozen=options.frozen, update=options.update_lock),
                watcher=Console(terminal, quiet=options.quiet, verbose=options.verbose),
            )
    show_problems([*result.warnings, *not_followed])
    if result.error is not None:
        show_problems(result.error.problems)
    if options.format == "json":
        show(render_json(result.report))
    else:
        store, colour, width = options.store or "", has_colour(sys.stdout), columns(sys.stdout)
        report, beside = result.report, result.events
        show(closing_block(report, events=beside, store=store, colour=colour, width=width))
    return result.code


def sharing_of(options: argparse.Namespace, written: StorePlace | None) -> Sharing | None:
    """Which shared store the options name, else the environment, else compute.yaml. RecipeError R435, R436."""
    named = options.store_remote or os.environ.get(VARIABLE) or (written.url if written else "")
    if not named:
        return None
    is_written = written is not None and named == written.url
    return Sharing(
        place=shared_place(named),
        gives=not (is_written and written and written.trust == "read"),
        is_required=options.frozen,
    )


def challenge(options: argparse.Namespace) -> None:
    recipe, warnings = read_recipe(options)
    refuse_outside(recipe, warnings)
    newer = named_model(options.base_model, Path.cwd())
    if isinstance(newer, PathRef):
        refuse_typed(newer.path, options.recipe, allowed(options))
    root, warnings = store_and_warnings(options, warnings)
    show_problems(warnings)
    confine_run(options, recipe, root, Needs(others=(newer,)))
    with others_to(log_file(root, "challenge")) as terminal:
        watcher = Console(terminal, quiet=options.quiet or options.format == "json")
        found, files = run_challenge(recipe, newer, train=options.train, root=root, watcher=watcher)
    if options.format == "json":
        show(challenge_json(found))
    else:
        file, written = str(options.recipe), str(files[0])
        width = columns(sys.stdout)
        show(challenge_text(found, file=file, written=written, width=width))
