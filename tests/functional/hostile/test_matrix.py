"""Every verb, with every hostile thing in the place of every file: a code, soon, in little memory."""

import shutil
from pathlib import Path

import pytest

from support.forked_verbs import Verbs
from support.hostile_files import EVERY, PLACES, THINGS, put, remove

pytestmark = pytest.mark.thorough

CASES = [(place, thing) for place in PLACES for thing in THINGS]
EACH, SPARSE = 25, 41
"""One case of so many is among the fast tests; each place is, with several things."""
ALWAYS = ("a named pipe", "a hole of 1 TB")
"""What nothing but a look before opening guards against."""
FAST = [case for number, case in enumerate(CASES) if number % EACH == 0 or case[1] in ALWAYS]


@pytest.mark.parametrize(("place", "thing"), FAST)
def test_verbs_that_read_a_hostile_thing_end_typed(
    place: str, thing: str, verbs: Verbs, whole: Path, tmp_path: Path
) -> None:
    assert walked(place, thing, PLACES[place], verbs=verbs, whole=whole, scratch=tmp_path) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(("place", "thing"), sorted({*CASES} - {*FAST}))
def test_so_they_do_with_everything_else(
    place: str, thing: str, verbs: Verbs, whole: Path, tmp_path: Path
) -> None:
    assert walked(place, thing, PLACES[place], verbs=verbs, whole=whole, scratch=tmp_path) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(("place", "thing"), CASES[::SPARSE])
def test_every_verb_ends_typed_beside_a_hostile_thing(
    place: str, thing: str, verbs: Verbs, whole: Path, tmp_path: Path
) -> None:
    assert walked(place, thing, EVERY, verbs=verbs, whole=whole, scratch=tmp_path) == []


def walked(
    place: str, thing: str, words: tuple[str, ...], *, verbs: Verbs, whole: Path, scratch: Path
) -> list[str]:
    """What is wrong with how each of the verbs ended."""
    found: list[str] = []
    folder = scratch / "project"
    shutil.copytree(whole, folder, symlinks=True)
    for one in words:
        put(thing, folder / place)
        found += verbs.run(one.split(), folder).faults()
        for name in ("new.yaml", "new.tar"):
            remove(folder / name)
    shutil.rmtree(folder)
    return found
