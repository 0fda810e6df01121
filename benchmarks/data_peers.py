"""Public libraries that mark near-duplicates, each at its fastest documented use, for `data.py`.

Each takes the normalised texts and returns which rows it marks: none verifies, none returns pairs
on its fastest way. The shingles are the same 5 characters for all. Bands are chosen so that each
library misses under one pair in a hundred at a Jaccard similarity of 0.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import batched
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHINGLE = 5
BATCH = 20_000

Marks = NDArray[np.bool_]


def rensa(path: Path) -> Marks:
    """R-MinHash of prehashed shingles, 16 bands of 5, one pass that marks rows (Rust, rayon)."""
    from rensa import RMinHash, RMinHashLSH  # installed for the benchmark only

    lsh = RMinHashLSH(threshold=0.8, num_perm=80, num_bands=16)
    at = 0
    parts = []
    for hashes, offsets in _prehashed(path):
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, 80, 42)
        lsh.insert_matrix(matrix, start_key=at)
        parts.append(matrix)
        at += len(offsets) - 1
    flags = [lsh.query_duplicate_flags_matrix(matrix) for matrix in parts]
    return np.concatenate([np.asarray(part, np.bool_) for part in flags])


def fastsketchlsh(path: Path) -> Marks:
    """Fast similarity sketch of prehashed shingles, 16 bands of 4 (C++, OpenMP).

    Its sketch sizes are powers of two: 64 is the smallest with the recall asked for.
    """
    from FastSketchLSH import LSH, FastSimilaritySketch  # for the benchmark only

    sketcher = FastSimilaritySketch(size=64, seed=42)
    sketches = [
        sketcher.batch_csr(hashes, offsets.astype(np.uint64), prehashed=True, num_threads=0)
        for hashes, offsets in _prehashed(path)
    ]
    lsh = LSH(num_perm=64, num_bands=16, num_threads=0)
    return np.asarray(lsh.insert_and_query_duplicates(np.concatenate(sketches)), np.bool_)


def datasketch(path: Path) -> Marks:
    """MinHash and MinHashLSH as its documentation shows them, 16 bands of 5 (Python, NumPy)."""
    from datasketch import MinHash, MinHashLSH  # for the benchmark only

    lsh = MinHashLSH(num_perm=80, params=(16, 5))
    marked = []
    sets = ({line[at : at + SHINGLE] for at in range(len(line) - 4)} for line in lines(path))
    hashed = ([shingle.encode() for shingle in one] for one in sets)
    for row, sketch in enumerate(MinHash.generator(hashed, num_perm=80, seed=42)):
        found = lsh.query(sketch)
        marked += [row, *found] if found else []
        lsh.insert(row, sketch, check_duplication=False)
    flags = np.zeros(row + 1, np.bool_)
    flags[marked] = True
    return flags


PEERS: dict[str, Callable[[Path], Marks]] = {
    "rensa": rensa,
    "fastsketchlsh": fastsketchlsh,
    "datasketch": datasketch,
}


def lines(path: Path) -> Iterator[str]:
    """Yield the texts of a file, one a line."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield line.rstrip("\n")


def _prehashed(path: Path) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Yield 64-bit hashes of the shingles of some rows, and offsets, both in NumPy alone."""
    for batch in batched(lines(path), BATCH, strict=False):
        codes = np.frombuffer("".join(batch).encode("utf-32-le"), np.uint32).astype(np.uint64)
        hashes = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
        for at in range(SHINGLE):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + codes[at : at + len(hashes)]
        hashes ^= hashes >> np.uint64(32)
        lengths = np.fromiter(map(len, batch), np.int64, len(batch))
        ends = np.cumsum(lengths)
        inside = np.ones(len(codes), np.bool_)
        for at in range(1, SHINGLE):
            inside[ends - at] = False
        offsets = np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)])
        yield hashes[inside[: len(hashes)]], offsets
