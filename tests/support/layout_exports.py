# ruff: noqa: E501, E741, S608 - a layout is one line of the table, written as short as it can be
"""More layouts: exports of tools, texts in chat templates, labels as numbers with their names elsewhere, archives."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.layout_files import (
    answered,
    csv_pairs,
    document,
    labelled,
    lines,
    spans,
    table,
    tagged,
    tags_of,
    text,
    workbook,
)
from support.layout_table import TOPIC, Layout

NAMES = sorted({label for _, label in labelled()})
MARKED: Any = {"data.answer.spans.of": "text"}


def code(label: str) -> int:
    return NAMES.index(label)


def marks(
    found: Sequence[tuple[int, int, str]], keys: Sequence[str] = ("start", "end", "label")
) -> list[dict[str, Any]]:
    return [dict(zip(keys, mark, strict=True)) for mark in found]


def archive(path: Path, files: dict[str, Sequence[Sequence[Any]]]) -> None:
    with zipfile.ZipFile(path, "w") as book:
        for name, rows in files.items():
            stream = io.StringIO(newline="")
            csv.writer(stream).writerows([("text", "label"), *rows])
            book.writestr(name, stream.getvalue())


def named_beside(path: Path, file: str, names: str) -> None:
    lines_or_table = [{"text": t, "label": code(l)} for t, l in labelled()]
    path.mkdir()
    if file.endswith(".jsonl"):
        lines(path / file, lines_or_table)
    else:
        table(path / file, [(code(l) + 1, t[:20], t) for t, l in labelled()])
    text(
        path / names,
        json.dumps({str(at): name for at, name in enumerate(NAMES)})
        if names.endswith("json")
        else "\n".join(NAMES),
    )


def tweets(path: Path) -> None:
    """Write texts and numbers of labels line by line, with a mapping beside them."""
    for place, cut in (
        ("train", slice(0, 100)),
        ("val", slice(100, 120)),
        ("test", slice(120, 160)),
    ):
        text(path / f"{place}_text.txt", "".join(f"{t}\n" for t, _ in labelled()[cut]))
        text(path / f"{place}_labels.txt", "".join(f"{code(l)}\n" for _, l in labelled()[cut]))
    text(path / "mapping.txt", "".join(f"{at}\t{name}\n" for at, name in enumerate(NAMES)))


def moses(path: Path) -> None:
    for place, cut in (("dev", slice(0, 20)), ("test", slice(20, 40)), ("train", slice(40, 120))):
        asked = [" ".join(question.split()) for question, _ in answered()[cut]]
        text(path / f"{place}.en", "".join(f"{one}\n" for one in asked))
        text(path / f"{place}.de", "".join(f"{one[::-1]}\n" for one in asked))


def movies(path: Path) -> None:
    for at, (sentence, label) in enumerate(labelled()):
        text(path / ("train", "test")[at > 110] / label / f"{at}_7.txt", sentence)
        text(path / "train" / "unsup" / f"{at}_0.txt", f"Nobody labelled {at}.")
    text(path / "imdb.vocab", "a\nb\n")


def named_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tags = sorted({tag for _, found in tagged() for tag in found})
    feature = {"feature": {"names": tags, "_type": "ClassLabel"}, "_type": "Sequence"}
    rows = [
        {"tokens": words, "ner_tags": [tags.index(tag) for tag in found]}
        for words, found in tagged()
    ]
    kept = {"huggingface": json.dumps({"info": {"features": {"ner_tags": feature}}})}
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(kept), path)


def in_template(path: Path, form: str) -> None:
    lines(path, [{"text": form.format(q=q, a=a)} for q, a in answered()])


def flagged(label: str) -> list[int]:
    return [int(label == name) for name in NAMES]


class _Hindi(dict[str, str]):
    """A label of Hindi for each label that is met: each ends in a vowel sign, which is no letter."""

    def __missing__(self, label: str) -> str:
        self[label] = ("बिल की", "डिलीवरी", "वापसी", "खाते का")[len(self)]
        return self[label]


HINDI = _Hindi()
EXPORTS: tuple[Layout, ...] = (
    Layout(name="spaced.csv", write=lambda p: table(p, [("Text ", " Label"), *labelled()]), kind="classification", says={"data.label.column": "Label"}),
    Layout(name="hindi.csv", write=lambda p: table(p, [("समीक्षा", "श्रेणी"), *((t, HINDI[l]) for t, l in labelled())], delimiter=";"), kind="classification", says={"data.label.column": "श्रेणी", "task.input": "{समीक्षा}"}),
    Layout(name="hindi_bars.txt", write=lambda p: text(p, "".join(f"{HINDI[l]} ||| {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="doubled.tsv", write=lambda p: table(p, [("text", "label"), *((f'so "{t}"', l) for t, l in labelled())], delimiter="\t"), kind="classification", says={"data.sources.0.quoting": "double"}),
    Layout(name="quoted.tsv", write=lambda p: table(p, [("text", "label"), *((f'{t}\n"so"', l) for t, l in labelled())], delimiter="\t"), kind="classification", says={"data.sources.0.quoting": "double"}),
    Layout(name="bars.txt", write=lambda p: text(p, "".join(f"{l} ||| {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="after.txt", write=lambda p: text(p, "".join(f"{t.replace(';', ',')};{l}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="fast_tab.txt", write=lambda p: text(p, "".join(f"__label__{l}\t{t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="fast.csv", write=lambda p: text(p, "".join(f"__label__{l} , {t}\n" for t, l in labelled())), kind="classification", says={**TOPIC}),
    Layout(name="cooking", write=lambda p: [text(p / f"cooking.{place}", "".join(f"__label__{l} {t}\n" for t, l in labelled()[cut])) for place, cut in (("train", slice(0, 120)), ("valid", slice(120, 160)))], kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="conll.tsv", write=lambda p: text(p, "".join("".join(f"{w}\t{t}\n" for w, t in zip(*one, strict=True)) + "\n" for one in tagged())), kind="extraction", says=MARKED),
    Layout(name="first.bio", write=lambda p: text(p, "".join("".join(f"{t}\t{w}\n" for w, t in zip(*one, strict=True)) + "\n" for one in tagged())), kind="extraction", says=MARKED),
    Layout(name="wnut", write=lambda p: [text(p / name, "".join("".join(f"{w}\t{t}\n" for w, t in zip(*one, strict=True)) + "\n" for one in tagged()[cut])) for name, cut in (("wnut17train.conll", slice(0, 80)), ("emerging.dev.conll", slice(80, 100)), ("emerging.test.annotated", slice(100, 120)))], kind="extraction", says=MARKED, splits="column"),
    Layout(name="below.json", write=lambda p: document(p, {name: [t for t, l in labelled()[:157] if l == name] for name in NAMES}), kind="classification", says={**TOPIC}),
    Layout(name="one.zip", write=lambda p: archive(p, {"rows.csv": labelled()}), kind="classification", says={**TOPIC}),
    Layout(name="two.zip", write=lambda p: archive(p, {"set/train.csv": labelled()[:120], "set/test.csv": labelled()[120:], "__MACOSX/set/._train.csv": []}), kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="splits.xlsx", write=lambda p: workbook(p, {"train": [("text", "label"), *labelled()[:120]], "test": [("text", "label"), *labelled()[120:]]}), kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="classes.xlsx", write=lambda p: workbook(p, {name: [("text",), *((t,) for t, l in labelled() if l == name)] for name in NAMES}), kind="classification", says={**TOPIC}),
    Layout(name="id2label", write=lambda p: named_beside(p, "train.jsonl", "id2label.json"), kind="classification", says={"task.labels": NAMES}),
    Layout(name="from_one", write=lambda p: named_beside(p, "train.csv", "classes.txt"), kind="classification", says={"task.labels": NAMES}),
    Layout(name="tweets", write=tweets, kind="classification", says={"task.labels": NAMES}, splits="column"),
    Layout(name="named.parquet", write=named_parquet, kind="extraction", says=MARKED),
    Layout(name="moses", write=moses, kind="generation", says={"data.answer.column": "de"}, splits="files"),
    Layout(name="movies", write=movies, kind="classification", says={**TOPIC}, splits="column"),
    Layout(name="masked", write=lambda p: [csv_pairs(p / name, rows) for name, rows in (("train.csv", labelled()[:110]), ("test.csv", labelled()[110:]), ("test_masked_label.csv", [(t, NAMES[0]) for t, _ in labelled()[110:]]))], kind="classification", says={**TOPIC}, splits="files"),
    Layout(name="two_flags.csv", write=lambda p: table(p, [("text", "billing", "delivery"), *((t, n % 2, n // 2 % 2) for n, (t, _) in enumerate(labelled()))]), kind="multilabel"),
    Layout(name="object_flags.jsonl", write=lambda p: lines(p, [{"text": t, "labels": {name: name in tags_of(n) for name in ("plot", "cast", "music", "other")}} for n, (t, _) in enumerate(labelled())]), kind="multilabel", says={"task.labels": ["cast", "music", "other", "plot"]}),
    Layout(name="cats.jsonl", write=lambda p: lines(p, [{"text": t, "cats": {name: float(name == l) for name in NAMES}} for t, l in labelled()]), kind="classification", says={"task.labels": NAMES}),
    Layout(name="studio_stars.json", write=lambda p: document(p, [{"data": {"text": t}, "annotations": [{"result": [{"from_name": "stars", "type": "rating", "value": {"rating": code(l) + 1}}]}]} for t, l in labelled()]), kind="classification", says={"data.label.column": "stars"}),
    Layout(name="places.jsonl", write=lambda p: lines(p, [{"text": t, "entities": [{"type": name, "pos": [a, b]} for a, b, name in found]} for t, found in spans()]), kind="extraction", says=MARKED),
    Layout(name="legacy.jsonl", write=lambda p: lines(p, [{"prompt": f"{t}\n\n###\n\n", "completion": f" {l}"} for t, l in labelled()]), kind="classification", says={"task.labels": NAMES}),
    Layout(name="parts.jsonl", write=lambda p: lines(p, [{"messages": [{"role": "user", "content": [{"type": "text", "text": t}]}, {"role": "assistant", "content": l}]} for t, l in labelled()]), kind="classification", says={"task.labels": NAMES}),
    Layout(name="cohere.jsonl", write=lambda p: lines(p, [{"messages": [{"role": "System", "content": "Be kind."}, {"role": "User", "content": q}, {"role": "Chatbot", "content": a}]} for q, a in answered()]), kind="chat", says={"data.messages.roles.Chatbot": "assistant"}),
    Layout(name="inst.jsonl", write=lambda p: in_template(p, "<s>[INST] {q} [/INST] {a} </s>"), kind="chat"),
    Layout(name="chatml.jsonl", write=lambda p: in_template(p, "<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n"), kind="chat"),
    Layout(name="llama3.jsonl", write=lambda p: in_template(p, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{q}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{a}<|eot_id|>"), kind="chat"),
    Layout(name="guanaco.jsonl", write=lambda p: in_template(p, "### Human: {q}### Assistant: {a}"), kind="chat"),
    Layout(name="alpaca_text.jsonl", write=lambda p: in_template(p, "Below is an instruction.\n\n### Instruction:\n{q}\n\n### Response:\n{a}"), kind="generation"),
    Layout(name="sql.json", write=lambda p: document(p, [{"db_id": ("shop", "school")[n % 2], "query": f"SELECT {n} FROM t", "question": q, "question_toks": q.split()} for n, (q, _) in enumerate(answered())]), kind="generation", says={"data.answer.column": "query"}),
    Layout(name="yes_no.csv", write=lambda p: table(p, [("text", "plot", "cast", "music"), *((t, *(("no", "yes")[name in tags_of(n)] for name in ("plot", "cast", "music"))) for n, (t, _) in enumerate(labelled()))]), kind="multilabel"),
    Layout(name="crosses.csv", write=lambda p: table(p, [("text", "plot", "cast", "music"), *((t, *(("", "x")[name in tags_of(n)] for name in ("plot", "cast", "music"))) for n, (t, _) in enumerate(labelled()))]), kind="multilabel"),
    Layout(name="turns.csv", write=lambda p: table(p, [("conversation_id", "role", "content"), *((n, who, what) for n, one in enumerate(answered()) for who, what in zip(("user", "assistant"), one, strict=True))]), kind="chat"),
    Layout(name="compared", write=lambda p: [p.mkdir(), *(lines(p / f"{place}.jsonl", [{"chosen": f"\n\nHuman: {q}\n\nAssistant: {a}", "rejected": f"\n\nHuman: {q}\n\nAssistant: No."} for q, a in answered()[cut]]) for place, cut in (("train", slice(0, 90)), ("test", slice(90, 120))))], kind="preference", splits="column"),
    Layout(name="rows.jsonl.gz", write=lambda p: p.write_bytes(gzip.compress("".join(json.dumps({"text": t, "label": l}) + "\n" for t, l in labelled()).encode())), kind="classification", says={**TOPIC}),
    Layout(name="sentences.jsonl", write=lambda p: lines(p, [{"sentences": [t, "It was so."], "label": l} for t, l in labelled()]), kind="classification", says={"task.input": "{sentences}"}),
    Layout(name="gaps.jsonl", write=lambda p: lines(p, [{"text": t, **({"label": l} if n % 9 else {})} for n, (t, l) in enumerate(labelled())]), kind="classification", says={"data.label.column": "label"}),
    Layout(name="orange.tab", write=lambda p: text(p, "text\tlabel\nstring\tdiscrete\nmeta\tclass\n" + "".join(f"{t}\t{l}\n" for t, l in labelled())), kind="classification", says={"task.labels": NAMES}),
    Layout(name="commented.iob2", write=lambda p: text(p, "".join(f"# sent_id = {n}\n" + "".join(f"{w}\tNN\tx\t{t}\n" for w, t in zip(*one, strict=True)) + "\n" for n, one in enumerate(tagged()))), kind="extraction", says=MARKED),
)  # fmt: skip
