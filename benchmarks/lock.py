"""How large the lock of a big holdout is, and how long it takes to write, read and review it.

    PYTHONPATH=tests python benchmarks/lock.py [--rows 100000]

The recipe names rows of a hub, so none are read; the lock records a holdout of that many rows, 2,000 validation rows
and an accepted run with an answer to each row. Then one use is counted, and after that a tenth of the holdout is
exchanged; `recipe ci` and `git diff` are asked each time. Times are CPU seconds of one process, the best of three.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.cli.main import main as recipe
from engine.data.membership import joined_parts
from engine.lock.draw import draw_of, recorded_rows
from engine.lock.file import Lock, LockedSplit, Wear, lock_path, read_lock, write_lock
from engine.recipe import load_recipe
from engine.values import replace
from support.git_repository import SETTINGS, repository
from support.recipe_pairs import CASES, accepted_run

RUNS = 3


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    os.environ |= SETTINGS
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "team"
        place.mkdir()
        text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
        text = text.replace(
            "path: tickets.csv\n      sha256: TICKETS", "hub: owner/tickets\n      split: train"
        )
        git = repository(
            place, {"tickets.yaml": text.replace("holdout: 60", f"holdout: {options.rows}")}
        )
        path = place / "tickets.yaml"
        lock = _lock(path, options.rows, changed=0)
        print("| what | value |\n|---|---|")
        _show("write", lambda: _rewritten(lock_path(path), lock))
        _show("read", lambda: read_lock(lock_path(path)))
        _show("read its rows", lambda: recorded_rows(load_recipe(path)[0], lock))
        size = lock_path(path).stat().st_size
        print(f"| size | {size / 1e6:.2f} MB, {size / options.rows:.1f} bytes a row |")
        git.commit()
        print(f"| size in git, compressed | {_packed(place) / 1e6:.2f} MB |")
        write_lock(lock_path(path), replace(lock, holdout=Wear(looks=3, redraws=0)))
        _review(place, "one use more")
        write_lock(lock_path(path), _lock(path, options.rows, changed=options.rows // 10))
        _review(place, "a tenth of the rows exchanged")
    print("\nagain: PYTHONPATH=tests python benchmarks/lock.py")


def _lock(path: Path, rows: int, *, changed: int) -> Lock:
    keys = [
        hashlib.sha256(b"%d" % number).digest()[:8] for number in range(changed, rows + changed)
    ]
    validation = [hashlib.sha256(b"v%d" % number).digest()[:8] for number in range(2000)]
    digest = hashlib.sha256(b"".join(keys)).hexdigest()
    parts = {"validation": validation, "holdout": keys}
    splits = {
        name: LockedSplit(rows=len(part), digest=digest, members=joined_parts(part))
        for name, part in parts.items()
    }
    splits["train"] = LockedSplit(rows=500_000, digest=digest, members=None)
    recipe_of, _ = load_recipe(path)
    lock = Lock(
        recipe="tickets", draw=draw_of(recipe_of), inputs="00" * 32, drawn_with=None, splits=splits,
        unused=None, firewall=None, holdout=Wear(looks=2, redraws=0),
    )  # fmt: skip
    run = accepted_run(lock)
    entries = base64.b64encode(b"".join(key[:4] for key in keys)).decode()
    return replace(lock, accepted=replace(run, answers={**run.answers, "entries": entries}))


def _rewritten(path: Path, lock: Lock) -> None:
    path.unlink(missing_ok=True)
    write_lock(path, lock)


def _show(name: str, call: Callable[[], object]) -> None:
    print(f"| {name} | {_seconds(call):.3f} s |")


def _seconds(call: Callable[[], object]) -> float:
    spent = []
    for _ in range(RUNS):
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return min(spent)


def _packed(place: Path) -> int:
    words = ["git", "cat-file", "--batch-check=%(objectsize:disk)"]
    name = b"HEAD:tickets.lock.json\n"
    return int(subprocess.run(words, cwd=place, input=name, capture_output=True, check=True).stdout)


def _review(place: Path, what: str) -> None:
    """Time `recipe ci`, and count what it and git show."""
    comment = io.StringIO()

    def ask() -> None:
        comment.truncate(0)
        with contextlib.chdir(place), contextlib.redirect_stdout(comment):
            recipe(["ci", "--from", "main"])

    seconds = _seconds(ask)
    diff = subprocess.run(["git", "diff"], cwd=place, capture_output=True, check=True).stdout
    length = len(comment.getvalue())
    print(f"| {what}: `recipe ci` | {seconds:.2f} s, a comment of {length:,} characters |")
    lines = sum(line.startswith((b"+", b"-")) for line in diff.splitlines())
    print(f"| {what}: `git diff` | {lines} lines, {len(diff) / 1e6:.2f} MB |")


if __name__ == "__main__":
    main()
