# ruff: noqa: E501, E741, S608 - a layout is one line of the table, written as short as it can be
"""Layouts of what companies export: trackers, workbooks, half-sorted tables, and what a first recipe of each says."""

import zipfile
from html import escape
from pathlib import Path
from typing import Any

import yaml

from support.layout_files import answered, document, labelled, lines, table, text
from support.layout_files import workbook as sheets
from support.layout_table import Layout

TEAMS: tuple[tuple[str, str], ...] = tuple(labelled())


def tracker(path: Path) -> None:
    """Write a table with one name over two columns, as issue trackers do."""
    table(path, [("Key", "Type", "Labels", "Labels", "Description")] + [
        (f"HD-{at}", ("Bug", "Story")[at % 2], label, "web" if at % 3 else "", one)
        for at, (one, label) in enumerate(TEAMS)
    ])  # fmt: skip


def nested(path: Path) -> None:
    """Write records of which some are not sorted yet: null in the place of the object."""
    document(path, {"page": 1, "tickets": [
        {"id": at, "by": {"name": f"n{at % 9}"}, "body": one, "queue": {"name": label} if at % 8 else None}
        for at, (one, label) in enumerate(TEAMS)
    ]})  # fmt: skip


def reviews(path: Path) -> None:
    """Write ratings beside a title that is how the text begins, and a mark that is in every row."""
    table(path, [("id", "rating", "title", "body", "verified")] + [
        (at, at * 7 % 5 + 1, " ".join(one.split()[:4]), one, "Y") for at, (one, _) in enumerate(TEAMS)
    ])  # fmt: skip


def tasks(path: Path) -> None:
    """Write tasks of Label Studio, of which some were skipped or are not done."""

    def results(at: int, label: str) -> list[dict[str, Any]]:
        chosen = [{"from_name": "topic", "type": "choices", "value": {"choices": [label]}}]
        done = {"was_cancelled": at % 8 == 1, "result": chosen}
        return [done] if at % 8 else []

    document(path, [
        {"id": at, "data": {"text": one}, "annotations": results(at, label)}
        for at, (one, label) in enumerate(TEAMS)
    ])  # fmt: skip


def pages(path: Path, *, by_class: bool) -> None:
    """Write a knowledge base: a page of Markdown for each text."""
    for at, (one, label) in enumerate(TEAMS):
        folder = path / label if by_class else path
        text(folder / f"page-{at}.md", f"# Page {at}\n\n{one}\n")


def two_formats(path: Path) -> None:
    """Write the training rows as a table, and the others as a document."""
    table(path / "train.csv", [("text", "label"), *TEAMS[:120]])
    document(path / "test.json", [{"text": one, "label": label} for one, label in TEAMS[120:]])


def merged(path: Path) -> None:
    """Write a workbook in which the label stands once, in cells that are merged over its rows."""
    found = sorted(TEAMS, key=lambda pair: pair[1])
    starts = [at for at, (_, label) in enumerate(found) if not at or found[at - 1][1] != label]
    rows = ((label if at in starts else "", one) for at, (one, label) in enumerate(found))
    sheets(path, {"Sheet1": [("Team", "Message"), *rows]})
    ends = [*starts[1:], len(found)]
    spans = "".join(
        f'<mergeCell ref="A{start + 2}:A{end + 1}"/>'
        for start, end in zip(starts, ends, strict=True)
    )
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name).decode() for name in book.namelist()}
    with zipfile.ZipFile(path, "w") as book:
        for name, part in parts.items():
            end = f"</sheetData><mergeCells>{spans}</mergeCells>"
            book.writestr(name, part.replace("</sheetData>", end))


def below_labels(path: Path) -> None:
    """Write texts below their label, in YAML."""
    found: dict[str, list[str]] = {}
    for one, label in TEAMS:
        found.setdefault(label, []).append(one)
    text(path, yaml.safe_dump(found))


def asked_in_ways(path: Path) -> None:
    """Write the ways in which people ask for one answer as a list beside it."""
    document(path, [
        {"sql": [f"select name from things where number = {at} and place in ('Oslo', 'Lima') order by name"],
         "sentences": [{"text": one}, {"text": f"Tell me: {one}"}]}
        for at, (one, _) in enumerate(answered())
    ])  # fmt: skip


