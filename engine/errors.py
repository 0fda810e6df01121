"""What can go wrong, as values: problems, the few exceptions that carry them, and exit codes.

Modules raise; of a command only `engine.cli.main` prints and exits, and child processes end themselves. Anything
that is not an `EngineError` is a bug.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from engine.values import Value, force_setattr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Severity(StrEnum):
    """How much a problem matters: an error stops the run, a warning is shown and repeated in the report."""

    ERROR = "error"
    WARNING = "warning"


class ExitCode(IntEnum):
    """What the process says to the shell; each value is a promise to scripts."""

    ACCEPTED = 0
    REFUSED = 1
    USAGE = 2
    FAILED = 3
    BUG = 4
    BASELINE_PASSES = 5
    UNKNOWN_SIGNER = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    QUIT = 131
    UNREAD = 141
    TERMINATED = 143

    @classmethod
    def of_signal(cls, number: int) -> ExitCode:
        """Return 128 and the signal's number, as a shell counts; of other signals that of Ctrl-C."""
        known = {int(code) for code in cls}
        return cls(128 + number) if 128 + number in known else cls.INTERRUPTED


class Place(Value):
    """Where a problem stands in a file a person wrote."""

    file: str
    """As the user named it."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1, in characters."""
    width: int = 1
    """How many characters to underline."""
    snippet: tuple[tuple[int, str], ...] = ()
    """Lines to show, as (number, text); the last one is the line of the problem."""

    @property
    def spot(self) -> str:
        """`recipe.yaml:3:5`, as far as it is known."""
        spot = [self.file]
        if self.line is not None:
            spot += [str(self.line)]
            spot += [str(self.column)] if self.column is not None else []
        return ":".join(spot)


class Problem(Value):
    """One mistake; its first line alone says what is wrong, where and what to do."""

    code: str
    """Stable, documented in `engine.codes` or at its rule, never reused: R104, D304, …"""
    message: str
    """Lower-case, no full stop; values in backticks as the user wrote them."""
    path: str = ""
    """The key in the recipe, such as `method.rank` or `data.sources[0].file`."""
    hint: str | None = None
    """An edit or a command, or nothing."""
    place: Place | None = None
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        """Escape what a quoted text may hold and nobody sees; a line break of a message of several lines stays."""
        force_setattr(self, "message", _seen(self.message))
        path = _seen(self.path).replace("\n", r"\n").replace("\t", r"\t")
        force_setattr(self, "path", path)
        force_setattr(self, "hint", self.hint and _seen(self.hint))

    def headline(self) -> str:
        """The one line that suffices: place, code, key, what is wrong."""
        subject = f"{self.path}: " if self.path else ""
        spot = f"{self.place.spot}  " if self.place else ""
        return f"{spot}{self.code}  {subject}{self.message}"


_ESCAPES: Final = {
    point: f"\\x{point:02x}"
    if point < 0x100
    else f"\\u{point:04x}"  # latin-1, as `printable` has it
    for first, last in ((0, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0x2028, 0x202E), (0x2066, 0x2069))
    for point in range(first, last + 1)
}
"""Control characters, further ends of lines, and characters that turn the direction of what follows.

Tabs stay: the last lines of a tool's log have them.
"""


def _seen(text: str) -> str:
    if text.isprintable():
        return text
    return text.translate(_ESCAPES)


class EngineError(Exception):
    """A mistake or a failure the user can act on; it carries every problem found, never only the first."""

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        """Keep the problems; at least one is required."""
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(problem.headline() for problem in self.problems))

    @classmethod
    def one(
        cls,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        path: str = "",
        place: Place | None = None,
    ) -> Self:
        """An error of this class with a single problem."""
        return cls(Problem(code=code, message=message, hint=hint, path=path, place=place))


class RecipeError(EngineError):
    """The recipe or the command line is wrong."""

    exit_code = ExitCode.USAGE


class DataError(EngineError):
    """The data cannot be read, or a check on it failed."""


class StageError(EngineError):
    """A stage could not finish."""


class EnvironmentProblem(EngineError):
    """Something outside the recipe is missing: an extra, a tool, a device, disk space."""


def install_hint(extras: str) -> str:
    """Return the command that adds extras (`gguf,serve`) to this program: in a clone, or where it was installed."""
    if (Path(__file__).parents[1] / "pyproject.toml").is_file():
        return f"uv sync {' '.join(f'--extra {extra}' for extra in extras.split(','))}"
    return f"uv pip install --python {sys.prefix} 'slm-recipe[{extras}]'"


@contextmanager
def needs_extra(message: str, extra: str, *, instead: str = "", path: str = "") -> Iterator[None]:
    """Around an import: E701 where a package of that extra is not installed; `instead` ends the hint."""
    try:
        yield
    except ImportError as error:
        hint = install_hint(extra) + instead
        raise EnvironmentProblem.one("E701", message, hint=hint, path=path) from error


class StoreError(EngineError):
    """The store is damaged, locked or cannot be written."""


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line of a bearable length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return names as a sentence has them: `a`, `a and b`, `a, b and c`."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
