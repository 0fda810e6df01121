"""Confining a verb that runs a recipe or asks a model, where the process is the verb's own.

Nothing happens where a program calls the command line in its own process, which is not ours to confine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EnvironmentProblem
from engine.recipe.model import PathRef, Recipe, Reference

if TYPE_CHECKING:
    from engine.process.confine import Rights


def add_unconfined(parser: argparse.ArgumentParser) -> None:
    """Whether a recipe that nobody trusts is run where this machine cannot confine it."""
    parser.add_argument(
        "--unconfined", action="store_true",
        help="run a recipe that you do not trust where this machine cannot confine it",
    )  # fmt: skip


def confine_run(
    options: argparse.Namespace,
    recipe: Recipe,
    root: Path,
    *,
    others: Sequence[Reference] = (),
    reads: Iterable[Path] = (),
) -> None:
    """Give up for good what running the recipe does not need; one line on stderr where this machine cannot.

    `others` are models, and `reads` files, that the command line names besides the recipe. EnvironmentProblem X811
    where nothing can confine a recipe that the user does not trust, X825 where the kernel refuses what it offers.
    """
    if not options.has_own_process:
        return
    from engine.process.confine import available
    from engine.process.own_rights import rights_of_a_run
    from engine.recipe.outside import named_of
    from engine.recipe.references import references_of
    from engine.trust.allowed import projects
    from engine.trust.project import project_of

    if not available().landlock:
        require_trusted(recipe, is_unconfined=options.unconfined)
        sys.stderr.write(f"{available().words}\n")
        return
    named = [one for _, one in named_of(recipe)]
    has_servers = any(not isinstance(one, PathRef) for one in named)
    fetched = [*(ref for _, ref, _ in references_of(recipe)), *others]
    paths = [one.path for one in (*named, *others) if isinstance(one, PathRef)]
    folder = recipe.file.parent
    rights = rights_of_a_run(
        project=project_of(recipe.file, projects()).roots,
        reads=[
            recipe.file,
            *paths,
            *reads,
            *([folder / recipe.extends] if recipe.extends else []),
        ],
        # The lock stands beside the recipe.
        writes=[root, folder],
        is_remote=has_servers or any(not isinstance(one, PathRef) for one in fetched),
    )
    _confine(rights, "the run")


def confine_asking(
    options: argparse.Namespace,
    gguf: Path,
    root: Path,
    *,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
) -> None:
    """Give up for good what asking an exported model does not need; one line on stderr where this machine cannot.

    EnvironmentProblem X825 where the kernel refuses what it offers.
    """
    if not options.has_own_process:
        return
    from engine.process.confine import available
    from engine.process.own_rights import rights_of_a_run

    if not available().landlock:
        sys.stderr.write(f"{available().words}\n")
        return
    # `task.json` and the tokenizer stand beside the model.
    rights = rights_of_a_run(
        project=(), reads=[gguf, gguf.parent, *reads], writes=[root, *writes], is_remote=False
    )
    _confine(rights, "the answer")


def require_trusted(recipe: Recipe, *, is_unconfined: bool) -> None:
    """EnvironmentProblem X811 for a recipe that is not the user's own, where nothing can confine what it runs."""
    from engine.process.confine import available
    from engine.trust.records import is_own

    if is_unconfined or is_own(recipe.file):
        return
    raise EnvironmentProblem.one(
        "X811",
        f"what `{recipe.file.name}` names would run with all your rights: {available().words}",
        hint=(
            f"recipe trust {recipe.file.name} if it is yours, --unconfined for this call, or a container: "
            'docker run --network none -v "$PWD":/w'
        ),
    )


def _confine(rights: Rights, what: str) -> None:
    from engine.process.confine import ConfinementError, confine_main

    try:
        confine_main(rights)
    except ConfinementError as error:
        raise EnvironmentProblem.one(
            "X825", f"{what} {error.strerror}", hint="run it in a container, and report this"
        ) from error
