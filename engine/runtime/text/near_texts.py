"""Compiled loops of the search for near rows: hashing of shingles, MinHash, Jaccard, leak filter.

Texts come as one array of code points (uint32) with the offsets of the rows. Shingles are 64-bit
hashes here; two different ones collide once in 10^19, which is the only inexactness.
MinHash and its bands: Broder, On the resemblance and containment of documents, 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from engine.process.library_settings import caches
from engine.process.start import working_folder

if TYPE_CHECKING:
    from types import ModuleType


def _import_numba() -> ModuleType:
    """Import numba away from a project: its `.numba_config.yaml` can name another cache, which would be unpickled."""
    os.environ.update({name: caches()[name] for name in ("NUMBA_CACHE_LOCATOR_CLASSES",)})
    given = os.environ.get("NUMBA_CACHE_DIR", "")
    # A relative folder would be one of the project's, and the index that numba unpickles there somebody else's.
    if not Path(given).is_absolute():
        os.environ["NUMBA_CACHE_DIR"] = caches()["NUMBA_CACHE_DIR"]
    with working_folder() as empty, chdir(empty):
        import numba  # after its settings, and away from those of a project
    numba.core.config._config_fname = os.devnull  # noqa: SLF001 - no setting says where it is looked for
    return cast("ModuleType", numba)


_numba = _import_numba()


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Return the function compiled on first use, kept on disk where the user's cache can be written."""
    try:
        # Without the GIL, as batches are compared in several threads.
        return cast("F", _numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba finds no folder that it may write
        return cast("F", _numba.njit(nogil=True)(function))


Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Offsets = NDArray[np.int64]

SHINGLE = 5
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX_ONE = np.uint64(0xFF51AFD7ED558CCD)
_MIX_TWO = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(33)
_ONE = np.uint64(1)
_TOGETHER = 4
"""Values of which the smallest is found together."""


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """Return the 64 bits well mixed (finaliser of MurmurHash3, Appleby, public domain)."""
    value = (value ^ (value >> _SHIFT)) * _MIX_ONE
    value = (value ^ (value >> _SHIFT)) * _MIX_TWO
    return value ^ (value >> _SHIFT)


@compiled
def hashed(codes: Codes, start: int, end: int) -> np.uint64:
    """Return the hash of `codes[start:end]`; texts of different length differ too."""
    value = np.uint64(end - start)
    for at in range(start, end):
        value = value * _MULTIPLIER + np.uint64(codes[at]) + _ONE
    return _mixed(value)


@compiled
def shingle_hash(codes: Codes, at: int) -> np.uint64:
    """Return what `hashed` does of the shingle that begins at `at`; its loop is unrolled."""
    value = np.uint64(SHINGLE)
    for step in range(SHINGLE):
        value = value * _MULTIPLIER + np.uint64(codes[np.uint64(at + step)]) + _ONE
    return _mixed(value)


@compiled
def shingle_hashes(codes: Codes, start: int, end: int, out: Hashes) -> int:
    """Write the hashes of the shingles of one text into `out`; return how many, repeats included."""
    if end - start <= SHINGLE:
        out[0] = hashed(codes, start, end)
        return 1
    count = end - start - SHINGLE + 1
    for at in range(count):
        out[at] = shingle_hash(codes, start + at)
    return count


@compiled
def _smallest(
    values: NDArray[np.uint32],
    multipliers: NDArray[np.uint32],
    addends: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the smallest `multiplier * value + addend`, modulo 2^32, of each function, over 4 n values."""
    out[:] = np.uint32(0xFFFFFFFF)
    # The functions stand beside each other in a vector: with values there, the smallest one within each vector would
    # have to be found, too. Four values at a time, as loading the functions takes longer than to multiply.
    for at in range(0, len(values), _TOGETHER):
        one, two, three, four = values[at], values[at + 1], values[at + 2], values[at + 3]
        for number in range(len(out)):
            by, plus = multipliers[number], addends[number]
            low = min(np.uint32(by * one + plus), np.uint32(by * two + plus))
            high = min(np.uint32(by * three + plus), np.uint32(by * four + plus))
            out[number] = min(out[number], low, high)


@compiled
def _whole_hash(hashes: Hashes) -> np.uint64:
    """Return the hash of a text by those of its shingles: its own, letter by letter, would take longer."""
    value = np.uint64(len(hashes))
    for at in range(len(hashes)):
        # By another odd number for each place, so that the order counts.
        value += hashes[at] * np.uint64(2 * at + 1)
    return _mixed(value)


@compiled
def band_hashes(
    codes: Codes,
    offsets: Offsets,
    multipliers: NDArray[np.uint32],
    addends: NDArray[np.uint32],
    rows_a_band: int,
) -> tuple[Hashes, Hashes, NDArray[np.uint32]]:
    """Return the hash of each text, its sketch, and 32 bits for each of its bands (bands x texts).

    A band joins the smallest values of `rows_a_band` hash functions `multiplier * x + addend` over
    the shingles: two texts agree in one such value as often as their Jaccard similarity says. The
    sketch is the lowest bit of each of the first 64 values (b-bit minwise hashing: Li and König,
    WWW 2010); with fewer functions its other bits are 0.
    """
    texts, functions = len(offsets) - 1, len(multipliers)
    bands = functions // rows_a_band
    whole = np.empty(texts, np.uint64)
    sketches = np.zeros(texts, np.uint64)
    out = np.empty((bands, texts), np.uint32)
    hashes = np.empty(max(1, np.diff(offsets).max()), np.uint64)
    values = np.empty(len(hashes) + _TOGETHER, np.uint32)
    smallest = np.empty(functions, np.uint32)
    for row in range(texts):
        start, end = offsets[row], offsets[row + 1]
        count = shingle_hashes(codes, start, end, hashes)
        whole[row] = _whole_hash(hashes[:count])
        for at in range(count):
            values[at] = np.uint32(hashes[at] >> _HALF)
        # The first one again, which changes no smallest one.
        full = (count + _TOGETHER - 1) // _TOGETHER * _TOGETHER
        values[count:full] = values[0]
        _smallest(values[:full], multipliers, addends, smallest)
        for number in range(min(64, functions)):
            sketches[row] |= np.uint64(smallest[number] & np.uint32(1)) << np.uint64(number)
        for band in range(bands):
            joined = np.uint64(band)
            for number in range(band * rows_a_band, (band + 1) * rows_a_band):
                joined = _mixed(joined * _MULTIPLIER + np.uint64(smallest[number]))
            out[band, row] = np.uint32(joined >> _HALF)
    return whole, sketches, out


@compiled
def unique(hashes: Hashes, count: int) -> int:
    """Sort the first `count` hashes and move the distinct ones to the front; return how many."""
    part = hashes[:count]
    part.sort()
    kept = 1
    for at in range(1, count):
        if part[at] != part[kept - 1]:
            part[kept] = part[at]
            kept += 1
    return kept


@compiled
def shingle_sets(codes: Codes, offsets: Offsets) -> tuple[Hashes, Offsets]:
    """Return the sorted distinct shingle hashes of the texts, one after the other, and offsets."""
    texts = len(offsets) - 1
    out = np.empty(len(codes) + texts, np.uint64)
    ends = np.zeros(texts + 1, np.int64)
    for row in range(texts):
        begin = ends[row]
        count = shingle_hashes(codes, offsets[row], offsets[row + 1], out[begin:])
        ends[row + 1] = begin + unique(out[begin:], count)
    return out[: ends[texts]].copy(), ends


@compiled
def jaccard(one: Hashes, other: Hashes, at_least: float) -> float:
    """Return the Jaccard similarity of two sorted sets; 0.0 when it is found to stay below."""
    size, others = len(one), len(other)
    if at_least * size > others or at_least * others > size:
        return 0.0
    # A little room: rounding must not lose a pair that is exactly at the threshold.
    allowed = (size + others) * (1 - at_least) / (1 + at_least) + 1e-6
    both = left = right = 0
    while left < size and right < others:
        # Too many are in one of the two only.
        if left + right - 2 * both > allowed:
            return 0.0
        if one[left] == other[right]:
            both += 1
            left += 1
            right += 1
        elif one[left] < other[right]:
            left += 1
        else:
            right += 1
    return both / (size + others - both)


@compiled
def similarities(
    sets: Hashes,
    ends: Offsets,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    at_least: float,
) -> NDArray[np.float64]:
    """Return the Jaccard similarity of each pair of sets; 0.0 where sizes alone keep it below."""
    out = np.empty(len(first), np.float64)
    for pair in range(len(first)):
        one, other = first[pair], second[pair]
        out[pair] = jaccard(
            sets[ends[one] : ends[one + 1]], sets[ends[other] : ends[other + 1]], at_least
        )
    return out


@compiled
def _far(one: np.uint64, other: np.uint64, most: int) -> bool:
    """Say whether more than `most` bits differ."""
    bits = one ^ other
    count = 0
    while bits:
        bits &= bits - _ONE
        count += 1
    return count > most


@compiled
def bucket_pairs(
    keys: Hashes, sketches: Hashes, most: int, largest: int, leaders: int
) -> tuple[Hashes, int]:
    """Return the pairs of rows that share the upper half of their key, and how many were capped.

    `keys` are sorted: a band hash in the upper 32 bits, a row in the lower. A pair is
    `first << 32 | second`; left out are pairs whose sketches differ in more than `most` bits. In a
    group of more than `largest` rows each row is only paired with the first `leaders` of the group:
    otherwise a thousand rows of one form would make a million pairs.
    """
    pairs = 0
    capped = 0
    # Count first, then write.
    for fill in range(2):
        out = np.empty(pairs, np.uint64)
        at = begin = 0
        while begin < len(keys):
            end = begin + 1
            while end < len(keys) and keys[end] >> _HALF == keys[begin] >> _HALF:
                end += 1
            size = end - begin
            capped += fill * (size > largest)
            against = leaders if size > largest else size
            for later in range(begin + 1, end):
                for earlier in range(begin, min(later, begin + against)):
                    first, second = keys[earlier] & _LOWER, keys[later] & _LOWER
                    if _far(sketches[first], sketches[second], most):
                        continue
                    if fill:
                        out[at] = (first << _HALF) | second
                    at += 1
            begin = end
        pairs = at
    return out, capped
