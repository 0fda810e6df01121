"""`--on NAME` where NAME is a cluster: the job that runs the recipe there, and what it came to."""

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.cli.output import show
from engine.cli.terminal import write_error
from engine.cli.verbs import declare, shared
from engine.compute.jobs import ClusterJob, Machine, sky_task, slurm_script
from engine.compute.profile import LOCAL, RAY, SLURM, ComputeProfile, Ranks
from engine.environment import Device
from engine.errors import ExitCode, RecipeError
from engine.estimate.devices import FILE as PRICES
from engine.estimate.devices import price_of
from engine.recipe.model import Recipe
from engine.render.progress_display import columns, has_colour
from engine.runs.slurm import run_job
from engine.store.records import STAMP, read_file
from engine.values import replace

JOBS = "jobs"
"""The folder of a store with the files of jobs."""
MEETINGS = "nodes"
"""The folder of a store where the machines of a job find each other."""


def words_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line without `--on` and `--compute`, which say where it runs."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    declare(parser, shared("compute"))
    return tuple(parser.parse_known_args(words)[1])


def job_of(recipe: Recipe, profile: ComputeProfile, words: Sequence[str], root: Path) -> ClusterJob:
    stamp = f"{datetime.now(UTC).strftime(STAMP)}-{secrets.token_hex(2)}"
    return ClusterJob(
        profile=profile,
        recipe=recipe.name,
        words=tuple(words),
        folder=str(Path.cwd()),
        files=str(root.absolute() / JOBS / f"{recipe.name}-{stamp}"),
    )


def job_text(job: ClusterJob) -> str:
    """Return the file of a job as its engine reads it. RecipeError R450 for a bound of cost without a price."""
    if job.profile.engine == SLURM:
        return slurm_script(job)
    return sky_task(job, seconds=_affordable_seconds(job.profile))


def _affordable_seconds(profile: ComputeProfile) -> int | None:
    """Return how long the profile's machine may run, by its bounds of time and cost; None without a bound."""
    bounds = [profile.time] if profile.time else []
    if profile.max_cost is not None:
        name, _, number = (profile.device or "cpu").partition(":")
        kind = "cuda" if profile.device else "cpu"
        # Only its name is asked for: clouds have devices that no data sheet of ours does.
        device = Device(kind=kind, name=name.lower(), memory_bytes=0, cores=0, bf16=False)
        price = price_of(device, None)
        if price is None:
            raise RecipeError.one(
                "R450",
                f"profile `{profile.name}` has `max_cost`, and what an hour on `{name}` costs is not known",
                hint=f"write the price of an hour into {PRICES}, or leave max_cost out",
            )
        # What costs nothing is never spent.
        if hourly := price.an_hour * int(number or 1):
            bounds.append(int(profile.max_cost / hourly * 3600))
    return min(bounds, default=None)


def run_on_slurm(
    options: argparse.Namespace, recipe: Recipe, profile: ComputeProfile, root: Path
) -> int:
    """Run the recipe as a job, show the report of the run that it recorded, and return its exit code.

    Raises as `engine.runs.slurm.run_job`.
    """
    from engine.render.report.page import closing_block, read_json

    is_silent = options.quiet or options.format == "json"
    code, run = run_job(
        job_of(recipe, profile, words_of(options.words), root),
        root,
        note=lambda text: write_error(f"{text}\n"),
        show=lambda text: None if is_silent else write_error(text),
    )
    if run is None:
        return code
    text = read_file(run, "report.json").decode()
    if options.format == "json":
        show(text)
    else:
        colour, width = has_colour(sys.stdout), columns(sys.stdout)
        report, store = read_json(text), options.store or ""
        show(closing_block(report, store=store, colour=colour, width=width))
    return code


def ranks_of(profile: ComputeProfile, node: Machine | None, root: Path) -> Ranks:
    """Return the processes of a training; of a job's machines with where they meet and how they reach the first one."""
    if profile.engine == RAY:
        folder = root.absolute() / MEETINGS / f"ray-{secrets.token_hex(12)}"
        return replace(profile.ranks, meeting=folder, ray=profile.address or LOCAL)
    if node is None:
        return profile.ranks
    # The address of who started the step: the first machine, on which the job's script runs.
    host = os.environ.get("SLURM_LAUNCH_NODE_IPADDR") or socket.gethostname()
    folder = root.absolute() / MEETINGS / node.meeting
    return replace(profile.ranks, nodes=node.count, meeting=folder, host=host)


def serve_node(ranks: Ranks, node: Machine) -> int:
    """Train with the machine that runs the recipe, until it ends. StageError B471."""
    from engine.backends.nodes import serve

    if ranks.meeting is None:
        raise AssertionError(node)
    serve(ranks.meeting, node)
    return ExitCode.ACCEPTED
