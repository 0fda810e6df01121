"""Confining a verb that runs a recipe or asks a model, where the process is the verb's own.

Nothing happens where a program calls the command line in its own process, which is not ours to confine.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.compute.profile import ONE, Ranks
from engine.errors import EngineError, EnvironmentProblem
from engine.recipe.model import Endpoint, HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.references import sources_at
from engine.recipe.text.paths import as_argument
from engine.store.remote.objects import SharedPlace
from engine.trust.hosts import parse_address
from engine.values import Value

if TYPE_CHECKING:
    from engine.process.confine import Rights
    from engine.sources.fetch_process import Named


class Needs(Value):
    others: Sequence[Reference] = ()
    reads: Iterable[Path] = ()
    ranks: Ranks = ONE
    """The processes that train one model: several talk over sockets."""
    shared: SharedPlace | None = None
    """A store that machines share."""
    writes_lock: bool = False
    """The lock beside the recipe may be written."""


def confine_run(
    options: argparse.Namespace,
    recipe: Recipe,
    root: Path,
    needs: Needs | None = None,
) -> None:
    """Give up for good what running the recipe does not need; one line on stderr where this machine cannot.

    `others` are models, and `reads` files, that the command line names besides the recipe. EnvironmentProblem X811
    where nothing can confine a recipe that the user does not trust, X825 where the kernel refuses what it offers.
    Several processes of one training reach each other: over the loopback address, of several machines over the network.
    """
    if not options.has_own_process:
        return
    from engine.lock.file import lock_path
    from engine.lock.lock_process import begin
    from engine.process.bytecode import keep_bytecode
    from engine.process.confine import LOOPBACK, NONE, OPEN, available
    from engine.process.policies import rights_of_a_run
    from engine.recipe.outside import named_of
    from engine.recipe.references import references_of
    from engine.sources.fetch_process import Named, address_text
    from engine.trust.allowed import project_of, projects
    from engine.trust.hosts import has_proxy

    if not available().landlock:
        require_trusted(recipe, is_unconfined=options.unconfined)
        sys.stderr.write(f"{available().words}\n")
        return
    is_compiling = keep_bytecode(_held_to_the_end()) is not None
    if is_compiling and not getattr(options, "quiet", False):
        sys.stderr.write("the installed libraries are compiled once, while this goes on\n")
    needs = needs or Needs()
    others, shared = needs.others, needs.shared
    named = [one for _, one in named_of(recipe)]
    paths = [one.path for one in (*named, *others) if isinstance(one, PathRef)]
    beside = (one.ref for _, source in sources_at(recipe) for one in source.columns)
    found = [*(ref for _, ref, _ in references_of(recipe)), *beside, *others]
    servers = {one.url for _, one in named_of(recipe) if isinstance(one, Endpoint)}
    remote = Named(
        hubs=tuple(sorted({ref.repo for ref in found if isinstance(ref, HubRef)})),
        packages=tuple(sorted({ref.name for ref in found if isinstance(ref, PackageRef)})),
        servers=tuple(sorted({address_text(parse_address(url)) for url in servers})),
    )
    # A proxy resolves names by itself, so what goes through one cannot be passed on by address.
    # A bucket is reached from this process.
    is_remote = any(has_proxy(parse_address(one)) for one in remote.servers) or bool(
        shared and shared.folder is None
    )
    has_helper = not (is_remote or remote.is_empty)
    if has_helper:
        _begin_fetching(remote, root)
    folder = recipe.file.parent
    stores = [root, *([shared.folder] if shared and shared.folder else [])]
    for store in stores:
        # Rights are those of folders that are there; what cannot be made is reported when it is connected to.
        with suppress(OSError):
            store.mkdir(parents=True, exist_ok=True)
    _make_key()
    if needs.writes_lock:
        begin(lock_path(recipe.file), _held_to_the_end())
    rights = rights_of_a_run(
        project=project_of(recipe.file, projects()).roots,
        reads=[
            recipe.file,
            *paths,
            *needs.reads,
            # What a Ray asks for before it takes orders.
            *([Path("~/.ray").expanduser()] if needs.ranks.ray else []),
            *([folder / recipe.extends] if recipe.extends else []),
        ],
        writes=stores,
        network=OPEN if is_remote else NONE,
        reads_hub=has_helper and bool(remote.hubs),
    )
    # A filter of sockets that is set here cannot be lifted for the training.
    if needs.ranks.nodes > 1 or needs.ranks.ray:
        rights = replace(rights, network=OPEN)
    elif needs.ranks.size > 1 and rights.network == NONE:
        rights = replace(rights, network=LOOPBACK)
    _confine(rights, "the run", has_helper=has_helper)


def _begin_fetching(remote: Named, root: Path) -> None:
    """Start the process that keeps the network for this one. EnvironmentProblem X812."""
    from engine.process.policies import rights_of_fetching
    from engine.sources.fetch_process import begin
    from engine.sources.index import read_settings

    settings = read_settings(os.environ) if remote.packages else None
    reads = [*settings.find_links, settings.certificates or ""] if settings else []
    rights = rights_of_fetching(root, [one for one in reads if os.path.isabs(one)])
    try:
        begin(remote, rights, _held_to_the_end())
    except OSError as error:
        raise EnvironmentProblem.one(
            "X812", f"the process that fetches cannot be started: {error.strerror}"
        ) from error


def confine_asking(
    options: argparse.Namespace,
    model: Iterable[Path],
    root: Path,
    *,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
) -> None:
    """Give up for good what asking a model does not need; one line on stderr where this machine cannot.

    `model` are the model's files and folders. EnvironmentProblem X825 where the kernel refuses what it offers.
    """
    if not options.has_own_process:
        return
    from engine.process.bytecode import keep_bytecode
    from engine.process.confine import available
    from engine.process.policies import rights_of_a_run

    if not available().landlock:
        sys.stderr.write(f"{available().words}\n")
        return
    keep_bytecode()
    _make_key()
    rights = rights_of_a_run(project=(), reads=[*model, *reads], writes=[root, *writes])
    _confine(rights, "the answer")


def _held_to_the_end() -> ExitStack:
    held = ExitStack()
    atexit.register(held.close)
    return held


def _make_key() -> None:
    from engine.store.manifest import prepare

    # Whoever signs without one says what is missing.
    with suppress(EngineError):
        prepare()


def require_trusted(recipe: Recipe, *, is_unconfined: bool) -> None:
    """EnvironmentProblem X811 for a recipe that is not the user's own, where nothing can confine what it runs."""
    from engine.process.confine import available
    from engine.trust.allowed import is_own

    if is_unconfined or is_own(recipe.file):
        return
    raise EnvironmentProblem.one(
        "X811",
        f"what `{recipe.file.name}` names would run with all your rights: {available().words}",
        hint=(
            f"recipe trust {as_argument(recipe.file)} if it is yours, --unconfined for this call, or a container: "
            'docker run --network none -v "$PWD":/w'
        ),
    )


def _confine(rights: Rights, what: str, *, has_helper: bool = False) -> None:
    from engine.process.confine import ConfinementError, confine_main

    try:
        confine_main(rights, has_helper=has_helper)
    except ConfinementError as error:
        raise EnvironmentProblem.one(
            "X825", f"{what} {error.strerror}", hint="run it in a container, and report this"
        ) from error