OFFICE: tuple[Layout, ...] = (
    Layout(name="tracker.csv", write=tracker, kind="multilabel", says={"data.label.column": "Labels"}),
    Layout(name="brackets.txt", write=lambda p: text(p, "".join(f"[{l}] {t}\n" for t, l in TEAMS)), kind="classification", says={"data.label.column": "label"}),
    Layout(name="roles.csv", write=lambda p: table(p, [("system", "user", "assistant"), *(("Be kind.", q, a) for q, a in answered())]), kind="generation", says={"task.input": "{user}", "data.answer.column": "assistant"}),
    Layout(name="feed.xml", write=lambda p: text(p, "<rss><channel><title>News</title>" + "".join(f"<item><title>{t[:20]}</title><description>{t}</description><category>{l}</category></item>" for t, l in TEAMS) + "</channel></rss>"), kind="classification", says={"data.label.column": "category"}),
    Layout(name="marks.xml", write=lambda p: text(p, "<all>" + "".join(f'<review id="{at}"><queue name="{l}"/><body>{t}</body></review>' for at, (t, l) in enumerate(TEAMS)) + "</all>"), kind="classification", says={"data.label.column": "queue@name"}),
    Layout(name="children.xml", write=lambda p: text(p, "<all>" + "".join(f"<ticket><id>{at}</id><body>{t}.</body><queue>{l}</queue></ticket>" for at, (t, l) in enumerate(TEAMS)) + "</all>"), kind="classification", says={"task.input": "{body}", "data.label.column": "queue"}),
    Layout(name="faq.xml", write=lambda p: text(p, "<all>" + "".join(f"<faq><frage>{q}</frage><antwort>{escape(a)}</antwort></faq>" for q, a in answered()) + "</all>"), kind="generation", says={"task.input": "{frage}", "data.answer.column": "antwort"}),
    Layout(name="form.csv", write=lambda p: table(p, [("Timestamp", "What went wrong? Describe it.", "Which team helped you?"), *((f"1/{at % 28 + 1}/2025 10:00:00", t, l) for at, (t, l) in enumerate(TEAMS))]), kind="classification", says={"data.label.column": "Which team helped you?"}),
    Layout(name="merged.xlsx", write=merged, kind="classification", says={"data.label.column": "Team"}),
    Layout(name="prompts.jsonl", write=lambda p: lines(p, [{"prompt": f"{t}\n\n###\n\n", "completion": f" {l}"} for t, l in TEAMS]), kind="classification", says={"data.label.column": "completion"}),
    Layout(name="parts.json", write=lambda p: document(p, {"conversations": [{"id": str(at), "tags": {"tags": [{"name": l}]}, "source": {"body": t}} for at, (t, l) in enumerate(TEAMS)]}), kind="classification", says={"data.label.column": "tags.tags.0.name"}),
    Layout(name="links.csv", write=lambda p: table(p, [("headline", "link", "checked"), *((t, f"https://example.org/{at}", "no") for at, (t, _) in enumerate(TEAMS))]), kind="text"),
    Layout(name="nested.json", write=nested, kind="classification", says={"data.label.column": "queue.name", "data.checks.empty": "drop"}),
    Layout(name="half.jsonl", write=lambda p: lines(p, [{"text": t, "label": l if at % 8 else None} for at, (t, l) in enumerate(TEAMS)]), kind="classification", says={"data.label.column": "label"}),
    Layout(name="reviews.csv", write=reviews, kind="classification", says={"data.label.column": "rating", "task.input": "{body}"}),
    Layout(name="log.csv", write=lambda p: table(p, [("time", "host", "message", "level"), *((f"2025-01-{at % 28 + 1:02}", f"h{at % 3}", t, l) for at, (t, l) in enumerate(TEAMS))]), kind="classification", says={"data.label.column": "level"}),
    Layout(name="tasks.json", write=tasks, kind="classification", says={"data.label.column": "topic.0"}),
    Layout(name="months.xlsx", write=lambda p: sheets(p, {name: [("message", "team"), *TEAMS[at::3]] for at, name in enumerate(("Jan", "Feb", "March"))}), kind="classification", says={"data.label.column": "team"}),
    Layout(name="numbered.xlsx", write=lambda p: sheets(p, {f"Sheet{at}": [("message",), *((t,) for t, _ in TEAMS[at::3])] for at in range(3)}), kind="text"),
    Layout(name="months", write=lambda p: [table(p / f"{name}.csv", [("message", "team"), *TEAMS[at::3]]) for at, name in enumerate(("jan", "feb", "mar"))], kind="classification", says={"data.label.column": "team"}),
    Layout(name="formats", write=two_formats, kind="classification", splits="files", says={"data.sources.0.path": "formats/train.csv"}),
    Layout(name="handbook", write=lambda p: pages(p, by_class=False), kind="text"),
    Layout(name="base", write=lambda p: pages(p, by_class=True), kind="classification", says={"data.label.column": "label"}),
    Layout(name="below.yml", write=below_labels, kind="classification", says={"data.label.column": "label"}),
    Layout(name="ways.json", write=asked_in_ways, kind="generation", says={"data.answer.column": "sql"}),
    Layout(name="squad.jsonl", write=lambda p: lines(p, [{"id": str(at), "title": "x", "context": f"{q} {a}", "question": q, "answers": {"text": [a], "answer_start": [len(q) + 1]}} for at, (q, a) in enumerate(answered())]), kind="generation", says={"task.input": "{context}\n{question}", "data.answer.column": "answers.text"}),
    Layout(name="few.csv", write=lambda p: table(p, [("text", "label"), *((t, l) for t, l in TEAMS[:6])]), kind="classification"),
    Layout(name="absent.csv", write=lambda p: table(p, [("text", "label"), *((t, "N/A" if at % 10 == 0 else l) for at, (t, l) in enumerate(TEAMS))]), kind="classification", says={"data.checks.unknown_labels": "drop"}),
    Layout(name="asked.jsonl", write=lambda p: lines(p, [{"messages": [{"role": "system", "content": "Sort the ticket."}, {"role": "user", "content": t}, {"role": "assistant", "content": l}]} for t, l in TEAMS]), kind="classification", says={"task.instruction": "Which label is it: {labels}?"}),
)  # fmt: skip
