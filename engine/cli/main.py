"""The command `recipe`: parser, dispatch, and the one place where errors become text and exit codes."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from engine import __version__
from engine.cli.terminal import discard_output, flush, open_missing, write, write_error
from engine.cli.verbs import VERBS, declare
from engine.errors import EngineError, ExitCode
from engine.process import interrupts
from engine.process.library_settings import wait_briefly

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class _Paragraphs(argparse.HelpFormatter):
    """Breaks the lines of each paragraph by itself; commands, which are indented, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from textwrap import TextWrapper  # only for a help text, as argparse has it

        # An option stays whole, too.
        wrapper = TextWrapper(width, indent, indent, break_on_hyphens=False)
        return "\n\n".join(
            part if part.startswith(" ") else wrapper.fill(part)
            for part in text.strip("\n").split("\n\n")
        )


class _Parser(argparse.ArgumentParser):
    """Usage mistakes end with the same exit code as mistakes in a recipe."""

    def error(self, message: str) -> NoReturn:
        write_error(f"{self.format_usage()}{self.prog}: {message}\n")
        sys.exit(ExitCode.USAGE)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Help and version are results: an output that cannot be written is an error."""
        if message and file is sys.stdout:
            write(message)
            flush()
        elif message:
            write_error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_missing()
    wait_briefly()
    try:
        with interrupts.handled():
            code = _run(words, has_own_process=arguments is None)
            # Within `try`: that a disk is full shows only when the buffer is written.
            flush()
            if arguments is None:
                # All that is left goes with the process: looking it through first would take seconds with torch.
                gc.freeze()
            return code
    except EngineError as error:
        return _report_error(error, as_json=False)
    except KeyboardInterrupt as asked:
        number = interrupts.number_of(asked)
        by = "" if number == signal.SIGINT else f" by {interrupts.name_of(number)}"
        write_error(f"interrupted{by}\n")
        return ExitCode.of_signal(number)
    except BrokenPipeError:
        # As in `recipe runs | head`: Python would complain when it flushes stdout at its end.
        discard_output()
        return ExitCode.FAILED
    # argparse leaves by SystemExit, after it printed why.
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as failure:  # noqa: BLE001 - the boundary: whatever is left is a failure or our mistake
        from engine.cli.output import STORE  # only when something went wrong
        from engine.failures import as_engine_error

        known = as_engine_error(failure, Path(STORE))
        return report_bug(failure, words) if known is None else _report_error(known, as_json=False)


def _run(words: Sequence[str], *, has_own_process: bool) -> int:
    if not words or words[0] not in VERBS:
        if words and not words[0].startswith("-"):
            from difflib import get_close_matches  # only for a mistake

            from engine.render.styled_text import printable

            near = get_close_matches(words[0], VERBS, 1)
            hint = f"did you mean `{near[0]}`?" if near else "recipe --help lists them"
            write_error(f"recipe: there is no verb `{printable(words[0])}`: {hint}\n")
            return ExitCode.USAGE
        _parser().parse_args(words or ["--help"])
        return ExitCode.USAGE
    # What is imported stays: looking it through for garbage is a tenth of a light verb's time.
    if has_own_process:
        gc.set_threshold(50_000)
    verb = VERBS[words[0]]
    parser = _Parser(prog=f"recipe {words[0]}", description=verb.about, formatter_class=_Paragraphs)
    declare(parser, verb.arguments)
    options = parser.parse_args(words[1:])
    options.has_own_process, options.words = has_own_process, tuple(words[1:])
    try:
        code = verb.function()(options)
        return ExitCode.ACCEPTED if code is None else int(code)
    except EngineError as error:
        as_json = getattr(options, "format", "text") == "json"
        return _report_error(error, as_json=as_json, recipe=getattr(options, "recipe", None))


def _parser() -> argparse.ArgumentParser:
    groups: dict[str, list[str]] = {}
    for one in VERBS.values():
        groups.setdefault(one.group, [f"{one.group}:"]).append(f"  {one.name:<9}  {one.purpose}")
    verbs = "\n\n".join(map("\n".join, groups.values()))
    parser = _Parser(
        prog="recipe",
        description="One recipe in, a gated and quantized small language model out.",
        epilog=f"{verbs}\n\nrecipe VERB --help tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="recipe VERB [OPTIONS]",
    )
    parser.add_argument("--version", action="version", version=f"recipe {__version__}")
    parser.add_argument("verb", metavar="VERB", help=argparse.SUPPRESS)
    return parser


def _report_error(error: EngineError, *, as_json: bool, recipe: object = None) -> int:
    from engine.cli.output import show_problems  # light verbs without errors skip it

    # Then there is no stdout for JSON.
    lost = any(problem.code == "E741" for problem in error.problems)
    problems = error.problems
    if isinstance(recipe, Path):
        from engine.recipe.text.extends import placed  # reads YAML

        problems = placed(problems, recipe)
    try:
        show_problems(problems, as_json=as_json and not lost)
        flush()
    # The problems were the result, and there is no room for them.
    except EngineError as full:
        show_problems([*error.problems, *full.problems])
    return error.exit_code


def report_bug(bug: BaseException, words: Sequence[str]) -> int:
    """Write the traceback with versions to a file, and name it: no traceback stands on the screen."""
    import platform
    import shlex
    import traceback
    from datetime import UTC, datetime

    from engine.cli.output import STORE
    from engine.files.writing import create_text
    from engine.trust.hosts import redacted, secrets_of

    # `platform.platform` starts `uname`, by PATH, which may lead to the folder that one stands in.
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    trace = "".join(traceback.format_exception(bug))
    where = f"recipe {__version__}, Python {platform.python_version()}, {system}"
    text = f"{where}\ncommand: recipe {shlex.join(words)}\n\n{trace}"
    kind, text = (
        # half surrogates are written as escapes, since no file takes them
        redacted(found, secrets_of(os.environ)).encode("utf-8", "backslashreplace").decode()
        for found in (f"{type(bug).__name__}: {bug}".splitlines()[0], text)
    )
    write_error(f"I900  this is a bug in the engine: {kind}\n")
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S-%f")
    path, is_written = Path(STORE) / "logs" / f"bug-{stamp}.txt", False
    with contextlib.suppress(OSError):
        # Through no link below the store, which may have come with somebody else's folder.
        is_written = create_text(path, text, below=Path(STORE))
    write_error(f"        a report to paste: {path}\n" if is_written else text)
    return ExitCode.BUG


if __name__ == "__main__":
    sys.exit(main())
