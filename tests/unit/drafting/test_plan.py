"""What a draft works out of its rows, and how often."""

from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.drafting import draft_plan, label_names
from engine.drafting.label_names import Labels


def labels_read(rows: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Draft from so many rows of thirty labels; return how often their labels were put together."""
    lines = [f"help me with topic {n % 30} and request {n},topic {n % 30}" for n in range(rows)]
    path.write_text("\n".join(["text,intent", *lines]) + "\n", encoding="utf-8")
    calls: list[Labels] = []

    def counted(*given: Any) -> Labels:
        return calls.append(label_names.task_labels(*given)) or calls[-1]

    with monkeypatch.context() as patch:
        patch.setattr(draft_plan, "task_labels", counted)
        assert main(["init", str(path), "-o", str(path.with_suffix(f".{rows}.yaml"))]) == 0
    return len(calls)


def test_more_rows_do_not_have_the_labels_put_together_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (labels_read(rows, tmp_path / "rows.csv", monkeypatch) for rows in (300, 900))

    assert 0 < many == few


@pytest.mark.parametrize(
    ("column", "answers", "asked"),
    [
        ("spam?", ("no", "yes"), "Does `spam` apply: {labels}?"),
        ("is_late_delivery", ("0", "1"), "Does `late delivery` apply: {labels}?"),
        ("has_refund", ("False", "True"), "Does `refund` apply: {labels}?"),
        ("label", ("0", "1"), "Which label is it: {labels}?"),
        ("kind", ("yes", "no"), "Which kind is it: {labels}?"),
        ("urgency", ("high", "low"), "Which urgency is it: {labels}?"),
        ("Categories", ("high", "low"), "Which category is it: {labels}?"),
        ("sentimentLabel", ("high", "low"), "Which sentiment label is it: {labels}?"),
        ("ticket_classes", ("high", "low"), "Which ticket class is it: {labels}?"),
        ("is_topic", ("high", "low"), "Which `is_topic` is it: {labels}?"),
        ("Urteil", ("gut", "schlecht"), "Which `Urteil` is it: {labels}?"),
        ("Stufe2", ("high", "low"), "Which `Stufe2` is it: {labels}?"),
        ("\u30ab\u30c6", ("high", "low"), "Which `\u30ab\u30c6` is it: {labels}?"),
        ("grade", tuple(map(str, range(50))), "How high is the `grade`: {labels}?"),
    ],
)
def test_a_column_of_labels_is_asked_by_its_name_as_a_noun(
    column: str, answers: tuple[str, ...], asked: str, tmp_path: Path
) -> None:
    lines = [
        f"a long message of customer number {n},{answers[n % len(answers)]}" for n in range(120)
    ]
    (tmp_path / "rows.csv").write_text("\n".join([f"message,{column}", *lines]) + "\n", "utf-8")

    assert main(["init", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "draft.yaml")]) == 0

    assert f'instruction: "{asked}"' in (tmp_path / "draft.yaml").read_text(encoding="utf-8")
