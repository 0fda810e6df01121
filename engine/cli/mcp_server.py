"""The server of `recipe mcp`: calls become processes, and what they print becomes a bounded answer."""

import json
import os
import shlex
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Final, TextIO, cast

import anyio
import anyio.to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from engine.cli.verbs import TOOLS, schema_of, words_of
from engine.errors import EngineError
from engine.files.reading import parse_json
from engine.process import __version__, start
from engine.render.problems import problems_json
from engine.render.styled_text import revealed

MOST_LETTERS: Final = 60_000
"""Of a result, and of messages; an agent reads them whole."""
MOST_READ: Final = 16 << 20
"""Bytes of it that are read."""
MOST_LINE: Final = 4 << 20
"""Characters of a message; one of 200 MB took 2.9 GB."""
SECONDS: Final = 600.0
"""For a call that does not train."""
INSTRUCTIONS: Final = (
    "From a data file to a small language model that is proved on held-out rows, or to a justified refusal. Call"
    " `explain` with code `skill` first: it says the way, what each exit code means, and what must not be done."
)


def serve(*, allow_run: bool) -> None:
    # Copies, since the package closes what it is given, and the command line still writes at its end.
    with (
        # What is no UTF-8 is no JSON either, and answered as such.
        os.fdopen(os.dup(0), encoding="utf-8", errors="replace") as given,
        os.fdopen(os.dup(1), "w", encoding="utf-8") as answers,
    ):
        anyio.run(_serve, server_of(allow_run=allow_run), given, answers)


class Messages:
    """Lines of a stream, of which one that is too long is read and not held: what comes instead is no message."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def readline(self) -> str:
        """Return the next line; nothing at the end."""
        line = self._stream.readline(MOST_LINE)
        if len(line) < MOST_LINE or line.endswith("\n"):
            return line
        while (rest := self._stream.readline(MOST_LINE)) and not rest.endswith("\n"):
            pass
        return "longer than a message may be\n"


async def _serve(server: Server[Any, Any], given: TextIO, answers: TextIO) -> None:
    # The package asks for lines and for nothing else.
    messages = cast("TextIO", Messages(given))
    streams = stdio_server(anyio.wrap_file(messages), anyio.wrap_file(answers))
    async with streams as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def server_of(*, allow_run: bool) -> Server[Any, Any]:
    server: Server[Any, Any] = Server("slm-recipe", __version__, INSTRUCTIONS)
    # Two at once would share the processors, and the store's locks.
    one_at_a_time = anyio.Lock()

    async def tools() -> list[types.Tool]:
        offered = {name: one for name, one in TOOLS.items() if allow_run or "is_heavy" not in one}
        return [
            types.Tool(
                name=name,
                description=one["description"],
                inputSchema=schema_of(name),
                annotations=types.ToolAnnotations(
                    readOnlyHint=not one.keys() & {"is_heavy", "writes"}
                ),
            )
            for name, one in offered.items()
        ]

    async def call(name: str, given: dict[str, Any]) -> types.CallToolResult:
        try:
            words = words_of(name, given, allow_run=allow_run)
        except EngineError as error:
            return answer_of(problems_json(error.problems, source=""), is_error=True)
        async with one_at_a_time:
            found = await _called(words, None if "is_heavy" in TOOLS[name] else SECONDS)
        return answer_of(found, is_error=found["exit_code"] not in _ANSWERS)

    server.list_tools()(tools)  # type: ignore[no-untyped-call]
    # Ours says all problems with a code; the package's own check would say them without one.
    server.call_tool(validate_input=False)(call)
    return server


_ANSWERS: Final = (0, 1, 5)
"""Exit codes of verbs that found what they were asked for: a refusal is an answer."""


def answer_of(value: dict[str, Any], *, is_error: bool) -> types.CallToolResult:
    """Return a result as the protocol has it, with what nobody sees as escapes: an agent would read it."""
    text = revealed(json.dumps(value, ensure_ascii=False))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], isError=is_error
    )


async def _called(words: list[str], seconds: float | None) -> dict[str, Any]:
    cancelled = threading.Event()
    try:
        return await anyio.to_thread.run_sync(
            _call, words, seconds, cancelled, abandon_on_cancel=True
        )
    finally:
        cancelled.set()


def _call(words: list[str], seconds: float | None, cancelled: threading.Event) -> dict[str, Any]:
    command = start.module("engine.cli.main")(*words)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        with start.start(
            command, folder=Path.cwd(), variables=os.environ, out=out, errors=errors
        ) as child:
            waited = 0.0
            while not child.has_ended(within=0.5):
                waited += 0.5
                if cancelled.is_set() or (seconds is not None and waited > seconds):
                    child.stop()
                    break
            code = child.wait()
        found: dict[str, Any] = {"command": f"recipe {shlex.join(words)}", "exit_code": code}
        result = _text(out)
        found["result"], found["left_out"] = bounded(_parsed(result))
        if message := _text(errors).strip():
            found["messages"] = message[:MOST_LETTERS]
        return {name: value for name, value in found.items() if name != "left_out" or value}


def bounded(value: Any) -> tuple[Any, dict[str, int]]:
    """Return a result of a bearable size, and how many characters of it are left out, by the key at the top.

    Of an object the largest values go first, so that an outcome and a summary stay; of a text the end goes.
    """
    if not isinstance(value, dict):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        over = len(text) - MOST_LETTERS
        return (text[:MOST_LETTERS], {"end": over}) if over > 0 else (value, {})
    sizes = {name: len(json.dumps(one, ensure_ascii=False)) for name, one in value.items()}
    total, left_out = sum(sizes.values()), {}
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        if total <= MOST_LETTERS:
            break
        left_out[name] = size
        total -= size
    return {name: one for name, one in value.items() if name not in left_out}, left_out


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(MOST_READ).decode("utf-8", errors="replace")


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text
