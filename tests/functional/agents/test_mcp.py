"""`recipe mcp` over stdio, asked by the client of the protocol's own package."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.project import Project

pytest.importorskip("mcp", reason="the extra `mcp`")
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

pytestmark = pytest.mark.thorough

Call = tuple[str, Mapping[str, Any]]


def asked(folder: Path, *calls: Call, words: tuple[str, ...] = ()) -> tuple[set[str], list[Any]]:
    """The names of the tools that a server offers, and its answer to each call with whether it is an error."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "engine", "mcp", *words],
        cwd=folder,
        env=dict(os.environ),
    )

    async def talk() -> tuple[set[str], list[Any]]:
        async with (
            stdio_client(server) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            found: list[Any] = [await session.call_tool(name, dict(given)) for name, given in calls]
            return names, [(json.loads(one.content[0].text), one.isError) for one in found]

    return anyio.run(talk)


def test_an_agent_reads_plans_and_is_refused(finished: Project) -> None:
    (finished.folder / "odd.yaml").write_text("recipe: v1\nnme: x\n", encoding="utf-8")

    names, answers = asked(
        finished.folder,
        ("validate", {"recipe": "odd.yaml"}),
        ("plan", {"recipe": "recipe.yaml"}),
        ("report", {"run": "tiny", "format": "json"}),
        ("report", {}),
        ("explain", {"code": "skill"}),
        ("explain", {"code": "R999"}),
        ("validate", {"recipe": "/etc/passwd"}),
        ("run", {"recipe": "recipe.yaml"}),
    )

    assert names == {"validate", "plan", "data", "explain", "schema", "report", "diff", "init"}
    wrong, planned, report, shown, skill, absent, outside, trained = answers
    assert (wrong[1], wrong[0]["exit_code"]) == (True, 2)
    assert "R104" in {one["code"] for one in wrong[0]["result"]["problems"]}
    assert (planned[1], planned[0]["exit_code"]) == (False, 0)
    assert {one["state"] for one in planned[0]["result"]["stages"]} >= {"reuse"}
    assert report[0]["result"]["outcome"] == "accepted"
    assert len(json.dumps(report[0]["result"])) < 70_000
    assert "tiny" in shown[0]["result"]
    assert skill[0]["result"].startswith("---\nname: slm-recipe\n")
    assert absent[1]
    assert "R003" in absent[0]["messages"]
    assert [outside[0]["problems"][0]["code"], outside[1]] == ["R448", True]
    assert [trained[0]["problems"][0]["code"], trained[1]] == ["R448", True]


def test_with_the_users_word_it_runs(finished: Project) -> None:
    names, [(answer, is_error)] = asked(
        finished.folder, ("run", {"recipe": "recipe.yaml"}), words=("--allow-run",)
    )

    assert "run" in names
    assert (is_error, answer["exit_code"]) == (False, 0)
    assert answer["result"]["outcome"] == "accepted"
