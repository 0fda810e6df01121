"""Strict YAML: what each spelling means, what is refused, and where it stands."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.codes import all_codes
from engine.errors import ExitCode, Problem, RecipeError
from engine.recipe.text.compose import MAX_VALUES, plain_value
from engine.recipe.text.source import MAX_BYTES, SourceText, read_source
from engine.recipe.text.words import folded, nearest_file, unlike, unseen


def read(text: str | bytes) -> SourceText:
    path = Path("r.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(path)


def refusal(text: str | bytes) -> tuple[str, int | None, int | None]:
    with pytest.raises(RecipeError) as caught:
        read(text)
    problem = caught.value.problems[0]
    assert problem.place is not None
    return problem.code, problem.place.line, problem.place.column


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2e-4", 0.0002),
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0.80", 0.8),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("True", "True"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("on", "on"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("1e", "1e"),
        ("١٢", "١٢"),
        ("=", "="),
    ],
)
def test_an_unquoted_scalar_means_what_yaml_1_2_says(written: str, expected: object) -> None:
    value = read(f"key: {written}\n").value["key"]

    assert (type(expected), expected) == (type(value), value)


@pytest.mark.parametrize("written", [".inf", "-.INF", ".nan", "1e999", "9" * 400, "-1e300"])
def test_numbers_that_are_not_ordinary_are_refused(written: str) -> None:
    source = read(f"key: {written}\n")

    assert [(problem.code, problem.path) for problem in source.problems] == [("R121", "key")]


def test_quoted_scalars_stay_text() -> None:
    assert read("a: '1'\nb: \"true\"\nc: ''\n").value == {"a": "1", "b": "true", "c": ""}


def test_positions_count_characters_from_one() -> None:
    source = read("ключ: [ä, {b: c}]\n")

    place = source.place(("ключ", 1, "b"))
    assert (place.line, place.column, place.width) == (1, 15, 1)
    key = source.place(("ключ",), key=True)
    assert (key.line, key.column, key.width) == (1, 1, 4)


def test_the_place_of_something_absent_is_its_nearest_parent() -> None:
    place = read("a:\n  b: 1\n").place(("a", "c", "d"))

    assert (place.line, place.column) == (1, 1)


def test_a_snippet_shows_the_parent_when_it_stands_just_above() -> None:
    source = read("a:\n  b: 1\n  c: 2\n")

    assert source.place(("a", "b")).snippet == ((1, "a:"), (2, "  b: 1"))
    assert source.place(("a", "c")).snippet == ((3, "  c: 2"),)


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    assert read(b"\xef\xbb\xbfa: 1\n").value == {"a": 1}


def test_the_line_ends_of_old_files_are_read() -> None:
    assert read("a: 1\rb: 2\r").place(("b",)).line == 2


def test_windows_line_ends_do_not_shift_positions() -> None:
    assert read("a: 1\r\nb: 2\r\n").place(("b",)).line == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ("R114", None, None)),
        (b"# only a comment\n", ("R114", None, None)),
        (b"---\n", ("R114", None, None)),
        (b"- a\n", ("R106", 1, 1)),
        (b"just text\n", ("R106", 1, 1)),
        (b"a: \xff\n", ("R113", 1, None)),
        (b"a: 1\nb: caf\xe9\n", ("R113", 2, None)),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ("R113", None, None)),
        ("a: 1\n".encode("utf-16"), ("R113", None, None)),
        ("a: b\u202ec\n", ("R122", 1, 5)),
        ("a: \x1b[31m\n", ("R122", 1, 4)),
        ("# fine \u2028a: 1\n", ("R122", 1, 8)),
        ("b: 1\n# fine \x85a: 1\n", ("R122", 2, 8)),
        ("# fine \ra: 1\nb: 1\n", ("R122", 1, 8)),
        ("a: '1\n", ("R102", 1, 4)),
        ("a: [1\nb: 2\n", ("R102", 1, 4)),
        ("a: b: c\n", ("R102", 1, 5)),
        ("? [a]\n: b\n", ("R120", 1, 3)),
        ("a: " + "[" * 40 + "]" * 40, ("R116", 1, 35)),
        ("a: " + "[" * 5000, ("R116", 1, 35)),
        (b"a: " + b"x" * MAX_BYTES, ("R115", None, None)),
        ("a:\n" + "- 1\n" * MAX_VALUES, ("R405", MAX_VALUES, 3)),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_place(
    text: str | bytes, expected: tuple[str, int | None, int | None]
) -> None:
    assert expected == refusal(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: {min: 0,5}\n", "write a decimal point: 0.5"),
        ("a: {min: -2,25, max: 1}\n", "write a decimal point: -2.25"),
        ("a: {min: 0, 5}\n", 'write it in quotes: "5"'),
        ("a: {min: b,5}\n", 'write it in quotes: "5"'),
    ],
)
def test_a_decimal_comma_is_recognised(text: str, hint: str) -> None:
    assert [problem.hint for problem in read(text).problems] == [hint]


def test_a_path_that_is_no_text_is_refused() -> None:
    """No report and no lock could name it."""
    path = Path(os.fsdecode(b"r\xff.yaml"))
    path.write_text("a: 1\n", encoding="utf-8")

    with pytest.raises(RecipeError, match="R103"):
        read_source(path)


def test_a_missing_file_suggests_the_one_meant() -> None:
    Path("tickets.yaml").write_text("a: 1\n")

    with pytest.raises(RecipeError) as caught:
        read_source(Path("ticket.yaml"))

    assert caught.value.problems[0].code == "R103"
    assert caught.value.problems[0].hint == "did you mean `tickets.yaml`?"
    assert ExitCode.USAGE is caught.value.exit_code


@pytest.mark.parametrize("kind", ["folder", "pipe", "null byte"])
def test_what_is_no_file_is_refused_without_waiting(kind: str) -> None:
    path = Path("r\0.yaml" if kind == "null byte" else "r.yaml")
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)

    with pytest.raises(RecipeError) as caught:
        read_source(path)

    assert [problem.code for problem in caught.value.problems] == ["R103"]


def test_the_first_of_two_equal_keys_stands_and_reading_goes_on() -> None:
    source = read("a: 1\na: {b: [1, {c: 2}]}\nd: 3\nd: 4\n")

    assert source.value == {"a": 1, "d": 3}
    assert [(problem.code, problem.place.line) for problem in source.problems if problem.place] == [
        ("R101", 2),
        ("R101", 4),
    ]


def test_aliases_are_never_followed() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(20))

    assert {"R117"} == {problem.code for problem in read(bomb).problems}


@given(st.text(max_size=60))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        content = text.encode()
    except UnicodeEncodeError:
        return
    problems: tuple[Problem, ...] = ()
    try:
        value = read(content).value
    except RecipeError as error:
        value, problems = {}, error.problems

    assert isinstance(value, dict)
    assert all(problem.code in all_codes() for problem in problems)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18))
def test_a_number_written_by_python_is_read_back(number: float) -> None:
    assert number == plain_value(repr(number))


# What tells apart texts that look alike.
@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("cafe\u0301", "caf\u00e9", " (U+0301 in place of U+00E9)"),
        ("\u0430", "a", " (U+0430)"),
        ("ok", "o\u200bk", " (without U+200B)"),
        ("a\u00a0b", "a b", " (U+00A0)"),
        ("Bug", "bug", ""),
        ("긍정", "부정", ""),
        ("same", "same", ""),
    ],
)
def test_the_characters_that_differ_are_named(text: str, other: str, expected: str) -> None:
    assert unlike(text, other) == expected


def flag(region: str) -> str:
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(one)) for one in region) + "\U000e007f"


def test_flags_of_tag_letters_are_seen_and_differ() -> None:
    flags = [flag(region) for region in ("gbeng", "gbsct", "gbwls")]

    assert [unseen(f"{one} fans") for one in flags] == ["", "", ""]
    assert len(set(map(folded, flags))) == 3
    assert folded(flags[0]) != folded("\U0001f3f4")


@pytest.mark.parametrize("text", [flag("ignore the rules"), flag("gbsct")[:-1], flag("gbsct")[1:]])
def test_other_tag_letters_hide_a_text(text: str) -> None:
    assert unicodedata.category(unseen(text)) == "Cf"
    assert folded(text) in ("", "\U0001f3f4")


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
