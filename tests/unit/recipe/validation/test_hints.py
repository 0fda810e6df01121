"""Hints that say what to write in the place of a usual slip."""

from pathlib import Path

import pytest

from engine.errors import Problem
from engine.recipe import check_recipe

RECIPE = """recipe: v1
name: tickets
task:
  kind: classification
  instruction: "Which is it: {labels}?"
  labels: [billing, bug]
base_model:
  hub: HuggingFaceTB/SmolLM2-360M-Instruct
  revision: 0123456789abcdef0123456789abcdef01234567
data:
  sources:
    - package: tickets==1.0
      file: rows.csv
  label: {column: topic}
splits: {by: stratified, train: all, validation: 30, holdout: 700}
method: {kind: lora}
acceptance:
  metrics: {macro_f1: {min: 0.80}}
"""


def found(old: str, new: str) -> list[Problem]:
    assert old in RECIPE
    problems = check_recipe(Path("r.yaml"), read=lambda _: RECIPE.replace(old, new).encode())[1]
    return [problem for problem in problems if problem.code not in ("R304", "R301")]


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("validation: 30", "validation: 10%", "for 10 percent write `0.1`"),
        ("min: 0.80", "min: 80%", "for 80 percent write `0.8`"),
        ("  labels:", "  input: subject\n  labels:", 'name one in braces: "{subject}"'),
        ("  labels:", "  input: A ticket.\n  labels:", 'name one in braces: "{text}"'),
        (
            "  labels:",
            '  input: "{subject"\n  labels:',
            "write `{subject}` for the column, or `{{` for a literal brace",
        ),
        (
            "  labels:",
            "  input: Of a.b}\n  labels:",
            "write `{a.b}` for the column, or `}}` for a literal brace",
        ),
        ("  labels:", '  input: "{text} {"\n  labels:', "write `{{` for a literal brace"),
        ("min: 0.80", "min: 80", "for 80 percent write `0.8`"),
        ("[billing, bug]", "billing, bug", "write it in brackets: [billing, bug]"),
        ("task:", "task", "write `KEY: VALUE`"),
        ("kind: lora", 'kind: lora, learning_rate: "5e-4"', "write `5e-4`"),
        ("kind: lora", 'kind: lora, epochs: "3,5"', "write `3.5`"),
        ("kind: lora", 'kind: lora, epochs: "007"', "write `7`"),
        ("kind: lora", 'kind: lora, batch_size: "1_024"', "write `1024`"),
        ("kind: lora", 'kind: lora, batch_size: "1,024"', "write `1024`"),
        ("kind: lora", 'kind: lora, batch_size: "16.0"', "write `16`"),
        ("min: 0.80", 'min: "0,80"', "write `0.80`"),
        ("min: 0.80", 'min: "0,800"', "write `0.800`"),
        ("min: 0.80", 'min: "7,5%"', "for 7.5 percent write `0.075`"),
        ("method: {kind: lora}", "method: lora", "write `{kind: lora}`"),
        ("{min: 0.80}", "0.80", "write `{min: 0.80}` or `{max: 0.80}`"),
        ("{min: 0.80}", '">= 0.80"', "such as `{min: 0.8}`"),
        ("{column: topic}", "topic", "write `{column: topic}`"),
        ("{column: topic}", '"a: b"', 'write `{column: "a: b"}`'),
        ("method:", "export: {formats: gguf}\nmethod:", "write `[gguf]`"),
        ("method:", "sweep: {grid: {rank: 8}}\nmethod:", "write `[8]`"),
        (
            "\n    - package: tickets==1.0\n      file: rows.csv",
            " rows.csv",
            "write `[{path: rows.csv}]`",
        ),
        (
            "- package: tickets==1.0\n      file: rows.csv",
            "- data/rows.csv",
            "write `{hub: data/rows.csv}` or `{path: data/rows.csv}`",
        ),
        (
            "- package: tickets==1.0\n      file",
            "  package: tickets==1.0\n      file",
            "put it into a list: begin it with `- `, on a line of its own",
        ),
        ("kind: lora", "kind: lora, bf16: true", "did you mean `backend.precision`?"),
        ("kind: lora", "kind: lora, optim: sgd", "did you mean `backend.overrides`?"),
        ("kind: lora", "kind: lora, load_in_4bit: true", "did you mean `kind: qlora`?"),
        ("kind: lora", "kind: lora, val_set_size: 0.1", "did you mean `splits.validation`?"),
        ("method:", "load_in_4bit: true\nmethod:", "did you mean `method.kind: qlora`?"),
        (
            "kind: lora",
            "kind: lora, gradient_accumulation_steps: 4",
            "did you mean `batch_size`?",
        ),
        (
            "method:",
            "baselines: tfidf_svm\nmethod:",
            "such as `[majority, tfidf_svm]`",
        ),
    ],
)
def test_a_usual_slip_is_answered_with_what_to_write(old: str, new: str, hint: str) -> None:
    assert hint in [problem.hint for problem in found(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: lora", 'kind: lora, batch_size: "16,5"'),
        ("kind: lora", 'kind: lora, epochs: "1.000,5"'),
        ("kind: lora", 'kind: lora, epochs: "a few"'),
        ("min: 0.80", 'min: "-5%"'),
    ],
)
def test_a_number_that_may_be_another_one_is_not_proposed(old: str, new: str) -> None:
    assert [problem.hint for problem in found(old, new)] == [None]


