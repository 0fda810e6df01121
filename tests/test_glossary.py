"""The glossary: every term is used, and what it replaces is not."""

from __future__ import annotations

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


PAGES = pages().lower()
CODE = "\n".join(path.read_text("utf-8") for path in (ROOT / "engine").rglob("*.py")).lower()


def test_terms_stand_in_order_and_once() -> None:
    assert sorted(set(TERMS), key=str.casefold) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_used_in_the_pages_or_in_the_code(term: str) -> None:
    assert term.lower() in PAGES or term.lower() in CODE


@pytest.mark.parametrize("word", REPLACED)
def test_a_replaced_word_is_not_used_in_the_pages(word: str) -> None:
    found = re.search(rf"\b{re.escape(word)}\b", PAGES)

    assert found is None, PAGES[found.start() - 80 : found.end() + 80]
