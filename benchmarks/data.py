"""Exact duplicates, near-duplicates and leaks among many rows, beside public libraries.

    uv run --with rensa==0.5.0 --with fastsketchlsh==1.0.1 python benchmarks/data.py

Made-up rows of 20 words (50,000 words, as frequent as words are: Zipf). Every twentieth row is an
edited copy of another: of one in ten only case and spaces differ once normalised away, the others
have a letter or one or two words replaced, so that their Jaccard similarities lie around and above
0.8. A holdout of 2,000 rows is drawn beside them; edited copies of 200 of its rows stand among the
rows. Every contestant reads the same file in a process of its own. Ours checks more: all its pairs
are verified, and the leak check is part of its time.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import mmap
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from data_peers import PEERS, lines
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from engine.data.similarity.near import (  # noqa: E402
    SIMILAR,
    leaks,
    near_duplicates,
    shingles,
    similarity_of,
)

WORDS, LENGTH, BLOCK = 50_000, 20, 20
HOLDOUT, LEAKED = 2_000, 200
CHUNK = 100_000
GOAL_GB, GOAL_GB_LARGE = 2.0, 4.0
MILLION, LARGE = 1_000_000, 10_000_000
OURS = "ours"

Planted = dict[tuple[int, int], float]


def main() -> None:
    """Measure and print one table."""
    asked = _arguments()
    if asked.contestant:
        _contest(asked.contestant, asked.folder)
        return
    rows = 100_000 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted, leaked = make(folder, rows)
        names = [one for one in asked.peers.split(",") if one in PEERS]
        _compile(folder)
        results = {one: _run(one, folder) for one in (*names, OURS)}
        _print(rows, planted, leaked, results, folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", default="rensa,fastsketchlsh", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder: Path, rows: int) -> tuple[Planted, Planted]:
    """Write `rows.txt` and `holdout.txt`; return planted pairs and leaks with their similarity."""
    draw = np.random.default_rng(11)
    words = _vocabulary(draw)
    chance = 1 / (np.arange(WORDS) + 2.7)
    chance /= chance.sum()
    holdout = _texts(draw, words, chance, HOLDOUT)
    (folder / "holdout.txt").write_text("".join(f"{text}\n" for text in holdout), encoding="utf-8")
    planted: Planted = {}
    leaked: Planted = {}
    with (folder / "rows.txt").open("w", encoding="utf-8", newline="\n") as stream:
        for start in range(0, rows, CHUNK):
            texts = _texts(draw, words, chance, min(CHUNK, rows - start))
            edited: set[str] = set()
            for at in range(BLOCK - 1, len(texts), BLOCK):
                base = int(draw.integers(0, at // BLOCK + 1)) * BLOCK
                texts[at] = _edited(draw, texts[base], words)
                while texts[at] in edited:  # a repeat would be paired with that row, not its base
                    texts[at] = _edited(draw, texts[base], words)
                if texts[at] != texts[base]:
                    edited.add(texts[at])
                planted[start + base, start + at] = jaccard(texts[base], texts[at])
            for number in range(LEAKED if start == 0 else 0):
                at = number * BLOCK + 7
                texts[at] = _edited(draw, holdout[number], words)
                leaked[number, at] = jaccard(holdout[number], texts[at])
            stream.writelines(f"{text}\n" for text in texts)
    return planted, leaked


def _vocabulary(draw: np.random.Generator) -> list[str]:
    """Return made-up words of consonants and vowels; frequent ones are short, as in English."""
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    out = []
    for rank in range(WORDS):
        length = int(draw.integers(2, 5 + min(6, rank // 50)))
        first = int(draw.integers(0, 2))
        sounds = [consonants if (first + at) % 2 else vowels for at in range(length)]
        sounds[-1] = consonants + vowels
        out.append("".join(one[int(draw.integers(0, len(one)))] for one in sounds))
    return out


def _texts(
    draw: np.random.Generator, words: list[str], chance: NDArray[np.float64], rows: int
) -> list[str]:
    drawn = draw.choice(WORDS, size=(rows, LENGTH), p=chance)
    return [" ".join([words[number] for number in row]) for row in drawn.tolist()]


def _edited(draw: np.random.Generator, text: str, words: list[str]) -> str:
    """Return the text with nothing, a letter, one word or two words replaced."""
    way = int(draw.integers(0, 10))
    if way == 0:
        return text
    if way <= 3:
        at = int(draw.integers(0, len(text)))
        return f"{text[:at]}x{text[at + 1 :]}"
    parts = text.split(" ")
    for _ in range(1 if way <= 7 else 2):
        parts[int(draw.integers(0, LENGTH))] = words[int(draw.integers(0, WORDS))]
    return " ".join(parts)


def jaccard(one: str, other: str) -> float:
    """Return the Jaccard similarity of the shingles, from the sets themselves."""
    return similarity_of(shingles(one), shingles(other), 0.0)


class FileStore:
    """The lines of a file by number, read from disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q", [0])
        with path.open("rb") as stream:
            for line in stream:
                self._starts.append(self._starts[-1] + len(line))
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int, /) -> str:
        return self._bytes[self._starts[row] : self._starts[row + 1] - 1].decode()

    def __iter__(self) -> Iterator[str]:
        return lines(self._path)


