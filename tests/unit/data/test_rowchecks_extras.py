"""The libraries of the `data` extra that only checks of rows need."""

import sys
from collections.abc import Callable

import pytest

from engine.data.checks.rows import languages
from engine.data.checks.rows.control_characters import repair
from engine.errors import EnvironmentProblem


@pytest.mark.parametrize(
    ("check", "library", "look"),
    [("mojibake", "ftfy", repair), ("languages", "py3langid", languages.language)],
)
def test_without_its_library_the_check_and_the_extra_are_named(
    check: str, library: str, look: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    languages._detector.cache_clear()

    with pytest.raises(EnvironmentProblem, match=f"`{check}` needs {library}") as raised:
        look("Wann kommt meine neue Karte endlich an? CafÃ©")

    [problem] = raised.value.problems
    assert (problem.code, str(problem.hint)[:20]) == ("E701", "uv sync --extra data")
