"""What a bundle says and nothing denies is named by `recipe verify`; every other value is bound to a second one."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from engine.bundle.report_facts import STATED
from support.report_values import Values
from support.tampered_bundles import material

pytestmark = pytest.mark.thorough
EVERY = 7


@pytest.fixture(scope="module")
def values(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """Of the bundle that all tests begin with."""
    found = Values.of(material(tmp_path_factory.mktemp("bundles")).files)
    assert found.holds
    return found


def is_stated(kind: str) -> bool:
    patterns = (pattern for group in STATED.values() for pattern in group)
    # `[]` is a set of characters to fnmatch
    return any(fnmatchcase(kind.replace("[]", "@"), one.replace("[]", "@")) for one in patterns)


def undenied(values: Values, of: str, part: int, parts: int) -> list[str]:
    kinds = list(values.kinds(of).items())[part::parts]
    return [kind for kind, at in kinds if not values.is_denied(of, at)]


@pytest.mark.parametrize(
    "part", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 3, 4, 5, 6))]
)
def test_a_value_of_the_report_is_denied_or_named_as_stated(values: Values, part: int) -> None:
    assert [one for one in undenied(values, "report", part, EVERY) if not is_stated(one)] == []


@pytest.mark.parametrize("part", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2))])
def test_a_value_of_the_lock_is_denied_or_named_as_stated(values: Values, part: int) -> None:
    assert [one for one in undenied(values, "lock", part, 3) if not is_stated(f"lock.{one}")] == []
