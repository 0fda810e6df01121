"""Validate, plan and compare every changed recipe of a git repository, in one Markdown comment.

Exit codes: 0 all changed recipes are valid; 1 a gate got weaker and no waiver says why (with
--fail-on weaker-gate); 2 a recipe is not valid, or the revision is not in this clone; 3 git failed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.diff import FAIL_ON
from engine.cli.output import show, show_json
from engine.cli.place import add_format, add_store, store_root
from engine.environment import detect_device
from engine.errors import ExitCode
from engine.recipe.review import Comment
from engine.store.runs import write_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--from", dest="since", metavar="REV",
        help="compare with where the work on HEAD left this revision (default: the main branch)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the comment there")
    add_format(parser, "markdown", "json")
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        help="exit with 1 where a gate got weaker and no waiver says why",
    )
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Write the comment, and say by the exit code what came out."""
    from engine.render.review import comment_json, comment_markdown  # noqa: PLC0415
    from engine.review.checks import asked, check_changes, is_weaker  # noqa: PLC0415
    from engine.review.git import Repository  # noqa: PLC0415
    from engine.store import Store  # noqa: PLC0415

    with Repository.around(Path.cwd()) as repository:
        what = asked(repository, options.since)
        store = Store(store_root(options.store))
        comment = check_changes(what, store=store, device=detect_device())
    if options.format == "json":
        show_json(comment_json(comment))
    elif options.output is None:
        show(comment_markdown(comment))
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.output, comment_markdown(comment))
    if options.output is not None and options.format != "json":
        show(_told(comment, options.output))
    if not all(one.is_valid for one in comment.checked):
        return ExitCode.USAGE
    fails = options.fail_on is not None and is_weaker(comment)
    return ExitCode.REFUSED if fails else ExitCode.ACCEPTED


def _told(comment: Comment, output: Path) -> str:
    count = len(comment.checked)
    return f"{count} changed {'recipe' if count == 1 else 'recipes'}: {output}"
