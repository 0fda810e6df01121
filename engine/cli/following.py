"""`--track` and `--notify`: what follows a run while it goes on."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.cli.place import allowed
from engine.errors import Problem
from engine.tracking.followers import Follower, following, messages_to, tracker_of
from engine.tracking.stream import live_file


def followers_of(options: argparse.Namespace) -> list[Follower]:
    """Return what is to follow the run, refused before anything else happens where it cannot. As `tracker_of`."""
    if not (options.track or options.notify):
        return []
    given = allowed(options)
    found = [tracker_of(text, given) for text in options.track]
    return [*found, messages_to(options.notify)] if options.notify else found


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
