"""A pytest plugin for golden files, `tests/golden`: `pytest --renew-golden` writes what is shown now into them."""

from collections.abc import Callable

import pytest

from support.paths import GOLDEN

Golden = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-golden", action="store_true", help="write the golden files of the tests that run"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(name, text)` asserts that a text is that of the file; `by` makes both comparable first."""
    renew = request.config.getoption("--renew-golden")

    def golden(name: str, text: str, *, by: Callable[[str], object] = str) -> None:
        path = GOLDEN / name
        if renew and not (path.is_file() and by(path.read_text("utf-8")) == by(text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert by(text) == by(path.read_text("utf-8"))

    return golden
