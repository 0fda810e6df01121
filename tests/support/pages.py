"""Blocks of code of the pages, and what the pages show below a command."""

import re
import textwrap

from support.paths import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
TIME = re.compile(r"~\d+ (?:s|min)")
ESTIMATED = re.compile(r"^  (?:trainable parameters|memory)  .*\n", flags=re.MULTILINE)
"""Lines that take the base model, which is not on every machine."""


def code(page: str, language: str) -> list[str]:
    found = BLOCK.findall((DOCS / f"{page}.md").read_text("utf-8"))
    return [textwrap.dedent(text) for _, kind, text in found if kind == language]


def outputs(page: str) -> list[tuple[str, str]]:
    """Each command below which a page shows an output, with that output."""
    found = [
        match
        for block in code(page, "console")
        for match in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)
    ]
    return [(words, output) for words, output in found if output]


def shown(page: str, words: str, which: int = 1) -> str:
    """What a page shows below a command, the first or a later time that it stands there."""
    return [output for command, output in outputs(page) if command == words][which - 1]


def pattern(text: str) -> str:
    """A regular expression of a shown output: `…` alone is any lines, in a line any text; so is a time."""
    lines = [
        r"(?:.*\n)*?"
        if line.strip() == "…"
        else ".*".join(map(re.escape, TIME.sub("…", line).split("…"))) + r"\n"
        for line in ESTIMATED.sub("", text).splitlines()
    ]
    return "".join(lines)
