"""The server of `recipe mcp`: calls become processes, and what they print becomes a bounded answer."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Final

import anyio
import anyio.to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from engine.cli.mcp_tools import TOOLS, words_of
from engine.errors import EngineError
from engine.process import start
from engine.process.version import __version__
from engine.render.problems import problems_json

MOST_LETTERS: Final = 60_000
"""Of what a verb writes to each of its streams; an agent reads them whole."""
SECONDS: Final = 600.0
"""For a call that does not train."""
INSTRUCTIONS: Final = (
    "From a data file to a small language model that is proved on held-out rows, or to a justified refusal. Call"
    " `explain` with code `skill` first: it says the way, what each exit code means, and what must not be done."
)


def serve(*, allow_run: bool) -> None:
    """Serve on standard input and output until the input ends."""
    anyio.run(_serve, server_of(allow_run=allow_run))


async def _serve(server: Server[Any, Any]) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def server_of(*, allow_run: bool) -> Server[Any, Any]:
    """Return a server with the tools that are offered."""
    server: Server[Any, Any] = Server("slm-recipe", __version__, INSTRUCTIONS)
    # Two at once would share the processors, and the store's locks.
    one_at_a_time = anyio.Lock()

    async def tools() -> list[types.Tool]:
        offered = {name: one for name, one in TOOLS.items() if allow_run or not one.is_heavy}
        return [
            types.Tool(
                name=name,
                description=one.description,
                inputSchema=one.schema(),
                annotations=types.ToolAnnotations(readOnlyHint=not one.is_heavy),
            )
            for name, one in offered.items()
        ]

    async def call(name: str, given: dict[str, Any]) -> types.CallToolResult:
        try:
            words = words_of(name, given, allow_run=allow_run)
        except EngineError as error:
            return _answer(problems_json(error.problems, source=""), is_error=True)
        async with one_at_a_time:
            found = await _called(words, None if TOOLS[name].is_heavy else SECONDS)
        return _answer(found, is_error=found["exit_code"] not in _ANSWERS)

    server.list_tools()(tools)  # type: ignore[no-untyped-call]
    # Ours says all problems with a code; the package's own check would say them without one.
    server.call_tool(validate_input=False)(call)
    return server


_ANSWERS: Final = (0, 1, 5)
"""Exit codes of verbs that found what they were asked for: a refusal is an answer."""


def _answer(value: dict[str, Any], *, is_error: bool) -> types.CallToolResult:
    text = json.dumps(value, ensure_ascii=False, indent=1)
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
    """Run a verb in this folder, with our variables, and return how it ended and what it wrote."""
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
        found: dict[str, Any] = {"command": f"recipe {' '.join(words)}", "exit_code": code}
        result, rest = _bounded(out)
        found["result"] = _parsed(result) if not rest else result
        if rest:
            found["cut"] = f"{rest} bytes are left out; ask for less, or read the file of the run"
        if message := _bounded(errors)[0].strip():
            found["messages"] = message
        return found


def _bounded(stream: IO[bytes]) -> tuple[str, int]:
    """Return the beginning of what was written, and how many bytes were left out."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    text = stream.read(MOST_LETTERS).decode("utf-8", errors="replace")
    return text, max(0, size - MOST_LETTERS)


def _parsed(text: str) -> Any:
    from engine.files.reading import parse_json

    try:
        return parse_json(text)
    except ValueError:
        return text
