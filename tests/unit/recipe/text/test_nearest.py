"""The known name that a misspelt one means, and none where nothing is like it."""

from __future__ import annotations

import pytest

from engine.recipe.text.words import nearest_file


@pytest.mark.parametrize(
    ("name", "there", "meant"),
    [
        ("ticket.csv", ["tickets.csv", "orders.csv"], "tickets.csv"),
        ("tickets.csv", ["tickets.jsonl"], "tickets.jsonl"),
        ("ticket.csv", ["tickets.csv", "tickets.jsonl"], "tickets.csv"),
        ("ticket.csv", ["tickets.jsonl", "tickets.csv"], "tickets.csv"),
        ("tickets.csv.gz", ["tickets.csv"], "tickets.csv"),
        ("Model-Q4_K_M.gguf", ["model-Q4_K_M.gguf"], "model-Q4_K_M.gguf"),
        ("model", ["models"], "models"),
        ("train.csv", ["tickets.csv"], None),
        ("nosuch.yaml", ["m_sha.yaml"], None),
        ("reviews.jsonl.gz", ["tickets.jsonl.gz"], None),
        (".env", [".env.example", "tickets.csv"], ".env.example"),
        ("tickets.csv", [], None),
    ],
)
def test_a_file_is_meant_by_its_name_and_not_by_its_ending(
    name: str, there: list[str], meant: str | None
) -> None:
    assert nearest_file(name, there) == meant
