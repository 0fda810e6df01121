"""Personal data and secrets in the texts of a row, reported without showing them, or masked."""

from __future__ import annotations

import json
from typing import Final

from engine.data.checks.rows.base import RowCheck
from engine.data.checks.rows.personal_patterns import PersonalSpan, find_personal
from engine.data.checks.rows.texts import rewritten, texts
from engine.data.kinds.base import Filled
from engine.values import Value, replace

NAMES: Final[dict[str, str]] = {
    "EMAIL": "an e-mail address",
    "PHONE": "a phone number",
    "CARD": "a payment card number",
    "IBAN": "a bank account number",
    "IP": "an IP address",
    "ID": "an identity number",
    "SECRET": "a key or token",
    "PASSWORD": "a password in an address",
}
"""What stands behind each placeholder."""


class PersonalDataCheck(RowCheck):
    """Finds personal data; with `mask`, what it finds is what the mask left over: nothing."""

    name = "personal_data"
    finding = ("holds personal data", "hold personal data")

    def look(self, filled: Filled) -> str | None:
        """Return what kinds the row holds, the first of each shown by its ends only, or None."""
        kinds: dict[str, str] = {}
        for text in texts(filled):
            for found in find_personal(text):
                kinds.setdefault(found.kind, veiled(text, found))
        if not kinds:
            return None
        return "holds " + ", ".join(f"{NAMES[kind]}: `{shown}`" for kind, shown in kinds.items())


class PersonalDataMask(Value, kw_only=False):
    """Puts `[EMAIL]`, `[PHONE]`, … in the place of personal data."""

    name: str = "personal_data"

    def apply(self, filled: Filled) -> tuple[Filled, int]:
        """Return the row with placeholders in every text of it, and how many values they stand for.

        A value that stands twice in a row counts once. Labels are never touched, nor numbers of a
        JSON answer. A target that repeats the payload's JSON is written again from it.
        """
        values = {
            (found.kind, text[found.start : found.end])
            for text in texts(filled)
            for found in find_personal(text)
        }
        if not values:
            return filled, 0
        payload = rewritten(filled.payload, masked) if filled.payload else filled.payload
        # A label is one of the task's words; a placeholder in it would be an unknown label.
        target = filled.target if filled.labels else _target(filled, payload)
        return replace(filled, input=masked(filled.input), target=target, payload=payload), len(
            values
        )


def masked(text: str) -> str:
    """Return the text with a placeholder for each finding."""
    # From the end, so that the positions of earlier findings stay right.
    for found in reversed(find_personal(text)):
        text = f"{text[: found.start]}[{found.kind}]{text[found.end :]}"
    return text


def veiled(text: str, found: PersonalSpan) -> str:
    """Return a finding as a message may show it: `a…@example.org`, `+4…`, `AK…`; never the whole."""
    value = text[found.start : found.end]
    if found.kind == "EMAIL":
        return f"{value[0]}…@{value.rpartition('@')[2]}"
    return f"{value[:2]}…" if found.kind != "PASSWORD" else "…"


def _target(filled: Filled, payload: object) -> str:
    """A JSON answer stays JSON: a placeholder in the place of a bare number would break it."""
    answer = payload.get("answer") if isinstance(payload, dict) else None
    if isinstance(answer, dict):
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return masked(filled.target)
