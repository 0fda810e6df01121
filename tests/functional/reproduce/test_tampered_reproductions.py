"""No tampered reproduction is called one: the whole table, case by case."""

from pathlib import Path

import pytest

from support.tampered_reproductions import CASES, EXACT, Case, Repetition, material

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def repetition(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Repetition:
    """The run that all cases repeat."""
    return material(tmp_path_factory.mktemp("repetition"))


@pytest.mark.sampled(6)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tampered_reproduction_is_not_accepted(
    case: Case, repetition: Repetition, tmp_path: Path
) -> None:
    assert case.got(repetition, tmp_path) == case.expected


def test_the_table_has_sixty_tampered_locks() -> None:
    locks = [case for case in CASES if case.group == "lock" and case.expected != EXACT]

    assert len(locks) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
