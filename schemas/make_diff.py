"""Writes `diff.v1.schema.json` from the dataclasses of a review: `python schemas/make_diff.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_type_hints

from make_report import _form, _texts

from engine.evidence import review
from engine.values import fields

FILE = Path(__file__).with_name("diff.v1.schema.json")
PARTS = (review.Finding, review.Change)


def main() -> None:
    """Write the schema file."""
    FILE.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def schema() -> dict[str, Any]:
    """Return the schema of what `recipe diff --format json` prints."""
    parts = {part.__name__: _part(part) for part in PARTS}
    waived = {"description": "Whether the new recipe says why it is meant.", "type": "boolean"}
    parts["Finding"]["properties"]["waived"] = waived
    parts["Finding"]["required"].append("waived")
    text = {"type": "string"}
    verdict = {"enum": [gate.value for gate in review.Gate]}
    gate = _object(
        "What became of the evidence.",
        verdict={"description": "`weaker`: an alarm; `redrawn`: other rows judge.", **verdict},
        unwaived={
            "description": "Weakenings, other draws of the holdout, and what is not known, that nobody waived.",
            "type": "integer",
        },
        findings=_list("Finding"),
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Diff",
        **_object(
            "Two versions of a recipe, compared by what they mean: `recipe diff --format json`.",
            schema={"const": "diff.v1"},
            recipe={"description": "Its name.", **text},
            old={"description": "What the old version is called.", **text},
            new={"description": "What the new version is called.", **text},
            gate=gate,
            changes=_list("Change"),
            reruns={"description": "Stages that run again.", "type": "array", "items": text},
            notes={"description": "What was taken for granted.", "type": "array", "items": text},
            uncompared={
                "description": "What judges and may be other bytes now: no version and no pin says.",
                "type": "array",
                "items": text,
            },
            same={"description": "Whether both versions mean the same.", "type": "boolean"},
        ),
        "$defs": parts,
    }


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _list(part: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{part}"}}


def _part(part: type) -> dict[str, Any]:
    hints, texts = get_type_hints(part, vars(review)), _texts(part)
    properties = {
        field.name: {
            **({"description": texts[field.name]} if field.name in texts else {}),
            **_form(hints[field.name]),
        }
        for field in fields(part)
    }
    return _object((part.__doc__ or "").partition("\n")[0], **properties)


if __name__ == "__main__":
    main()
