"""A review on the terminal and as Markdown: golden texts, and the same words with and without colour."""

import re

import pytest

from engine.errors import Place, Problem
from engine.evidence.review import (
    Area,
    Change,
    Checked,
    Comment,
    Effect,
    Finding,
    Gate,
    Review,
)
from engine.render.review.comment import MARKER, MOST, comment_markdown
from engine.render.review.rows import review_markdown, review_text
from engine.values import replace
from support.golden import Golden

OVERLAP = "214 of 300 new holdout rows were training rows before"


def found(
    code: str, path: str, before: str = "", after: str = "", *, is_weaker: bool = True, **parts: str
) -> Finding:
    effect = Effect.WEAKER if is_weaker else Effect.STRONGER
    return Finding(code=code, path=path, effect=effect, before=before, after=after, **parts)


REVIEW = Review(
    name="tickets",
    old="tickets.yaml at main",
    new="tickets.yaml",
    findings=(
        found("W101", "acceptance.metrics.macro_f1.min", "0.80", "0.75"),
        found("W201", "splits.seed", "7", "8", says=f"the holdout is redrawn: {OVERLAP}"),
        found("W203", "splits.seed", says=OVERLAP),
        found("W502", "base_model.revision", "012…", "112…", waiver="It was corrected."),
        found("W106", "acceptance.over_baselines.macro_f1.min_gain", "0.02", "0.05", is_weaker=False),
    ),
    changes=(
        Change(path="method.rank", area=Area.MODEL, before="8", after="16"),
        Change(path="task.instruction", area=Area.TASK, says="reworded"),
    ),
    reruns=("data", "train", "report"),
    notes=("the lock records another draw",),
)  # fmt: skip
EMPTY = replace(REVIEW, findings=(), changes=(), reruns=(), notes=())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("review.txt", review_text(REVIEW, colour=False)),
        ("review.md", review_markdown(REVIEW)),
        ("review_same.txt", review_text(EMPTY, colour=False)),
    ],
)
def test_a_review_reads_like_its_golden_file(name: str, text: str, golden: Golden) -> None:
    golden(f"render/{name}", text)


def test_colour_adds_no_words() -> None:
    plain = review_text(REVIEW, colour=False)
    painted = re.sub(r"\x1b\[[\d;]*m", "", review_text(REVIEW, colour=True))

    assert [line.rstrip() for line in painted.splitlines()] == plain.splitlines()


@pytest.mark.parametrize(
    ("findings", "gate"),
    [
        ((), Gate.STAYS),
        (REVIEW.findings, Gate.WEAKER),
        (REVIEW.findings[3:], Gate.WAIVED),
        (REVIEW.findings[4:], Gate.STRONGER),
    ],
)
def test_one_weakening_that_nobody_waived_decides(
    findings: tuple[Finding, ...], gate: Gate
) -> None:
    assert replace(REVIEW, findings=findings).gate is gate


def checked(path: str, review: Review | None = REVIEW, **parts: object) -> Checked:
    fields = {
        "status": "changed",
        "was": "",
        "why": (),
        "problems": (),
        "plan": ("A plan.",),
        "notes": (),
    }
    return Checked(path=path, review=review, **{**fields, **parts})  # type: ignore[arg-type]


def test_a_comment_stays_below_what_hosts_take_and_counts_the_rest() -> None:
    many = tuple(
        checked(f"recipes/{number:03}.yaml", notes=(f"Note {number}.",)) for number in range(200)
    )

    text = comment_markdown(Comment(base="main", commit="ab" * 20, checked=many, notes=()))

    assert text.startswith(MARKER)
    assert len(text) < 65_536
    assert len(text) > MOST * 0.8
    parts = re.findall(r"^### `", text, flags=re.MULTILINE)
    assert len(parts) + int(re.findall(r"(\d+) more are in the table only", text)[0]) == 200


def test_recipes_of_which_the_same_is_found_are_one_part() -> None:
    many = tuple(checked(f"{number}.yaml") for number in range(60))
    other = checked("other.yaml", notes=("Something else.",))

    text = comment_markdown(
        Comment(base="main", commit="ab" * 20, checked=(*many, other), notes=())
    )

    assert re.findall(r"^### (.*)$", text, flags=re.MULTILINE) == [
        "60 recipes alike",
        "`other.yaml`",
    ]
    assert text.count("`59.yaml`") == 2


def test_only_what_changed_of_a_plan_is_shown() -> None:
    one = checked("a.yaml", plan=("The same.", "Another."), plan_before=("The same.", "It was."))

    text = comment_markdown(Comment(base="main", commit="ab" * 20, checked=(one,), notes=()))

    assert "<summary>The plan changes</summary>\n\n- Another.\n" in text
    assert "The same." not in text


def test_a_source_is_called_by_its_file() -> None:
    findings = (found("W206", "data.sources[1]"), found("W501", "data.sources[1].sha256", "1", "2"))
    shown = replace(REVIEW, findings=findings, places={"data.sources[1]": "tests.csv"})

    text = review_markdown(shown)

    assert "| `tests.csv` |" in text
    assert "| `tests.csv: sha256` |" in text


def test_a_finding_of_two_values_says_what_it_means() -> None:
    text = review_markdown(REVIEW)

    assert "**weaker** (W101) | a bound on a metric was loosened |" in text
    assert "waived (W502) | a pin was moved; waived: It was corrected. |" in text


def test_what_is_wrong_stands_first() -> None:
    problem = Problem(code="R104", message="unknown key", place=Place(file="b.yaml", line=3))
    stays = replace(REVIEW, findings=())
    three = (
        checked("a.yaml", stays),
        checked("b.yaml", None, problems=(problem,)),
        checked("c.yaml"),
    )

    text = comment_markdown(Comment(base="main", commit="ab" * 20, checked=three, notes=()))

    assert re.findall(r"^### `(.*)`$", text, flags=re.MULTILINE) == ["b.yaml", "c.yaml", "a.yaml"]
