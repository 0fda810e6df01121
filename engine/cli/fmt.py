"""Lay recipes out: block style, one fact a line, keys in the schema's order. Comments stay, meaning too."""

from __future__ import annotations

import argparse
import sys
from difflib import unified_diff
from pathlib import Path

from engine.cli.output import show, show_problems
from engine.cli.terminal import write
from engine.errors import EngineError, ExitCode, Problem, RecipeError
from engine.recipe.outside import refuse_leading_out
from engine.recipe.text.layout.edit import rewrite
from engine.recipe.text.layout.format import formatted
from engine.recipe.text.source import decode, parse_source, read_bytes
from engine.trust.access import NOTHING

STDIN = Path("-")


def run(options: argparse.Namespace) -> int:
    """Return 0 when every file is, or now is, as it should be; 1 when `--check` finds another.

    2 where one is no recipe, 3 where one cannot be written.
    """
    problems: list[Problem] = []
    changed: list[Path] = []
    code = ExitCode.ACCEPTED
    for path in options.recipes:
        try:
            changed += [path] if _format(path, options) else []
        except EngineError as error:
            problems += error.problems
            code = max(code, error.exit_code)
    show_problems(problems)
    if options.recipes != [STDIN]:
        _sum_up(changed, None if problems else len(options.recipes), options)
    if problems:
        return code
    return ExitCode.REFUSED if options.check and changed else ExitCode.ACCEPTED


def _format(path: Path, options: argparse.Namespace) -> bool:
    """Format one file; tell whether that changes it. RecipeError where it cannot be read."""
    # A mistake is shown with the line that it is in.
    refuse_leading_out(path, NOTHING)
    content = sys.stdin.buffer.read() if path == STDIN else read_bytes(path)
    source, old = parse_source(content, path), decode(content, str(path))
    if source.problems:
        raise RecipeError(source.problems)
    new = formatted(old, source)
    if options.diff:
        lines = unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="")
        if text := "\n".join(lines):
            show(text)
    elif path == STDIN and not options.check:
        write(new)
    # By bytes: a byte order mark is in the content and no longer in `old`.
    elif new.encode() != content and not options.check:
        rewrite(path, new)
    return new.encode() != content


def _sum_up(changed: list[Path], count: int | None, options: argparse.Namespace) -> None:
    """Name the files that change; where none does and none is wrong, say so."""
    if options.diff:
        return
    for path in changed:
        show(f"{'would format' if options.check else 'formatted'} {path}")
    if not changed and count:
        show("1 file is as it should be" if count == 1 else f"{count} files are as they should be")
