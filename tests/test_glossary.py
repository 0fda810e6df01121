"""The glossary: every term is used, and what it replaces is not."""

import ast
import re

import pytest

from support.paths import ROOT

GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GLOSSARY.read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| term", "|---"))
]
TERMS = [row[0] for row in ROWS]
REPLACED = [word for row in ROWS if row[2] for word in row[2].split(", ")]


def pages() -> str:
    """Everything that users read as prose, but for the glossary itself and the history of decisions."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "schemas").glob("*.json")]
    files += [
        page
        for page in (ROOT / "docs").rglob("*.md")
        if page != GLOSSARY and "decisions" not in page.parts
    ]
    return "\n".join(page.read_text("utf-8") for page in files)


def texts() -> str:
    """The docstrings and messages of the code, and the pages of codes; names that Python uses are no text."""
    found = [page.read_text("utf-8") for page in (ROOT / "engine").rglob("*.md")]
    for path in (ROOT / "engine").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_bytes()))
        found += [
            one.value
            for one in nodes
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
    return "\n".join(found)


PAGES = pages().lower()
TEXTS = texts().lower()
CODE = "\n".join(path.read_text("utf-8") for path in (ROOT / "engine").rglob("*.py")).lower()


def test_terms_stand_in_order_and_once() -> None:
    assert sorted(set(TERMS), key=str.casefold) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_used_in_the_pages_or_in_the_code(term: str) -> None:
    assert term.lower() in PAGES or term.lower() in CODE


@pytest.mark.parametrize("word", REPLACED)
def test_a_replaced_word_is_not_used_in_the_pages(word: str) -> None:
    assert _beside(word, PAGES) == ""


@pytest.mark.parametrize("word", REPLACED)
def test_a_replaced_word_is_not_used_in_docstrings_and_messages(word: str) -> None:
    assert _beside(word, TEXTS) == ""


def _beside(word: str, text: str) -> str:
    """The first place of a word, with what stands around it; empty where it is not used."""
    found = re.search(rf"\b{re.escape(word)}\b", text)
    return text[max(0, found.start() - 80) : found.end() + 80] if found else ""
