"""Rows of plain words are spared the checks of single rows, which would find nothing; and the language's two ways."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from engine.data.checks.rows import languages
from engine.data.checks.rows.chosen import row_checks
from engine.data.checks.rows.languages import language
from engine.data.checks.rows.texts import is_plain
from engine.data.kinds.base import Filled
from support.data_stage import recipe

PIECES = (
    *(
        "AKIA",
        "ASIA",
        "AIza",
        "SG.",
        "eyJ",
        ".eyJ",
        "PRIVATE KEY",
        "BEGIN",
        "xoxb",
        "glpat",
        "hf_",
        "sk-",
    ),
    *(
        "[INST]",
        "<s>",
        "<|im_end|>",
        "@",
        "a@b.org",
        "\u200b",
        "Ã©",
        "\x07",
        "\t",
        "+49 30 1234 567",
        "8.8.8.8",
    ),
    *("IA", "the", "and", "you", ". ", "?", "!", "'", "\n", " "),
)

WORDS = """
der die das und ist nicht eine wir haben le la les et est pas une vous avoir el los una por para и в не на я что он
это но 我 你 的 是 在 não uma para het een van ik niet det och att är jag kitap ev ama the you ok \ud83d
"""


def made_text(draw: random.Random) -> str:
    letters = string.ascii_letters + " .,"
    return "".join(
        draw.choice(PIECES)
        if draw.random() < 0.3
        else "".join(draw.choices(letters, k=draw.randrange(40)))
        for _ in range(draw.randrange(1, 6))
    )


def test_no_check_that_is_spared_plain_rows_finds_anything_in_one(tmp_path: Path) -> None:
    draw = random.Random(8)
    (tmp_path / "rows.csv").touch()
    asked = recipe(tmp_path)
    spared = [check for check in row_checks(asked.task, asked.data.checks) if not check.sees_plain]
    rows = [Filled(input=made_text(draw), target=made_text(draw)) for _ in range(6_000)]
    plain = [row for row in rows if is_plain(row)]

    assert len(spared) == 4
    assert len(plain) > 300
    assert [check.look(row) for row in plain for check in spared if check.look(row)] == []


@pytest.mark.parametrize(
    "text",
    [
        f"AKIA{'A' * 16}",
        f"AIza{'b' * 35}",
        f"SG.{'a' * 16}.{'b' * 16}",
        f"eyJ{'a' * 8}.eyJ{'a' * 8}.{'a' * 8}",
        "one 1",
        "a@b",
        "é",
        "[INST]",
        "\x07",
    ],
)
def test_what_a_check_could_find_is_not_plain(text: str) -> None:
    assert not is_plain(Filled(input=text, target="", labels=("a",)))
    assert not is_plain(Filled(input="a", target=text))
    assert is_plain(Filled(input="a", target=text, labels=("a",)))
    assert not is_plain(Filled(input="a", target="", payload={"answer": "a"}))


@pytest.mark.thorough
def test_the_compiled_detector_decides_as_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(6)
    words = WORDS.split()
    texts = [" ".join(draw.choices(words, k=draw.randrange(1, 30))) for _ in range(1500)]
    texts += [text.upper() for text in texts[:100]] + ["", "1234567890" * 3, "a" * 30, "ß" * 25]

    monkeypatch.setattr(languages, "MANY", 10**9)
    slow = [language(text) for text in texts]
    monkeypatch.setattr(languages, "MANY", 0)

    assert slow == [language(text) for text in texts]
    assert len(set(slow)) > 10
