"""Serve the verbs to a coding agent over stdio, by the Model Context Protocol.

An agent's settings name the command `recipe mcp` and the folder that it works in. It may check, plan, look at the data,
draft, explain, compare and read reports there; `run` and `predict` are offered with `--allow-run` only.
"""

import argparse

from engine.errors import needs_extra


def mcp(options: argparse.Namespace) -> None:
    with needs_extra("`recipe mcp` needs the package `mcp`, which is not installed", "mcp"):
        from engine.cli.mcp_server import serve
    serve(allow_run=options.allow_run)
