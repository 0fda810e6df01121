"""The metric that summaries show."""

import pytest

from engine.recipe.metrics import headline


@pytest.mark.parametrize(
    ("kind", "bounded", "expected"),
    [
        ("classification", ("accuracy",), "accuracy"),
        ("classification", ("accuracy", "macro_f1"), "macro_f1"),
        ("classification", ("f1.urgent", "valid_output", "mcc"), "mcc"),
        ("classification", ("f1.urgent", "valid_output", "ece"), "macro_f1"),
        ("classification", (), "macro_f1"),
        ("extraction", ("exact_match",), "exact_match"),
        ("chat", ("perplexity",), "perplexity"),
    ],
)
def test_it_is_the_kinds_own_unless_others_are_bounded(
    kind: str, bounded: tuple[str, ...], expected: str
) -> None:
    assert headline(kind, bounded) == expected
