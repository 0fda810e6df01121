"""Read all that a store holds, byte by byte: what is damaged, and what the next run will build again."""

from __future__ import annotations

import argparse
import sys

from engine.cli.output import show_result, store_of
from engine.errors import ExitCode
from engine.render.progress import SilentProgress, is_live, open_progress
from engine.runs.check_store import check_store
from engine.values import to_json


def run(options: argparse.Namespace) -> int:
    """Return 0 when every byte is the one that was left, else 1."""
    progress = open_progress("verify", sys.stderr) if is_live(sys.stderr) else SilentProgress()
    try:
        found = check_store(store_of(options), progress)
    finally:
        progress.close()
    lines = [f"damaged  {one.what} {one.name}: {one.why}" for one in found.damaged]
    lines += [f"left     {one.what} {one.name}: {one.why}" for one in found.left_alone]
    read = f"{found.results} results and {found.runs} runs, {found.bytes / 1e6:,.1f} MB read"
    if found.damaged:
        lines.append(f"{read}: {len(found.damaged)} damaged")
        lines.append("a run that needs a damaged result sets it aside and builds it again")
    else:
        lines.append(f"{read}: every byte is the one that was left")
    show_result(options, {"schema": "store-check.v1", **to_json(found)}, "\n".join(lines))
    return ExitCode.REFUSED if found.damaged else ExitCode.ACCEPTED