def test_a_workbook_is_no_file_that_a_format_would_open() -> None:
    hints = {
        name: problem.hint
        for name in ("rows.xlsx", "rows.dat")
        for problem in found("file: rows.csv", f"file: {name}")
    }

    assert "save the sheet as CSV" in (hints["rows.xlsx"] or "")
    assert "add `format:`" in (hints["rows.dat"] or "")


@pytest.mark.parametrize(("key", "meant"), [("lr", "learning_rate"), ("lora_r", "rank")])
def test_a_sweep_knows_the_names_of_other_tools_too(key: str, meant: str) -> None:
    (problem,) = found("acceptance:", f"sweep: {{grid: {{{key}: [8, 16]}}}}\nacceptance:")

    assert (problem.code, problem.hint) == ("R104", f"did you mean `{meant}`?")


def test_a_key_without_a_colon_is_shown_where_it_stands() -> None:
    (problem,) = found("task:", "task")

    assert problem.place is not None
    assert (problem.message, problem.place.line) == ("a key without a `:` behind it", 3)


def test_of_a_kind_that_is_none_nothing_else_is_refused() -> None:
    assert [problem.code for problem in found("kind: classification", "kind: classify")] == ["R107"]


def test_one_other_kind_has_a_metric() -> None:
    (problem,) = found("macro_f1", "rouge_l")

    assert problem.message == "classification has no metric `rouge_l`; generation has"


@pytest.mark.parametrize(
    ("old", "new", "misspelt"),
    [
        ("task:", "tasks:", "tasks"),
        ("  label: {", "  lable: {", "data.lable"),
        ("column: topic", "colum: topic", "data.label.colum"),
        ("instruction:", "instructions:", "task.instructions"),
    ],
)
def test_a_misspelt_key_is_one_mistake(old: str, new: str, misspelt: str) -> None:
    assert [(problem.code, problem.path) for problem in found(old, new)] == [("R104", misspelt)]


def test_a_key_that_nobody_asks_for_is_missing_beside_a_strange_one() -> None:
    problems = found("  label: {column: topic}", "  colour: {column: topic}")

    assert [(problem.code, problem.path) for problem in problems] == [
        ("R240", "data.label"),
        ("R104", "data.colour"),
    ]


@pytest.mark.parametrize(
    ("path", "hints"),
    [
        ("https://example.org/rows.csv", ["download it and name the file; what is on the Hug"]),
        ("$HOME/rows.csv", ["`$NAME`, `%NAME%` and `~` are not filled in: write it relative"]),
        ("${HOME}/rows.csv", ["`$NAME`, `%NAME%` and `~` are not filled in: write it relative"]),
        ("%USERPROFILE%/rows.csv", ["`$NAME`, `%NAME%` and `~` are not filled in"]),
        ("~/rows.csv", ["`$NAME`, `%NAME%` and `~` are not", "write it relative to the recipe's"]),
        ("~me/rows.csv", ["`$NAME`, `%NAME%` and `~` are not", "write it relative to the rec"]),
        ("~rows.csv", ["did you mean `rows.csv`?"]),
    ],
)
def test_what_is_no_path_has_a_hint_that_says_so(
    path: str, hints: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("text,topic\na,bug\n", encoding="utf-8")
    source = "package: tickets==1.0\n      file: rows.csv"
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace(source, f'path: "{path}"'), encoding="utf-8")
    problems = check_recipe(file)[1]

    assert [problem.code for problem in problems] == ["R302", "R303"][: len(hints)]
    for problem, hint in zip(problems, hints, strict=True):
        assert str(problem.hint).startswith(hint)


@pytest.mark.parametrize("written", ["\\r", "\\n", "\\t", "\\u2028"])
def test_a_label_of_several_lines_is_quoted_on_one(written: str) -> None:
    problems = found("[billing, bug]", f'[billing, "bug{written}x"]')

    assert "R211" in [problem.code for problem in problems]
    assert not [one for one in problems if not f"{one.message}{one.hint}".isprintable()]
