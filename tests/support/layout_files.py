# ruff: noqa: E501, E741 - a layout is one line of the table, written as short as it can be
"""Files in the layouts that people have, each with what a first recipe of it should say.

The rows are those of the development sets where they are there (`shared/data`), else made up; which is shown by `SOURCE`.
"""

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as xml

import yaml

from support.paths import ROOT, SHARED_DATA
from support.project import THINGS

DATA = SHARED_DATA if SHARED_DATA.is_dir() else ROOT / "shared" / "data"
SOURCE = "development sets" if (DATA / "banking77" / "train.csv").is_file() else "made-up rows"
TOPICS = ("billing", "delivery", "returns", "account")
Pair = tuple[str, str]


def labelled(count: int = 160) -> list[Pair]:
    """Return questions with one of four labels."""
    if SOURCE == "development sets":
        with (DATA / "banking77" / "train.csv").open(encoding="utf-8", newline="") as stream:
            found = [
                (row["text"].replace("\n", " ").strip(), row["category"])
                for row in csv.DictReader(stream)
            ]
        names = sorted({label for _, label in found})[:4]
        by_name = [[pair for pair in dict.fromkeys(found) if pair[1] == name] for name in names]
        return [by_name[at % 4][at // 4] for at in range(count)]
    draw = random.Random(5)
    words = {"billing": "invoice", "delivery": "parcel", "returns": "refund", "account": "password"}
    return [
        (
            f"My {words[label]} for the {draw.choice(THINGS)} number {at} is wrong, can you help",
            label,
        )
        for at, label in ((at, TOPICS[at % 4]) for at in range(count))
    ]


def answered(count: int = 120) -> list[Pair]:
    """Return questions with long answers."""
    if SOURCE == "development sets":
        with gzip.open(DATA / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as stream:
            rows = [json.loads(next(stream)) for _ in range(count)]
        return [(row["question"], row["answer"]) for row in rows]
    draw = random.Random(6)
    return [
        (f"What do {at} {draw.choice(THINGS)}s cost at {at % 7 + 2} each?", f"Each is {at % 7 + 2}, so {at} of them cost {at * (at % 7 + 2)} in all.")
        for at in range(count)
    ]  # fmt: skip


def orders(count: int = 120) -> list[tuple[str, dict[str, Any]]]:
    """Return texts with what stands in them."""
    draw = random.Random(7)
    found = []
    for at in range(count):
        values = {
            "item": draw.choice(THINGS),
            "city": draw.choice(["Bonn", "Oslo", "Lima", "Kyoto"]),
            "count": at + 2,
        }
        found.append(
            (
                f"Please send {values['count']} of the {values['item']} to {values['city']} soon",
                values,
            )
        )
    return found


def spans(count: int = 120) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """Return texts with marked parts."""
    return [
        (text, [(text.index(str(values[name])), text.index(str(values[name])) + len(str(values[name])), name) for name in ("count", "item", "city")])
        for text, values in orders(count)
    ]  # fmt: skip


def tagged(count: int = 120) -> list[tuple[list[str], list[str]]]:
    found = []
    for text, marks in spans(count):
        words, tags, at = [], [], 0
        for word in text.split():
            start = text.index(word, at)
            at = start + len(word)
            name = next((name for one, _, name in marks if one == start), "")
            words.append(word)
            tags.append(f"B-{name}" if name else "O")
        found.append((words, tags))
    return found


def lines(path: Path, values: Sequence[Any]) -> None:
    path.write_text(
        "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8"
    )


def table(
    path: Path, rows: Sequence[Sequence[Any]], *, delimiter: str = ",", encoding: str = "utf-8"
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue().encode(encoding))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def document(path: Path, value: Any) -> None:
    text(path, json.dumps(value, ensure_ascii=False))


def turns(
    question: str, answer: str, system: str = "", keys: tuple[str, str] = ("role", "content")
) -> list[dict[str, str]]:
    names = ("system", "user", "assistant") if keys[0] == "role" else ("system", "human", "gpt")
    found = [(names[0], system)] * bool(system) + [(names[1], question), (names[2], answer)]
    return [{keys[0]: who, keys[1]: what} for who, what in found]


def workbook(path: Path, tables: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Write a workbook, with the texts in the cells themselves."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w") as book:
        sheet_parts(book, list(tables))
        for at, rows in enumerate(tables.values(), 1):
            texts = (
                [f'<c t="inlineStr"><is><t>{xml(str(x))}</t></is></c>' for x in row] for row in rows
            )
            body = "".join(f"<row>{''.join(row)}</row>" for row in texts)
            sheet = f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>"
            book.writestr(f"xl/worksheets/sheet{at}.xml", sheet)


def sheet_parts(book: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Write the parts of a workbook that list its sheets."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    related = "http://schemas.openxmlformats.org/package/2006/relationships"
    listed = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(names, 1)
    )
    parts = "".join(
        f'<Relationship Id="r{at}" Type="{office}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at, _ in enumerate(names, 1)
    )
    main = f'<Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
    book.writestr("_rels/.rels", f'<Relationships xmlns="{related}">{main}</Relationships>')
    book.writestr(
        "xl/workbook.xml",
        f'<workbook xmlns="{space}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
    )
    book.writestr(
        "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{related}">{parts}</Relationships>'
    )


def official(
    path: Path,
    name: str,
    ending: str,
    write: Callable[[Path, list[Pair]], object],
    places: Sequence[str],
) -> None:
    """Write the labelled rows into files of the official splits."""
    rows = labelled()
    cuts = {
        "train": rows[:100],
        "valid": rows[100:120],
        "dev": rows[100:120],
        "validation": rows[100:120],
        "test": rows[120:],
    }
    path.mkdir(parents=True, exist_ok=True)
    for place in places:
        write(path / f"{name}{place}{ending}", cuts[place])


def csv_pairs(path: Path, rows: list[Pair]) -> None:
    table(path, [("text", "label"), *rows])


def class_folders(path: Path, places: Sequence[str] = ("",)) -> None:
    for at, (sentence, label) in enumerate(labelled()):
        place = places[min(at // 110, len(places) - 1)]
        text(path / place / label / f"{at}.txt", sentence)


def class_files(path: Path) -> None:
    for name in sorted({label for _, label in labelled()}):
        text(
            path / f"{name}.txt", "".join(f"{one}\n" for one, label in labelled() if label == name)
        )


def side_by_side(path: Path) -> None:
    for place, cut in (
        ("train", slice(0, 90)),
        ("valid", slice(90, 104)),
        ("test", slice(104, 120)),
    ):
        rows = tagged()[cut]
        text(path / place / "seq.in", "".join(" ".join(words) + "\n" for words, _ in rows))
        text(path / place / "seq.out", "".join(" ".join(tags) + "\n" for _, tags in rows))
        text(
            path / place / "label",
            "".join(f"{('order', 'ask')[at % 2]}\n" for at in range(len(rows))),
        )


def translations(path: Path) -> None:
    text(path / "all.nl", "".join(f"{' '.join(question.split())}\n" for question, _ in answered()))
    text(
        path / "all.cm",
        "".join(f"{' '.join(question.split())[::-1]}\n" for question, _ in answered()),
    )


def brat(path: Path) -> None:
    for at, (sentence, marks) in enumerate(spans()):
        text(path / f"{at}.txt", sentence)
        marked = [
            f"T{n}\t{name} {a} {b}\t{sentence[a:b]}\n" for n, (a, b, name) in enumerate(marks, 1)
        ]
        text(path / f"{at}.ann", "".join(marked))


def kaggle(path: Path) -> None:
    rows = labelled()
    table(
        path / "train.csv",
        [
            ("id", "keyword", "text", "target"),
            *((n, "", t, l) for n, (t, l) in enumerate(rows[:120])),
        ],
    )
    table(
        path / "test.csv",
        [("id", "keyword", "text"), *((n, "", t) for n, (t, _) in enumerate(rows[120:]))],
    )
    table(path / "sample_submission.csv", [("id", "target"), *((n, "x") for n in range(40))])


def label_studio(path: Path) -> None:
    document(path, [
        {"id": n, "data": {"text": sentence}, "annotations": [{"id": n, "completed_by": 1, "was_cancelled": False, "result": [
            {"from_name": "label", "to_name": "text", "type": "labels", "value": {"start": a, "end": b, "text": sentence[a:b], "labels": [name]}}
            for a, b, name in marks]}], "created_at": "2024-01-01"}
        for n, (sentence, marks) in enumerate(spans())
    ])  # fmt: skip


def label_studio_choices(path: Path) -> None:
    document(path, [
        {"id": n, "data": {"review": sentence}, "annotations": [{"result": [
            {"from_name": "topic", "type": "choices", "value": {"choices": [label]}}]}]}
        for n, (sentence, label) in enumerate(labelled())
    ])  # fmt: skip


def rasa(path: Path) -> None:
    names = sorted({label for _, label in labelled()})
    blocks = [
        {
            "intent": name,
            "examples": "".join(f"- {one}\n" for one, label in labelled() if label == name),
        }
        for name in names
    ]
    text(path, yaml.safe_dump({"version": "3.1", "nlu": blocks}))


def conll(path: Path, *, columns: int = 4) -> None:
    body = "".join("".join(f"{w} {' '.join(['NN', 'B-NP'][: columns - 2])} {t}\n" for w, t in zip(words, tags, strict=True)) + "\n" for words, tags in tagged())  # fmt: skip
    text(path, f"-DOCSTART- -X- -X- O\n\n{body}" if columns == 4 else body)


def squad(path: Path) -> None:
    document(path, {"version": "1.1", "data": [
        {"title": "t", "paragraphs": [
            {"context": sentence, "qas": [{"id": str(n), "question": f"To which city does order {n} go?", "answers": [{"text": f"{n} to {values['city']}", "answer_start": 3}]}]}
            for n, (sentence, values) in enumerate(orders())]}]})  # fmt: skip


def one_hot(path: Path) -> None:
    names = ("rude", "insult", "threat", "spam")
    draw = random.Random(8)
    table(path, [("id", "comment_text", *names), *((f"{n:08x}", one, *(draw.randint(0, 1) for _ in names)) for n, (one, _) in enumerate(labelled()))])  # fmt: skip


def columns_of_metadata(path: Path) -> None:
    draw = random.Random(9)
    header = (
        "tweet_id",
        "airline_sentiment",
        "airline_sentiment_confidence",
        "airline",
        "name",
        "retweet_count",
        "text",
        "tweet_created",
        "user_timezone",
    )
    rows = [(f"57030{n:09d}", label, round(draw.random(), 4), draw.choice(["A", "B", "C"]), f"user{n}", draw.randint(0, 3), one, f"2015-02-24 11:{n % 60:02d}:11 -0800", draw.choice(["Eastern", "Pacific"]))
            for n, (one, label) in enumerate(labelled())]  # fmt: skip
    table(path, [header, *rows])


def tags_of(n: int) -> list[str]:
    return [name for at, name in enumerate(("plot", "cast", "music")) if (n >> at) & 1] or ["other"]
