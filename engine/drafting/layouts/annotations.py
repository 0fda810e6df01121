"""Exports of annotation tools, whose answers stand deep below a row: Label Studio's and Prodigy's.

Label Studio: https://labelstud.io/guide/export. Prodigy: https://prodi.gy/docs/api-interfaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.services import argilla, chatgpt, dialogflow, vertex
from engine.drafting.layouts.spans import spans_of
from engine.drafting.layouts.step import Row, Turned

RESULTS: Final = ("annotations", "completions")
"""Keys of a task of Label Studio that hold what people marked."""


def annotated(rows: Sequence[Row]) -> tuple[Turned, str] | None:
    """Recognise tasks of Label Studio: `data` with the text, and the results of the first person who finished."""
    if not rows or not all(
        isinstance(row.get("data"), Mapping) and any(row.get(key) is not None for key in RESULTS)
        for row in rows
    ):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        results = _results(row)
        if results is None:
            return
        texts = {key: value for key, value in row["data"].items() if isinstance(value, str)}
        chosen: dict[str, list[str]] = {}
        for result in results:
            name = str(result.get("from_name") or "label")
            labels, answer = _answer(result)
            if labels:
                chosen.setdefault(name, []).extend(labels)
            if answer:
                texts[name] = answer
        size = max((len(text) for text in texts.values()), default=0)
        marks = [result for result in results if "start" in result.get("value", {})]
        spans = spans_of([_mark(result["value"]) for result in marks], size) or ()
        if any("start" in one.get("value", {}) for one in results) or not (chosen or results):
            chosen_or_spans: dict[str, Any] = {
                "spans": [{"start": a, "end": b, "label": name} for a, b, name in spans]
            }
        else:
            chosen_or_spans = {}
        yield {**texts, **chosen, **chosen_or_spans}

    return turn, "the answers stand below `annotations`, as Label Studio exports them"


def _answer(result: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the labels of a result, and what was written or rated there."""
    value = result.get("value", {})
    labels = [str(one) for key in ("choices", "taxonomy") for one in value.get(key) or []]
    written = value.get("text")
    if result.get("type") == "textarea" and isinstance(written, list) and written:
        return labels, str(written[0])
    rated = value.get("rating", value.get("number"))
    return labels, str(rated) if isinstance(rated, int | float) else ""


def _results(row: Row) -> list[Mapping[str, Any]] | None:
    """Return what the first annotation that was not cancelled holds; None where there is none."""
    for key in RESULTS:
        for one in row.get(key) or []:
            if isinstance(one, Mapping) and not one.get("was_cancelled"):
                found = one.get("result")
                return [item for item in found or [] if isinstance(item, Mapping)]
    return None


def _mark(value: Mapping[str, Any]) -> dict[str, Any]:
    names = value.get("labels") or value.get("hypertextlabels") or [""]
    return {"start": value.get("start"), "end": value.get("end"), "label": str(names[0])}


def answered_by_people(rows: Sequence[Row]) -> tuple[Turned, str] | None:
    """Recognise rows of Prodigy: `answer` says whether the person accepted the row, `accept` what was chosen."""
    answers = {row.get("answer") for row in rows}
    if not rows or not answers <= {"accept", "reject", "ignore"}:
        return None
    labels = {str(row.get("label")) for row in rows}
    if len(labels) == 1 and {"accept", "reject"} <= answers and all("label" in row for row in rows):
        # Yes or no to one label: a row that was rejected is an example too.
        return _yes_or_no, f"`answer` says whether `{labels.pop()}` is right, as Prodigy writes it"

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        if row.get("answer") != "accept":
            return
        # Keys with `_` are the tool's own: hashes, times, who answered.
        kept = {
            key: value
            for key, value in row.items()
            if not key.startswith("_") and key not in ("answer", "options", "tokens", "meta")
        }
        if isinstance(kept.get("accept"), list):
            kept["labels"] = kept.pop("accept")
        if isinstance(row.get("spans"), list):
            kept["spans"] = [
                {name: span.get(name) for name in ("start", "end", "label")}
                for span in row["spans"]
                if isinstance(span, Mapping)
            ]
        yield kept

    return turn, "rows that were not accepted are left out (`answer`), as Prodigy writes them"


def _yes_or_no(row: Row) -> Iterator[dict[str, Any]]:
    if row.get("answer") in ("accept", "reject"):
        name = str(row["label"])
        yield {"text": row["text"], "label": name if row["answer"] == "accept" else f"not {name}"}


TOOLS: Final = (annotated, answered_by_people, argilla, vertex, dialogflow, chatgpt)
"""What recognises the export of a tool; these come before all others, whose marks stand below theirs."""
