"""Exports of tools and data sets, whose answers are below keys of their own.

Label Studio: https://labelstud.io/guide/export. Prodigy: https://prodi.gy/docs/api-interfaces.
Argilla: https://docs.argilla.io/latest/how_to_guides/import_export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layout_table import WORDS, Columns, Row, without
from engine.drafting.marks import named_spans, spans_of

Made = Iterator[dict[str, Any]]
RESULTS: Final = ("annotations", "completions")
"""Keys of a task of Label Studio that hold what people marked."""


def _objects(value: object) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def label_studio(row: Row, _: Columns) -> Made:
    kept = (one for key in RESULTS for one in _objects(row.get(key)) if not one.get("was_cancelled"))  # fmt: skip
    if (first := next(kept, None)) is None:
        return
    results = _objects(first.get("result"))
    found: dict[str, Any] = {k: v for k, v in row["data"].items() if isinstance(v, str)}
    size = max(map(len, found.values()), default=0)
    marks: list[dict[str, Any]] = []
    for result in results:
        name, value = str(result.get("from_name") or "label"), result.get("value", {})
        if labels := [str(one) for key in ("choices", "taxonomy") for one in value.get(key) or []]:
            before = found.get(name)
            found[name] = [*(before if isinstance(before, list) else []), *labels]
        written, rated = value.get("text"), value.get("rating", value.get("number"))
        if result.get("type") == "textarea" and isinstance(written, list) and written:
            found[name] = str(written[0])
        elif isinstance(rated, int | float):
            found[name] = str(rated)
        if "start" in value:
            label = (value.get("labels") or value.get("hypertextlabels") or [""])[0]
            marks.append({"start": value["start"], "end": value.get("end"), "label": str(label)})
    spans = {"spans": named_spans(spans_of(marks, size))} if marks or not results else {}
    yield {**found, **spans}


def accepted(row: Row, _: Columns) -> Made:
    if row.get("answer") != "accept":
        return
    # Keys with `_` are the tool's own: hashes, times, who answered.
    own = [key for key in row if key.startswith("_")]
    kept = without(row, *own, "answer", "options", "tokens", "meta")
    if isinstance(kept.get("accept"), list):
        kept["labels"] = kept.pop("accept")
    if isinstance(row.get("spans"), list):
        names = ("start", "end", "label")
        kept["spans"] = [{n: span.get(n) for n in names} for span in _objects(row["spans"])]
    yield kept


def spacy(row: Row, at: Columns) -> Made:
    marks = {key: row[at["marks"]].get(key) for key in ("entities", "cats")}
    # Objects that are empty in every row say nothing.
    kept = {k: one for k, one in marks.items() if one or (k == "entities" and one is not None)}
    yield {**without(row, at["marks"]), **kept}


def paragraphs(row: Row, _: Columns) -> Made:
    for paragraph in _objects(row.get("paragraphs")):
        for asked in _objects(paragraph.get("qas")):
            answers = list(dict.fromkeys(one.get("text", "") for one in asked.get("answers", [])))
            context, question = paragraph.get("context", ""), asked.get("question", "")
            yield {"context": context, "question": question, "answers": answers}


def chosen(row: Row, at: Columns) -> Made:
    value = row.get(at["name"])
    found = value["choices"] if isinstance(value, Mapping) else [value] if value else []
    yield {**row, at["name"]: found}


def _are_choices(values: Sequence[Any]) -> bool:
    filled = [one for one in values if one not in (None, "")]
    around = [one for one in filled if isinstance(one, Mapping) and one.keys() == {"choices"}]
    return bool(around) and all(isinstance(one, str) for one in filled if one not in around)


TESTS: Final = {
    "reviewed": lambda values: set(values) <= {"accept", "reject", "ignore"},
    # `tags` alone is a name of much else.
    "spaCy's": lambda values: all(
        isinstance(one, Mapping)
        and one.keys() <= set(WORDS["spacy"])
        and one.keys() & {"entities", "cats"}
        for one in values
    ),
    "choices of Label Studio": _are_choices,
}
