"""Readers over files changed at random: a value or an error with a code, never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fuzz_targets import targets
from support.fuzzing import fuzz, prepare

SEED = 20_251_125
CASES, MANY = 6, 400
TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_changed_at_random_is_read_or_refused_with_a_code(name: str, tmp_path: Path) -> None:
    prepare(tmp_path)

    fuzz(TARGETS[name], seed=SEED, cases=CASES, folder=tmp_path)


@pytest.mark.sampled(4)
@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_so_are_many_more(name: str, tmp_path: Path) -> None:
    prepare(tmp_path)

    fuzz(TARGETS[name], seed=SEED + 1, cases=MANY, folder=tmp_path)
