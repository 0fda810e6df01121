"""Confining a verb that runs a recipe, where the process is the verb's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.errors import EnvironmentProblem
from engine.recipe.model import PathRef, Recipe


def confine_run(
    options: argparse.Namespace, recipe: Recipe, root: Path, *, has_ranks: bool = False
) -> None:
    """Give up for good what running the recipe does not need; one line on stderr where this machine cannot.

    With `has_ranks` processes of one training reach each other, over the loopback address.

    Nothing happens where a program calls the command line in its own process, which is not ours to confine.
    EnvironmentProblem X825 where the kernel refuses what it offers.
    """
    if not options.has_own_process:
        return
    from engine.process.confine import ConfinementError, available, confine_main
    from engine.process.own_rights import rights_of_a_run
    from engine.recipe.outside import named_of
    from engine.recipe.references import references_of
    from engine.trust.allowed import projects
    from engine.trust.project import project_of

    if not available().landlock:
        sys.stderr.write(f"{available().words}\n")
        return
    named = [one for _, one in named_of(recipe)]
    paths = [one.path for one in named if isinstance(one, PathRef)]
    has_servers = len(paths) < len(named)
    is_remote = has_servers or any(
        not isinstance(ref, PathRef) for _, ref, _ in references_of(recipe)
    )
    folder = recipe.file.parent
    rights = rights_of_a_run(
        project=project_of(recipe.file, projects()).roots,
        reads=[recipe.file, *paths, *([folder / recipe.extends] if recipe.extends else [])],
        # The lock stands beside the recipe.
        writes=[root, folder],
        is_remote=is_remote,
        has_ranks=has_ranks,
    )
    try:
        confine_main(rights)
    except ConfinementError as error:
        raise EnvironmentProblem.one(
            "X825", f"the run {error.strerror}", hint="run it in a container, and report this"
        ) from error
