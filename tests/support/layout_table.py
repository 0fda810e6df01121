# ruff: noqa: E501, E741 - a layout is one line of the table, written as short as it can be
"""The table of layouts: each file with what a first recipe of it should say."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from support.layout_files import (
    TOPICS,
    answered,
    class_files,
    class_folders,
    columns_of_metadata,
    conll,
    csv_pairs,
    document,
    kaggle,
    label_studio,
    label_studio_choices,
    labelled,
    lines,
    official,
    one_hot,
    orders,
    rasa,
    side_by_side,
    spans,
    squad,
    table,
    tagged,
    tags_of,
    text,
    translations,
    turns,
    workbook,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One layout: how it is written, and what is right about its recipe."""

    name: str
    """File or folder."""
    write: Callable[[Path], object]
    kind: str
    says: dict[str, Any] = field(default_factory=dict)
    """Value of the recipe by dotted path."""
    splits: str = "divided"
    """`files`, `column`, or that the rows are divided."""
    more: tuple[str, ...] = ()
    """Further files that are named on the command line."""


TOPIC = {"data.label.column": "label"}
JSON_ANSWER = "messages.2.content"
ASKED = "You sort what customers write."
LAYOUTS: tuple[Layout, ...] = (
    Layout(name="plain.csv", write=lambda p: csv_pairs(p, labelled()), kind="classification", says={**TOPIC}),
    Layout(name="semicolons.csv", write=lambda p: table(p, [("text", "label"), *labelled()], delimiter=";"), kind="classification", says={"data.sources.0.delimiter": ";"}),
    Layout(name="pipes.txt", write=lambda p: table(p, [("text", "label"), *labelled()], delimiter="|"), kind="classification", says={"data.sources.0.delimiter": "|"}),
    Layout(name="index.csv", write=lambda p: table(p, [("", "text", "label"), *((n, *r) for n, r in enumerate(labelled()))]), kind="classification", says={**TOPIC}),
    Layout(name="wide.csv", write=lambda p: table(p, [("text", "label"), *labelled()], encoding="utf-16"), kind="classification", says={"data.sources.0.encoding": "utf-16"}),
    Layout(name="tabs.csv", write=lambda p: table(p, [("text", "label"), *labelled()], delimiter="\t"), kind="classification", says={"data.sources.0.format": "tsv"}),
    Layout(name="book.xlsx", write=lambda p: workbook(p, {"Sheet1": [("text", "label"), *labelled()]}), kind="classification", says={**TOPIC}),
    Layout(name="titled.xlsx", write=lambda p: workbook(p, {"Sheet1": [("Export of the help desk",), (), ("nr", "text", "label"), *((n, *r) for n, r in enumerate(labelled()))]}), kind="classification", says={**TOPIC}),
    Layout(name="titled.csv", write=lambda p: text(p, "Report of tickets\n\n" + "".join(f'{n},"{t.replace(chr(34), "")}",{l}\n' for n, (t, l) in [("nr", ("text", "label")), *enumerate(labelled())])), kind="classification", says={**TOPIC}),
    Layout(name="fast.txt", write=lambda p: text(p, "".join(f"__label__{l} {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="fast_many.txt", write=lambda p: text(p, "".join(" ".join(f"__label__{x}" for x in tags_of(n)) + f" {t}\n" for n, (t, _) in enumerate(labelled()))), kind="multilabel"),
    Layout(name="SMS", write=lambda p: text(p, "".join(f"{l}\t{t}\n" for t, l in labelled())), kind="classification", says={"data.sources.0.header": ["label", "text"]}),
    Layout(name="after.txt", write=lambda p: text(p, "".join(f"{t}\t{l}\n" for t, l in labelled())), kind="classification"),
    Layout(name="colon.txt", write=lambda p: text(p, "".join(f"{l}: {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="official", write=lambda p: official(p, "", ".csv", csv_pairs, ("train", "valid", "test")), kind="classification", says={**TOPIC}, splits="files"),
    Layout(name="two", write=lambda p: official(p, "tickets_", ".csv", csv_pairs, ("train", "test")), kind="classification", says={**TOPIC}, splits="files"),
    Layout(name="no_test", write=lambda p: official(p, "", ".jsonl", lambda f, r: lines(f, [{"text": t, "label": l} for t, l in r]), ("train", "dev")), kind="classification", says={**TOPIC}, splits="files"),
    Layout(name="a_train.csv", more=("a_test.csv",), write=lambda p: official(p.parent, "a_", ".csv", csv_pairs, ("train", "test")), kind="classification", splits="files"),
    Layout(name="folders", write=class_folders, kind="classification", says={**TOPIC}),
    Layout(name="reviews", write=lambda p: class_folders(p, ("train", "test")), kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="files", write=class_files, kind="classification", says={**TOPIC}),
    Layout(name="kaggle", write=kaggle, kind="classification", says={"data.label.column": "target"}),
    Layout(name="snips", write=side_by_side, kind="classification", splits="files", says={**TOPIC}),
    Layout(name="nl2bash", write=translations, kind="generation", says={"data.answer.column": "cm"}),
    Layout(name="marked.csv", write=lambda p: table(p, [("text", "label", "split"), *((*r, ("train", "train", "val", "test")[n // 4 % 4]) for n, r in enumerate(labelled()))]), kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="airlines.csv", write=columns_of_metadata, kind="classification", says={"data.label.column": "airline_sentiment"}),
    Layout(name="news.csv", write=lambda p: table(p, [("Class Index", "Title", "Description"), *((n % 4 + 1, t[:30], t) for n, (t, _) in enumerate(labelled()))]), kind="classification", says={"data.label.column": "Class Index"}),
    Layout(name="pairs.csv", write=lambda p: table(p, [("premise", "hypothesis", "label"), *((t, f"{t} is so.", ("entailment", "neutral", "contradiction")[n % 3]) for n, (t, _) in enumerate(labelled()))]), kind="classification", says={"task.input": "{premise}\n{hypothesis}"}),
    Layout(name="toxic.csv", write=one_hot, kind="multilabel"),
    Layout(name="lists.jsonl", write=lambda p: lines(p, [{"text": t, "tags": tags_of(n)} for n, (t, _) in enumerate(labelled())]), kind="multilabel", says={"data.label.column": "tags"}),
    Layout(name="printed.csv", write=lambda p: table(p, [("text", "tags"), *((t, str(tags_of(n))) for n, (t, _) in enumerate(labelled()))]), kind="multilabel", says={"data.label.column": "tags"}),
    Layout(name="doccano.jsonl", write=lambda p: lines(p, [{"id": n, "text": t, "label": [l]} for n, (t, l) in enumerate(labelled())]), kind="classification", says={"data.label.column": "label.0"}),
    Layout(name="doccano_spans.jsonl", write=lambda p: lines(p, [{"id": n, "text": t, "label": [list(m) for m in marks]} for n, (t, marks) in enumerate(spans())]), kind="extraction", says={"data.answer.spans.of": "text"}),
    Layout(name="spacy.json", write=lambda p: document(p, [[t, {"entities": [list(m) for m in marks]}] for t, marks in spans()]), kind="extraction"),
    Layout(name="studio.json", write=label_studio, kind="extraction", says={"data.answer.spans.of": "text"}),
    Layout(name="choices.json", write=label_studio_choices, kind="classification", says={"task.input": "{review}"}),
    Layout(name="prodigy.jsonl", write=lambda p: lines(p, [{"text": t, "_task_hash": n, "tokens": [], "spans": [{"start": a, "end": b, "label": x, "token_start": 1, "token_end": 2} for a, b, x in marks], "answer": "accept" if n % 9 else "reject"} for n, (t, marks) in enumerate(spans())]), kind="extraction"),
    Layout(name="prodigy_cat.jsonl", write=lambda p: lines(p, [{"text": t, "options": [{"id": x} for x in TOPICS], "accept": [l], "answer": "accept"} for t, l in labelled()]), kind="classification"),
    Layout(name="tokens.jsonl", write=lambda p: lines(p, [{"id": n, "tokens": w, "ner_tags": t} for n, (w, t) in enumerate(tagged())]), kind="extraction"),
    Layout(name="eng.train", write=conll, kind="extraction"),
    Layout(name="two_columns.conll", write=lambda p: conll(p, columns=2), kind="extraction"),
    Layout(name="ner.csv", write=lambda p: table(p, [("Sentence #", "Word", "POS", "Tag"), *((f"Sentence: {n + 1}" if not at else "", w, "NN", t) for n, (words, tags) in enumerate(tagged()) for at, (w, t) in enumerate(zip(words, tags, strict=True)))]), kind="extraction"),
    Layout(name="nlu.yml", write=rasa, kind="classification", says={"data.label.column": "intent"}),
    Layout(name="nested.jsonl", write=lambda p: lines(p, [{"text": t, "output": v} for t, v in orders()]), kind="extraction", says={"data.answer.column": "output", "task.schema.properties.count.type": "integer"}),
    Layout(name="wrapped.json", write=lambda p: document(p, {"meta": {"n": 3}, "data": [{"text": t, "label": l} for t, l in labelled()]}), kind="classification", says={"data.sources.0.records": "data"}),
    Layout(name="sort.jsonl", write=lambda p: lines(p, [{"messages": turns(t, l, ASKED)} for t, l in labelled()]), kind="classification", says={"task.system": ASKED, "data.label.column": "messages.2.content", "task.input": "{messages.1.content}"}),
    Layout(name="sort_bare.jsonl", write=lambda p: lines(p, [{"messages": turns(t, l)} for t, l in labelled()]), kind="classification", says={"data.label.column": "messages.1.content"}),
    Layout(name="fill.jsonl", write=lambda p: lines(p, [{"messages": turns(t, json.dumps(v), "Answer in JSON.")} for t, v in orders()]), kind="extraction", says={"data.answer.column": JSON_ANSWER, "task.system": "Answer in JSON."}),
    Layout(name="talk.jsonl", write=lambda p: lines(p, [{"messages": turns(q, a, "Be kind.")} for q, a in answered()]), kind="chat"),
    Layout(name="share.json", write=lambda p: document(p, [{"id": str(n), "conversations": turns(q, a, keys=("from", "value"))} for n, (q, a) in enumerate(answered())]), kind="chat"),
    Layout(name="alpaca.json", write=lambda p: document(p, [{"instruction": q, "input": "", "output": a} for q, a in answered()]), kind="generation"),
    Layout(name="alpaca_sort.json", write=lambda p: document(p, [{"instruction": "Which topic is it?", "input": t, "output": l} for t, l in labelled()]), kind="classification", says={"data.label.column": "output", "task.input": "{input}", "task.instruction": "Which topic is it?"}),
    Layout(name="squad.json", write=squad, kind="generation", says={"task.input": "{context}\n{question}", "data.answer.column": "answers"}),
    Layout(name="reversed.csv", write=lambda p: table(p, [("Antwort", "Frage"), *((a, q) for q, a in answered())]), kind="generation", says={"task.input": "{Frage}", "data.answer.column": "Antwort"}),
    Layout(name="dpo.jsonl", write=lambda p: lines(p, [{"prompt": q, "chosen": a, "rejected": a[::-1]} for q, a in answered()]), kind="preference"),
    Layout(name="dpo_turns.jsonl", write=lambda p: lines(p, [{"chosen": turns(q, a), "rejected": turns(q, a[::-1])} for q, a in answered()]), kind="preference"),
    Layout(name="better.csv", write=lambda p: table(p, [("question", "better", "worse"), *((q, a, a[::-1]) for q, a in answered())]), kind="preference", says={"data.pair.chosen": "better"}),
    Layout(name="kto.csv", write=lambda p: table(p, [("prompt", "completion", "label"), *((q, a, n % 2) for n, (q, a) in enumerate(answered()))]), kind="preference", says={"method.preference.loss": "kto"}),
    Layout(name="hh.jsonl", write=lambda p: lines(p, [{"chosen": f"\n\nHuman: {q}\n\nAssistant: {a}", "rejected": f"\n\nHuman: {q}\n\nAssistant: No."} for q, a in answered()]), kind="preference"),
    Layout(name="intents.json", write=lambda p: document(p, {"intents": [{"tag": name, "patterns": [t for t, l in labelled() if l == name], "responses": ["Fine."]} for name in sorted({l for _, l in labelled()})]}), kind="classification", says={"data.label.column": "tag"}),
    Layout(name="by_column.json", write=lambda p: document(p, {"text": {str(n): t for n, (t, _) in enumerate(labelled())}, "label": {str(n): l for n, (_, l) in enumerate(labelled())}}), kind="classification", says={**TOPIC}),
    Layout(name="setfit.jsonl", write=lambda p: lines(p, [{"text": t, "label": sorted({x for _, x in labelled()}).index(l), "label_text": l} for t, l in labelled()]), kind="classification", says={"data.label.column": "label_text"}),
    Layout(name="seq2seq.jsonl", write=lambda p: lines(p, [{"id": n, "text": q, "label": [a]} for n, (q, a) in enumerate(answered())]), kind="generation", says={"data.answer.column": "label"}),
    Layout(name="dolly.jsonl", write=lambda p: lines(p, [{"instruction": q, "context": "", "response": a, "category": ("open_qa", "closed_qa")[n % 2]} for n, (q, a) in enumerate(answered())]), kind="generation"),
    Layout(name="openai_dpo.jsonl", write=lambda p: lines(p, [{"input": {"messages": [{"role": "user", "content": q}]}, "preferred_output": [{"role": "assistant", "content": a}], "non_preferred_output": [{"role": "assistant", "content": "No."}]} for q, a in answered()]), kind="preference"),
    Layout(name="chatbot.jsonl", write=lambda p: lines(p, [{"messages": [{"role": "User", "content": q}, {"role": "Chatbot", "content": a}]} for q, a in answered()]), kind="chat", says={"data.messages.column": "messages"}),
    Layout(name="word_labels.csv", write=lambda p: table(p, [("sentence", "word_labels"), *((" ".join(w), ",".join(t)) for w, t in tagged())]), kind="extraction"),
    Layout(name="trec.txt", write=lambda p: text(p, "".join(f"{l[:4].upper()}:{l} {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="excel.csv", write=lambda p: text(p, "sep=;\n" + "".join(f"{t.replace(';', ',')};{l}\n" for t, l in [("text", "label"), *labelled()])), kind="classification", says={**TOPIC}),
    Layout(name="entities.csv", write=lambda p: table(p, [("text", "label"), *((escape(f"{t} & <more>"), l) for t, l in labelled())]), kind="classification", says={**TOPIC}),
)  # fmt: skip
