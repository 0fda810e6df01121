"""The first line of `recipe ci`, and its exit code, in situations of a real git repository."""

from pathlib import Path

import pytest

from support.git_repository import SETTINGS
from support.git_situations import SITUATIONS, Situation

pytestmark = pytest.mark.thorough


@pytest.mark.sampled(5)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.name)
def test_the_first_line_says_what_was_compared(
    situation: Situation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    assert situation.played(tmp_path) == (situation.line, situation.code)


def test_the_situations_are_many_and_different() -> None:
    assert len({one.name for one in SITUATIONS}) == len(SITUATIONS) >= 40
