"""Which bytes are recognised as cp1252, and which are not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.drafting.source_reading import drafted_encoding, is_western
from support.languages import OTHERS, WESTERN


@pytest.mark.parametrize("text", WESTERN)
def test_text_of_western_europe_is_recognised(text: str) -> None:
    assert is_western(text.encode("cp1252"))


@pytest.mark.parametrize(("text", "encodings"), OTHERS)
def test_other_encodings_are_not_taken_for_it(text: str, encodings: Sequence[str]) -> None:
    assert not any(is_western(text.encode(one, "ignore")) for one in encodings)


def test_utf_8_with_damage_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text\ngrößer für Übung\n".encode() + b"\xff\n")

    assert drafted_encoding(path, "utf-8") == "utf-8"


def test_what_was_asked_for_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text\ngrößer\n".encode("cp1252"))

    assert drafted_encoding(path, "utf-8") == "cp1252"
    assert drafted_encoding(path, "latin-2") == "latin-2"
