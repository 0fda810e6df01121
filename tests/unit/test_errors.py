import pytest

from engine.errors import Problem, listed


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_names_are_listed_as_a_sentence_has_them(names: list[str], expected: str) -> None:
    assert listed(names) == expected


@pytest.mark.parametrize("hidden", ["\r", "\x1b", "\x85", "\u2028", "\u202e"])
def test_a_text_that_a_problem_quotes_shows_what_nobody_sees(hidden: str) -> None:
    text = f"a{hidden}b"
    problem = Problem(code="R104", message=text, path=text, hint=text)
    escaped = f"a\\x{ord(hidden):02x}b" if ord(hidden) < 0x100 else f"a\\u{ord(hidden):04x}b"

    assert [problem.message, problem.path, problem.hint] == [escaped] * 3


def test_a_message_of_several_lines_stays_one() -> None:
    problem = Problem(code="B402", message="exited with 1\nlast\tline", path="a\nb")

    assert (problem.message, problem.path) == ("exited with 1\nlast\tline", "a\\nb")
