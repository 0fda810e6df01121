"""Readers over files changed at random: a value or an error with a code, never anything else."""

import random
from pathlib import Path

import pytest

from engine.errors import EngineError
from support.fuzz_target import Target
from support.fuzz_targets import targets
from support.fuzzing import FoundError, fuzz, minimised, prepare, read_once
from support.paths import EXAMPLES
from support.project import BASE
from support.recipe_grammar import drawn_recipe

SEED = 20_251_125
CASES, MANY = 6, 400
TARGETS = targets()
LIGHT = [name for name, target in TARGETS.items() if not target.is_heavy]
KEPT = [
    pytest.param(path, id=f"{path.parent.name}/{path.name}")
    if path.parent.name.replace("__", "/") in LIGHT
    else pytest.param(path, id=f"{path.parent.name}/{path.name}", marks=pytest.mark.slow)
    for path in sorted((EXAMPLES / "fuzz").rglob("*"))
    if path.is_file()
]
"""Each the least that once failed, as `benchmarks/fuzz.py --keep` writes it."""


@pytest.mark.parametrize("name", LIGHT)
def test_a_file_changed_at_random_is_read_or_refused_with_a_code(name: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    target = TARGETS[name]

    fuzz(target, seed=SEED, cases=min(CASES, target.weight), folder=tmp_path)


@pytest.mark.sampled(4)
@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_so_are_many_more(name: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    target = TARGETS[name]

    fuzz(target, seed=SEED + 1, cases=MANY * target.weight // 10, folder=tmp_path)


@pytest.mark.parametrize("path", KEPT)
def test_what_once_failed_is_read_or_refused_with_a_code(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    target = TARGETS[path.parent.name.replace("__", "/")]

    assert read_once(target, path.read_bytes(), tmp_path) in ("read", "refused")


def _ends(error: Exception | None) -> Target:
    def read(path: Path) -> None:
        if error is not None and b"x" in path.read_bytes():
            raise error

    return Target(name="file", content=b"", read=read)


@pytest.mark.parametrize(
    "error", [KeyError("a"), AssertionError("I900"), RecursionError(), MemoryError(), SystemExit(4)]
)
def test_another_end_is_a_failure_and_is_made_smaller(error: Exception, tmp_path: Path) -> None:
    content = b"abcdefghijklmnopqrstuvwxyz" * 20

    with pytest.raises(FoundError) as caught:
        read_once(_ends(error), content, tmp_path)

    assert minimised(_ends(error), caught.value, tmp_path) == b"x"


def test_a_refusal_with_a_code_is_no_failure(tmp_path: Path) -> None:
    refusal = EngineError.one("R100", "no")

    assert read_once(_ends(refusal), b"x", tmp_path) == "refused"
    assert read_once(_ends(None), b"x", tmp_path) == "read"


def test_recipes_of_the_grammar_are_the_same_for_a_seed_and_some_are_sound() -> None:
    drawn = [drawn_recipe(random.Random(seed), dict(BASE)) for seed in range(5)]

    assert drawn == [drawn_recipe(random.Random(seed), dict(BASE)) for seed in range(5)]
    assert len(set(drawn)) == len(drawn)