def _contest(name: str, folder: Path) -> None:
    """Run one contestant in this process; write what it found and print time and memory."""
    rows, more = folder / "rows.txt", {}
    started = time.perf_counter()
    if name == OURS:
        store = FileStore(rows)
        found, capped = near_duplicates(store)
        pairs = [(near.first, near.second) for near in found]
        more = {"near_s": time.perf_counter() - started, "capped": capped}
        matches = leaks(list(lines(folder / "holdout.txt")), enumerate(store))
        leaked = [(match.holdout, match.other) for match in matches]
    else:
        flags = PEERS[name](rows)
    seconds = time.perf_counter() - started
    if name == OURS:
        np.save(folder / f"{name}.npy", np.array(pairs, np.int64).reshape(-1, 2))
        np.save(folder / "leaks.npy", np.array(leaked, np.int64).reshape(-1, 2))
    else:
        np.save(folder / f"{name}.npy", flags)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"s": seconds, "gb": gigabytes, **more}))


def _run(name: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--contestant", name, "--folder", str(folder)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return result


def _compile(folder: Path) -> None:
    """Run ours once on few rows: numba compiles on first use and keeps the result on disk."""
    small = folder / "small"
    small.mkdir()
    make(small, 30_000)
    _run(OURS, small)


def _print(
    rows: int,
    planted: Planted,
    leaked: Planted,
    results: dict[str, dict[str, float]],
    folder: Path,
) -> None:
    near = {pair for pair, same in planted.items() if same >= SIMILAR}
    pairs = {(int(one), int(other)) for one, other in np.load(folder / f"{OURS}.npy")}
    store = FileStore(folder / "rows.txt")
    true = {one for one in pairs if jaccard(store[one[0]], store[one[1]]) >= SIMILAR}
    alike = np.zeros(rows, np.bool_)
    alike[[row for pair in near | true for row in pair]] = True
    print("| contestant | seconds | peak GB | recall | precision | what it finds |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        if name == OURS:
            recall, precision = len(near & pairs) / len(near), len(true) / len(pairs)
            finds = f"pairs, verified, and leaks (near-duplicates alone {result['near_s']:.1f} s)"
        else:
            flags = np.load(folder / f"{name}.npy")
            recall = sum(bool(flags[list(pair)].all()) for pair in near) / len(near)
            precision = float(alike[flags].mean())
            finds = f"marks on rows ({name} {importlib.metadata.version(name)})"
        print(
            f"| {name} | {result['s']:.1f} | {result['gb']:.2f} | {recall:.4f} | {precision:.4f} | {finds} |"
        )
    _print_notes(rows, near, leaked, results, folder)


def _print_notes(
    rows: int,
    near: set[tuple[int, int]],
    leaked: Planted,
    results: dict[str, dict[str, float]],
    folder: Path,
) -> None:
    ours = results[OURS]
    found = {(int(one), int(other)) for one, other in np.load(folder / "leaks.npy")}
    true = {pair for pair, same in leaked.items() if same >= SIMILAR}
    fastest = min((result["s"] for name, result in results.items() if name != OURS), default=None)
    goal = GOAL_GB_LARGE if rows >= LARGE else GOAL_GB
    met = ours["gb"] < goal and (fastest is None or ours["s"] <= fastest)
    print(f"\nplanted: {len(near):,} pairs with a similarity of at least {SIMILAR}")
    print(f"leaks: {len(true & found)} of {len(true)} planted found, {len(found)} in all")
    print(f"capped groups: {ours['capped']}")
    beside = "" if fastest is None else "no slower than the fastest library, "
    ratio = "" if fastest is None else f" (fastest library / ours: {fastest / ours['s']:.2f})"
    at = "" if rows >= MILLION else " (it is set for a million rows; the start costs a second)"
    print(f"goal: {beside}under {goal:.0f} GB: {'met' if met else 'missed'}{ratio}{at}")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{rows:,} rows, {cores} cores, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    peers = ",".join(name for name in results if name != OURS) or "none"
    print(f"again: python benchmarks/data.py --rows {rows} --peers {peers}")


if __name__ == "__main__":
    main()
