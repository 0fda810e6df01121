"""Numbers of options are bounded, and refused in words of the command line."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from engine.cli.main import main
from engine.cli.verbs import probability, seconds, whole


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [(whole(0), "0", 0), (whole(1, 64), "64", 64), (seconds, "0.5", 0.5), (probability, "1", 1.0)],
)
def test_a_number_within_its_bounds_is_read(
    read: Callable[[str], float], text: str, value: float
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((whole(1, 64), text) for text in ("0", "65", "-1", "1.5", "", "x", "²", "9" * 5000)),
        *((seconds, text) for text in ("0", "-1", "nan", "inf", "", "x")),
        *((probability, text) for text in ("-0.1", "1.1", "nan", "", "x")),
    ],
)
def test_any_other_is_refused_with_what_is_wanted(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="not `"):
        read(text)


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "m.gguf", "--seconds", "nan"),
        ("serve", "m.gguf", "--most-waiting", "-1"),
        ("serve", "m.gguf", "--port", "70000"),
        ("run", "r.yaml", "--parallel", "0"),
    ],
)
def test_a_verb_refuses_it_as_its_command_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words])

    assert ended.value.code == 2
    assert words[2] in capsys.readouterr().err
