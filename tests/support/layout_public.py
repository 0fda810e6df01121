# ruff: noqa: E501, E741 - a layout is one line of the table, written as short as it can be
"""Layouts of well-known public data sets and tools, each with what a first recipe of it says."""

import io
import tarfile
from pathlib import Path
from random import Random
from typing import Any

from support.layout_files import (
    answered,
    brat,
    document,
    labelled,
    lines,
    spans,
    table,
    tagged,
    tags_of,
    text,
)
from support.layout_table import Layout

ROWS: tuple[tuple[str, str], ...] = tuple(labelled())
NAMES = sorted({label for _, label in ROWS})
LETTERS = "ABCD"
SORTED = {"data.label.column": "label", "task.labels": NAMES}


def words(at: int) -> str:
    """Return a text that is near no other."""
    draw = Random(at)
    return " ".join("".join(draw.choices("aeiomnrst", k=6)) for _ in range(9))


def rasa_project(path: Path) -> None:
    """Write a project of Rasa: only one of its files holds examples."""
    path.mkdir()
    text(path / "domain.yml", "version: '3.1'\nintents:\n" + "".join(f"  - {l}\n" for l in NAMES))
    text(path / "stories.yml", "stories:\n- story: a\n  steps:\n  - intent: b\n  - action: c\n")
    text(path / "nlu.yml", "nlu:\n" + "".join(
        f"- intent: {l}\n  examples: |\n" + "".join(f"    - {t}\n" for t, k in ROWS if k == l) for l in NAMES
    ))  # fmt: skip


def rated_movies(path: Path) -> None:
    """Write a folder for each class, with a file of counted words beside them."""
    for place, cut in (("train", slice(0, 100)), ("test", slice(100, 160))):
        for at, (one, label) in enumerate(ROWS[cut]):
            text(path / place / label / f"{at}_7.txt", one)
        text(path / place / "labeledBow.feat", "9 0:9 1:1\n")


def named_entities(path: Path) -> None:
    """Write tagged words in three files, the two to judge by called `testa` and `testb`."""
    for place, cut in (
        ("train", slice(0, 80)),
        ("testa", slice(80, 100)),
        ("testb", slice(100, 120)),
    ):
        body = [
            "".join(f"{w} NN B-NP {t}\n" for w, t in zip(*one, strict=True))
            for one in tagged()[cut]
        ]
        text(path / f"eng.{place}", "-DOCSTART- -X- -X- O\n\n" + "\n".join(body))


def newsgroups(path: Path) -> None:
    """Write a packed tar archive of a folder for each split and class."""
    with tarfile.open(path, "w:gz") as archive:
        for at, (one, label) in enumerate(ROWS):
            info = tarfile.TarInfo(f"news-bydate-{'test' if at % 3 == 0 else 'train'}/{label}/{at}")
            info.size = len(one.encode())
            archive.addfile(info, io.BytesIO(one.encode()))


def snips(path: Path) -> None:
    """Write a file for each intent and split, whose texts stand in parts."""
    path.mkdir()
    for name in NAMES:
        for place, cut in (("train", slice(0, 25)), ("validate", slice(25, None))):
            some = [t for t, l in ROWS if l == name][cut]
            document(
                path / f"{place}_{name}.json",
                {
                    name: [
                        {"data": [{"text": t[:8]}, {"text": t[8:], "entity": "rest"}]} for t in some
                    ]
                },
            )


def paragraphs(path: Path) -> None:
    """Write questions below their paragraphs, half of them without an answer."""
    document(path, {"version": "v2.0", "data": [{"title": "x", "paragraphs": [
        {"context": f"{q} {a}", "qas": [
            {"question": q, "id": f"a{at}", "answers": [{"text": a, "answer_start": len(q) + 1}], "is_impossible": False},
            {"question": f"Who wrote {at}?", "id": f"b{at}", "answers": [], "is_impossible": True},
        ]} for at, (q, a) in enumerate(answered())
    ]}]})  # fmt: skip


def coded(path: Path) -> None:
    """Write several numbers of labels a row, and their names in a file beside the rows."""
    path.mkdir()
    text(path / "emotions.txt", "music\ncast\nplot\n")
    codes = ["music", "cast", "plot"]
    text(path / "train.tsv", "".join(
        f"{t}\t{','.join(str(codes.index(tag)) for tag in tags_of(at) if tag in codes) or 0}\tid{at}\n" for at, (t, _) in enumerate(ROWS)
    ))  # fmt: skip


