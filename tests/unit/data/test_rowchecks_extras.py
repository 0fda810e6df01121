"""The libraries of the `data` extra that only checks of rows need."""

import sys

import pytest

from engine.data.checks.rows import languages
from engine.data.checks.rows.control_characters import repair
from engine.errors import EnvironmentProblem


def test_without_ftfy_the_check_and_its_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)

    with pytest.raises(EnvironmentProblem, match="`mojibake` needs ftfy") as raised:
        repair("Le cafÃ©")

    [problem] = raised.value.problems
    assert problem.code == "E701"
    assert problem.hint is not None
    assert problem.hint.startswith("uv sync --extra data")


def test_without_py3langid_the_check_and_its_extra_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    languages._detector.cache_clear()

    with pytest.raises(EnvironmentProblem, match="`languages` needs py3langid") as raised:
        languages.language("Wann kommt meine neue Karte endlich bei mir zu Hause an?")

    [problem] = raised.value.problems
    assert problem.code == "E701"
    assert problem.hint is not None
    assert problem.hint.startswith("uv sync --extra data")
