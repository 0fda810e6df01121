import re

from engine.errors import Place, Problem, Severity
from engine.render.problems import problems_json, render_problems

RECIPE = "recipes/tickets.yaml"


def problem(code: str, **fields: object) -> Problem:
    return Problem(**{"code": code, "message": "unknown key", **fields})  # type: ignore[arg-type]


def placed(line: int, column: int, *snippet: str, width: int = 3) -> Place:
    numbered = tuple(enumerate(snippet, start=line - len(snippet) + 1))
    return Place(file=RECIPE, line=line, column=column, width=width, snippet=numbered)


def warning() -> Problem:
    return problem(
        "R301",
        path="data.sources[0]",
        message="reference can move: hub data set without revision",
        hint=f"run `recipe pin {RECIPE}` to pin it",
        place=placed(9, 12),
        severity=Severity.WARNING,
    )


def misspelt() -> Problem:
    place = placed(14, 3, "method:", "  rnk: 16")
    return problem("R104", path="method.rnk", hint="did you mean `rank`?", place=place)


def test_problems_read_like_the_design() -> None:
    shown = render_problems([warning(), misspelt()], colour=False)

    assert shown == (
        "recipes/tickets.yaml:14:3  R104  method.rnk: unknown key\n"
        "   13 | method:\n"
        "   14 |   rnk: 16\n"
        "          ^^^ did you mean `rank`?\n"
        "recipes/tickets.yaml:9:12  R301  data.sources[0]: reference can move: hub data set without"
        " revision\n"
        "          run `recipe pin recipes/tickets.yaml` to pin it\n"
        "\n"
        "2 problems (1 error, 1 warning) · recipe explain R104\n"
    )


def test_colour_changes_no_word() -> None:
    coloured = render_problems([warning(), misspelt()], colour=True)

    assert "\x1b[" in coloured
    without = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert without == render_problems([warning(), misspelt()], colour=False)


def test_no_problems_say_nothing() -> None:
    assert render_problems([], colour=False) == ""


def test_a_key_without_a_place_names_the_file_given() -> None:
    shown = render_problems([problem("R204", path="splits")], colour=False, source=RECIPE)

    assert shown.splitlines()[0] == "recipes/tickets.yaml  R204  splits: unknown key"


def test_a_problem_of_no_key_stands_alone() -> None:
    shown = render_problems([problem("E701")], colour=False, source=RECIPE)

    assert shown.splitlines()[0] == "E701  unknown key"


def test_twenty_are_shown_and_the_rest_counted() -> None:
    many = [problem("R104", place=placed(line, 1)) for line in range(1, 24)]

    lines = render_problems(many, colour=False).splitlines()

    assert [line for line in lines if "R104  unknown" in line][-1].startswith(f"{RECIPE}:20:1")
    assert lines[-3:] == ["… and 3 more", "", "23 errors · recipe explain R104"]


def test_a_problem_of_the_whole_file_ends_its_lines() -> None:
    more = problem("D324", message="and 7 more", place=Place(file=RECIPE))
    lines = [problem("D324", message=f"row {at}", place=placed(at, 1)) for at in range(1, 21)]

    shown = render_problems([more, *lines], colour=False)

    assert shown.index("row 20") < shown.index("and 7 more")
    assert "…" not in shown


def test_json_leaves_none_out() -> None:
    many = [problem("R104", place=placed(line, 1)) for line in range(1, 24)]

    shown = problems_json(many, source=RECIPE)

    assert (shown["errors"], shown["warnings"], len(shown["problems"])) == (23, 0, 23)
    assert shown["problems"][0]["place"] == {
        "file": RECIPE, "line": 1, "column": 1, "width": 3,
    }  # fmt: skip


def test_the_mark_stands_under_its_word_behind_wide_characters() -> None:
    place = placed(1, 7, "名前: 値 x: 1", width=1)

    lines = render_problems([problem("R104", place=place)], colour=False).splitlines()

    assert lines[2] == " " * (8 + 9) + "^"


def test_hostile_text_cannot_steer_the_terminal() -> None:
    hostile = problem("R104", message="\x1b[2Jgone\u202e", place=placed(1, 1, "a\x07\x9b31m"))

    shown = render_problems([hostile], colour=False)

    assert not set("\x1b\x07\x9b\u202e") & set(shown)
    assert "\\x1b[2Jgone\\u202e" in shown


def test_a_mark_far_to_the_right_is_brought_into_view() -> None:
    place = placed(1, 301, "x" * 300 + "wrong" + "y" * 300, width=5)

    lines = render_problems([problem("R104", place=place)], colour=False).splitlines()

    assert all(len(line) <= 100 for line in lines)
    assert lines[1].index("wrong") == lines[2].index("^^^^^")


def test_further_lines_of_a_message_are_indented() -> None:
    shown = render_problems([problem("B402", message="exited with 1\nlast line")], colour=False)

    assert shown.splitlines()[:2] == ["B402  exited with 1", "        last line"]