def asked(at: int) -> dict[str, Any]:
    """Return four choices, and the right one."""
    return {mark: f"{at + n} of them" for n, mark in enumerate(LETTERS)} | {
        "answer": LETTERS[at % 4]
    }


PUBLIC: tuple[Layout, ...] = (
    Layout(name="spam.csv", write=lambda p: table(p, [("v1", "v2", "", "", ""), *((l, t, "", "", "") for t, l in ROWS)]), kind="classification", says={"task.input": "{v2}", "data.label.column": "v1", "task.labels": NAMES}),
    Layout(name="decimal.csv", write=lambda p: text(p, "Vorgang;Betrag;Änderung;Kategorie\n" + "".join(f"{at};{at},50;{t.replace(';', ' ')};{l}\n" for at, (t, l) in enumerate(ROWS))), kind="classification", says={"task.input": "{Änderung}", "data.label.column": "Kategorie"}),
    Layout(name="semicolons.csv", write=lambda p: text(p, '\ufeff"text","label"\n' + "".join(f'"{t.replace(chr(34), "")}; please","{l}"\n' for t, l in ROWS)), kind="classification", says={"data.sources.0.path": "semicolons.csv", **SORTED}),
    Layout(name="noted.jsonl", write=lambda p: lines(p, [{"id": n, "payload": {"message": t}, "annotation": {"label": l, "annotator": "jd", "at": "2024-01-09"}} for n, (t, l) in enumerate(ROWS)]), kind="classification", says={"task.input": "{payload.message}", "data.label.column": "annotation.label"}),
    Layout(name="survey.csv", write=lambda p: text(p, "When?;What is your request, in a few words?;How happy are you (1-5)?;Which team?\n" + "".join(f"1/{at % 28 + 1}/2025;{t.replace(';', ' ')};{at % 5 + 1};{l}\n" for at, (t, l) in enumerate(ROWS))), kind="classification", says={"data.sources.0.delimiter": ";", "data.label.column": "Which team?"}),
    Layout(name="cases.csv", write=lambda p: table(p, [("CaseNumber", "AccountId", "Subject", "Description", "Reason", "Origin", "IsClosed"), *((f"{at:08}", f"001{at % 40}", t[:20], t, l, ("Web", "Phone")[at % 2], ("true", "false")[at // 3 % 2]) for at, (t, l) in enumerate(ROWS))]), kind="classification", says={"data.label.column": "Reason"}),
    Layout(name="entailed.jsonl", write=lambda p: lines(p, [{"genre": ("fiction", "travel")[at % 2], "sentence1": t, "sentence2": ROWS[-at - 1][0], "sentence1_parse": f"(ROOT (S {t}))", "gold_label": ("neutral", "entailment", "contradiction")[at % 3]} for at, (t, _) in enumerate(ROWS)]), kind="classification", says={"task.input": "{sentence1}\n{sentence2}", "data.label.column": "gold_label"}),
    Layout(name="is_test.csv", write=lambda p: table(p, [("text", "label", "is_test"), *((t, l, at // 4 % 4 == 3) for at, (t, l) in enumerate(ROWS))]), kind="classification", splits="column", says=SORTED),
    Layout(name="sorted.csv", write=lambda p: table(p, [("text", "label", "is_test"), *((words(n), l, n > 559) for n, (_, l) in enumerate(ROWS * 4))]), kind="classification", splits="column", says=SORTED),
    Layout(name="usage.csv", write=lambda p: table(p, [("text", "label", "set"), *((t, l, "eval" if at // 4 % 4 == 3 else "train") for at, (t, l) in enumerate(ROWS))]), kind="classification", splits="column", says=SORTED),
    Layout(name="results.json", write=lambda p: document(p, {"count": 160, "results": [{"payload": {"text": t}, "label": {"id": NAMES.index(l), "name": l}} for t, l in ROWS]}), kind="classification", says={"data.label.column": "label.name"}),
    Layout(name="movies", write=rated_movies, kind="classification", splits="column", says=SORTED),
    Layout(name="assistant", write=rasa_project, kind="classification", says={"data.label.column": "intent", "task.labels": NAMES}),
    Layout(name="conll2003", write=named_entities, kind="extraction", splits="column"),
    Layout(name="spacy.json", write=lambda p: document(p, [[t, {"entities": [list(one) for one in found]}] for t, found in spans()]), kind="extraction", says={"data.answer.spans.of": "text"}),
    Layout(name="cats.json", write=lambda p: document(p, [[t, {"cats": {name: float(name == l) for name in NAMES}}] for t, l in ROWS]), kind="classification", says={"data.label.column": "cats.0", "task.labels": NAMES}),
    Layout(name="squad2.json", write=paragraphs, kind="generation", says={"task.input": "{context}\n{question}", "data.answer.column": "answers"}),
    Layout(name="chosen.json", write=lambda p: document(p, [{"id": at, "text": t, "topic": {"choices": tags_of(at)} if len(tags_of(at)) > 1 else tags_of(at)[0]} for at, (t, _) in enumerate(ROWS) if tags_of(at)]), kind="multilabel", says={"data.label.column": "topic"}),
    Layout(name="Tweets.csv", write=lambda p: table(p, [("tweet_id", "airline_sentiment", "airline_sentiment_confidence", "airline", "retweet_count", "text"), *((at, l, 1, ("A1", "B2")[at % 2], at % 2, t) for at, (t, l) in enumerate(ROWS))]), kind="classification", says={"data.label.column": "airline_sentiment"}),
    Layout(name="news", write=lambda p: [p.mkdir(), *(table(p / f"{name}.csv", [("text", "subject"), *((t, f"{name}{at % 2}") for at, (t, _) in enumerate(ROWS[cut]))]) for name, cut in (("Fake", slice(0, 80)), ("True", slice(80, 160))))], kind="classification", says={"task.labels": ["Fake", "True"]}),
    Layout(name="intents", write=snips, kind="classification", splits="column", says=SORTED),
    Layout(name="emotions", write=coded, kind="multilabel", says={"task.labels": ["cast", "music", "plot"]}),
    Layout(name="below.json", write=lambda p: document(p, {l: [t for t, k in ROWS if k == l] for l in NAMES}), kind="classification", says=SORTED),
    Layout(name="entailed_pairs.jsonl", write=lambda p: lines(p, [{"context": f"About {at}", "text_a": t, "text_b": ROWS[-at - 1][0], "label": ("neutral", "entailment", "contradiction")[at % 3]} for at, (t, _) in enumerate(ROWS)]), kind="classification", says={"data.label.column": "label"}),
    Layout(name="products.jsonl", write=lambda p: lines(p, [{"title": t, "options": ["small", "large"], "label": l} for t, l in ROWS]), kind="classification", says={"data.label.column": "label"}),
    Layout(name="news.tar.gz", write=newsgroups, kind="classification", splits="column", says=SORTED),
)  # fmt: skip
COPIED = Layout(
    name="copied",
    write=lambda p: [
        p.mkdir(),
        *(table(p / f"{place}.csv", [("text", "label"), *ROWS]) for place in ("train", "test")),
    ],
    kind="",
)
REFUSED: tuple[tuple[str, Any, str], ...] = (
    ("brat", brat, "holds marks as brat writes them"),
    ("rows.arrow", lambda p: text(p, "ARROW1"), "save it as Parquet"),
    ("contents.jsonl", lambda p: lines(p, [{"contents": [{"role": "user", "parts": [{"text": q}]}, {"role": "model", "parts": [{"text": a}]}]} for q, a in answered()]), "write them as `messages`"),
    ("exam.csv", lambda p: table(p, [("question", *LETTERS, "answer"), *((q, *asked(at).values()) for at, (q, _) in enumerate(answered()))]), "questions with choices"),
    ("arc.jsonl", lambda p: lines(p, [{"id": f"q{at}", "question": q, "choices": {"text": [f"{at + n}" for n in range(4)], "label": list(LETTERS)}, "answerKey": LETTERS[at % 4]} for at, (q, _) in enumerate(answered())]), "questions with choices"),
    ("arena.csv", lambda p: table(p, [("prompt", "response_a", "response_b", "winner"), *((q, a, f"No {at}", "ab"[at % 2]) for at, (q, a) in enumerate(answered()))]), "into a column `chosen` and the other into `rejected`"),
    ("scored.jsonl", lambda p: lines(p, [{"question": {"full_text": q}, "answer_0": a, "score_0": at % 2, "answer_1": f"No: {a}", "score_1": 1 - at % 2} for at, (q, a) in enumerate(answered())]), "its rows compare answers to `question`"),
    ("ranked.jsonl", lambda p: lines(p, [{"prompt": q, "responses": [a[::-1], a, "No."], "scores": [2, 9.5, 1]} for q, a in answered()]), "its rows rank answers to `prompt`"),
)  # fmt: skip
"""Files of which no recipe can be made: name, what writes it, what the message says."""
