"""No tampered bundle is what it says it is: the whole table, case by case."""

from pathlib import Path

import pytest

from support import tampered_exports, tampered_rows
from support.tampered_bundles import CASES, NOT, Bundles, Case, material

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def bundles(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """The bundles that all cases begin with."""
    return material(tmp_path_factory.mktemp("bundles"))


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "case", [*CASES, *tampered_rows.CASES, *tampered_exports.CASES], ids=lambda case: case.name
)
def test_a_tampered_bundle_is_not_accepted(
    case: Case, bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # nobody is known there

    assert case.got(bundles, tmp_path) == case.expected


def test_the_table_has_sixty_tampered_bundles_of_each_sort() -> None:
    signed = [case for case in CASES if "signed again" in case.name and case.expected == NOT]
    others = [case for case in CASES if "signed again" not in case.name and case.expected == NOT]

    assert min(len(signed), len(others)) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
