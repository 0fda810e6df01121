"""Exports of Argilla, Vertex AI and Dialogflow, whose answers stand below keys of their own.

Argilla: https://docs.argilla.io/latest/how_to_guides/import_export. Vertex AI:
https://cloud.google.com/vertex-ai/docs/text-data/classification/prepare-data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.layouts.spans import spans_of
from engine.drafting.layouts.step import Recognised, Row

RESPONSES: Final = ".responses"
SUBMITTED: Final = ("submitted", None)
ML_USE: Final = "aiplatform.googleapis.com/ml_use"


def argilla(rows: Sequence[Row]) -> Recognised:
    """Recognise records of Argilla: what people submitted is the answer, what a model suggested is not."""
    if rows and all({"annotation", "prediction", "status"} <= row.keys() for row in rows):
        return _of_annotation, "`annotation` is the answer, as Argilla 1 exports it"
    nested = rows and all({"fields", "responses"} <= row.keys() for row in rows)
    flat = [row if not nested else _flat(row) for row in rows]
    questions = [key for key, value in (flat[0].items() if flat else ()) if _asks(key, value, flat)]
    if not questions:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        found = _flat(row) if nested else row
        rest = {
            key: value for key, value in found.items()
            if key not in questions and not any(_is_beside(key, one) for one in questions) and value is not None
            and key not in ("_server_id", "status", "vectors", "external_id", "metadata")
        }  # fmt: skip
        answers = {one.removesuffix(RESPONSES): _submitted(found.get(one)) for one in questions}
        if any(value is not None for value in answers.values()):
            yield {**rest, **answers}

    return turn, "what people submitted is the answer, as Argilla exports it"


def _of_annotation(row: Row) -> Iterator[dict[str, Any]]:
    answer = row["annotation"]
    if answer in (None, "", []):
        return
    text = row.get("text")
    inputs = row.get("inputs")
    marks = (
        spans_of(answer, len(str(text or ""))) if answer and not isinstance(answer, str) else None
    )
    if marks is not None:
        yield {
            "text": text,
            "spans": [{"start": a, "end": b, "label": name} for a, b, name in marks],
        }
    else:
        fields = inputs if text is None and isinstance(inputs, Mapping) else {"text": text}
        yield {**fields, "label": answer}


def _flat(row: Row) -> dict[str, Any]:
    """Return a record with its fields and its responses as columns, as a table of it has them."""
    return {
        "id": row.get("id"),
        **row["fields"],
        **{f"{name}{RESPONSES}": value for name, value in row["responses"].items()},
    }


def _asks(key: str, value: object, rows: Sequence[Row]) -> bool:
    if key.endswith(RESPONSES):
        return isinstance(value, list)
    # Version 1 of feedback: the answers of people, and beside them what a model suggested.
    return f"{key}-suggestion" in rows[0] and isinstance(value, list)


def _is_beside(key: str, question: str) -> bool:
    name = question.removesuffix(RESPONSES)
    return key != name and key.startswith(
        (f"{name}.responses", f"{name}.suggestion", f"{name}-suggestion")
    )


def _submitted(values: object) -> object:
    """Return the first answer that a person submitted; None where nobody did."""
    for one in values if isinstance(values, list) else ():
        if not isinstance(one, Mapping) or "value" not in one:
            return one
        if one.get("status") in SUBMITTED:
            return one["value"]
    return None


def vertex(rows: Sequence[Row]) -> Recognised:
    """Recognise import files of Vertex AI: `textContent` and what is annotated of it."""
    keys = ("classificationAnnotation", "classificationAnnotations", "textSegmentAnnotations")
    key = next((k for k in keys if any(k in row for row in rows)), None)
    if key is None or not all("textContent" in row for row in rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        found = row.get(key) or []
        marks = [found] if isinstance(found, Mapping) else found
        names = [str(mark["displayName"]) for mark in marks]
        use = str((row.get("dataItemResourceLabels") or {}).get(ML_USE, "")).lower()
        new: dict[str, Any] = {"text": row["textContent"]}
        if key == keys[2]:
            new["spans"] = [
                {"start": int(mark["startOffset"]), "end": int(mark["endOffset"]), "label": name}
                for mark, name in zip(marks, names, strict=True)
            ]
        else:
            new |= {"label": names[0]} if key == keys[0] else {"labels": names}
        yield {**new, "split": use} if use in PLACES else new

    return turn, "`textContent` and its annotations, as Vertex AI imports them"


def dialogflow(rows: Sequence[Row]) -> Recognised:
    """Recognise what users say to an agent of Dialogflow: a text in parts, some of them marked."""
    if not rows or not all({"data", "isTemplate"} <= row.keys() for row in rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        text, spans = "", []
        for part in row["data"]:
            if part.get("alias"):
                start, end = len(text), len(text) + len(part["text"])
                spans.append({"start": start, "end": end, "label": part["alias"]})
            text += part["text"]
        rest = {key: row[key] for key in ("label", "split") if key in row}
        yield {"text": text, **({"spans": spans} if spans and "label" not in rest else {}), **rest}

    return turn, "what users say stands in parts, as Dialogflow exports it"


def chatgpt(rows: Sequence[Row]) -> Recognised:
    """Recognise the conversations that ChatGPT exports: a tree of messages, of which the last branch is read."""
    if not rows or not all(isinstance(row.get("mapping"), Mapping) for row in rows):
        return None
    if not any(_turn_of(node) for node in rows[0]["mapping"].values()):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        nodes: Mapping[str, Any] = row["mapping"]
        leaves = [name for name, node in nodes.items() if not node.get("children")]
        at = str(row.get("current_node") or (leaves[-1] if leaves else ""))
        turns: list[dict[str, str]] = []
        for _ in nodes:
            if at not in nodes:
                break
            turns += [found] if (found := _turn_of(nodes[at])) else []
            at = str(nodes[at].get("parent"))
        turns.reverse()
        # What stands after the last answer teaches nothing.
        while turns and turns[-1]["role"] != "assistant":
            turns.pop()
        if turns:
            yield {"messages": turns}

    return turn, "`mapping` holds its messages as a tree, as ChatGPT exports them"


def _turn_of(node: Any) -> dict[str, str] | None:
    """Return the message of a node as a turn; None where it holds no text of a person or the model."""
    message = node.get("message") or {}
    role = (message.get("author") or {}).get("role")
    parts = (message.get("content") or {}).get("parts") or []
    text = "\n".join(part for part in parts if isinstance(part, str)).strip()
    return (
        {"role": role, "content": text}
        if role in ("system", "user", "assistant") and text
        else None
    )
