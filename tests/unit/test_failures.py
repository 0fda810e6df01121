"""Failures of the machine and of libraries get a code; what is left is a bug of ours and stays one."""

import errno
from pathlib import Path

import jinja2
import pytest

from engine.errors import EngineError, StageError
from engine.failures import as_engine_error, library_errors


class PanicException(BaseException):
    """As a library written in Rust raises it."""


KNOWN: list[tuple[BaseException, str]] = [
    (MemoryError(), "E740"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "E740"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "E740"),
    (OSError(errno.EFBIG, "File too large"), "E742"),
    (Exception("I/O error: File too large (os error 27)"), "E742"),
    (OSError(errno.ENOSPC, "No space left on device"), "E710"),
    (Exception("I/O error: No space left on device (os error 28)"), "E710"),
    (OSError(errno.EACCES, "Permission denied"), "E750"),
    (IndexError("index out of range in self"), "X693"),
    (Exception("data did not match any variant of untagged enum ModelWrapper"), "X690"),
    (PanicException("called `Option::unwrap()` on a `None` value"), "X690"),
    (StageError.one("X601", "as it is"), "X601"),
]


@pytest.mark.parametrize(("error", "code"), KNOWN, ids=[repr(error)[:40] for error, _ in KNOWN])
def test_a_failure_that_is_known_has_a_code(
    error: BaseException, code: str, tmp_path: Path
) -> None:
    found = as_engine_error(error, tmp_path)

    assert found is not None
    assert found.problems[0].code == code
    assert len(found.problems[0].message.splitlines()) == 1


@pytest.mark.parametrize("bug", [KeyError("x"), TypeError("y"), IndexError("z"), SystemExit(1)])
def test_what_is_not_known_stays_a_bug(bug: BaseException, tmp_path: Path) -> None:
    def broken() -> None:
        raise bug

    with pytest.raises(type(bug)) as caught:
        broken()

    assert as_engine_error(caught.value, tmp_path) is None


def test_an_error_raised_inside_a_library_names_it(tmp_path: Path) -> None:
    with pytest.raises(jinja2.TemplateError) as caught:
        jinja2.Template("{% for %}")

    found = as_engine_error(caught.value, tmp_path)
    assert isinstance(found, EngineError)
    assert found.problems[0].message.startswith("jinja2 failed: TemplateSyntaxError")


@pytest.mark.parametrize("error", [KeyError("layers"), PanicException("gone"), TypeError("no")])
def test_within_a_librarys_calls_every_error_is_the_librarys(error: BaseException) -> None:
    with (
        pytest.raises(StageError, match="X604  the model cannot be loaded"),
        library_errors("X604", "the model cannot be loaded", hint="another"),
    ):
        raise error


def test_a_request_to_end_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt), library_errors("X604", "it", hint=""):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EFBIG, "File too large"),
        OSError(errno.ENOSPC, "No space left on device"),
        Exception("I/O error: No space left on device (os error 28)"),
    ],
    ids=str,
)
def test_what_says_that_nothing_can_be_written_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, library_errors("X604", "it", hint=""):
        raise error

    assert caught.value is error
