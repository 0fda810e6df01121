"""Where personal data stands in a text: patterns, and the check digits that confirm them.

The aim is few false alarms: dates, prices, versions and order numbers are none. A number counts as
a phone number when it is written as one (`+49 30 …`, `(415) 555-…`, `07…`) or is called one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final

from engine.data.checks.rows import checksums
from engine.values import Value


class PersonalSpan(Value, kw_only=False):
    """A span of a text and what it is; `kind` is the word of its placeholder."""

    start: int
    end: int
    kind: str


DIGITS: Final = re.compile(r"\d(?:[ \u00a0.()/:-]{0,2}[\dA-Z]){6}")
"""A text without seven digits or capitals close together holds no number of a person."""
# The lengths are those of RFC 5321 (64 before the at sign) and RFC 1035 (63 a label). They also
# bound the work of the search.
EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
    r"(?![\w@])(?!:[/~\w])"
)
"""Not the `user@host.org:path` of a shell."""
PASSWORD: Final = re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@[\w.-]+)")
SECRET_HINTS: Final = re.compile(
    r"A[KS]IA|AIza|PRIVATE KEY|eyJ|gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|[rs]k[-_]|SG\.|xox"
)
SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)"
    r"|(?<![A-Za-z0-9_-])(?:"
    r"A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])"
    r"|AIza[\w-]{35}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}"
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|sk-(?=[\w-]*\d)[\w-]{20,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})",
    re.DOTALL,
)
CARD: Final = re.compile(r"(?<![\w.,+-])[2-6]\d(?:[ -]?\d){11,17}(?![\w-])(?!\.\d)")
IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
PHONE: Final = re.compile(
    r"(?<![\w.+/#=-])(?:"
    r"(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}"
    r"|(?:1[ .-])?\([2-9]\d{2}\) ?\d{3}[ .-]\d{4}"
    r"|(?:1[.-])?[2-9]\d{2}([.-])[2-9]\d{2}\1\d{4}"
    r"|0[1-9]\d{8,9}|0[1-9]\d{1,3}[ -]\d{3,4}[ -]?\d{3,4}"
    r")(?![\w-]|[./:]\d)"
)
CALLED: Final = re.compile(
    r"(?i:\b(?:phone|tel|telephone|mobile|cell|fax|whatsapp|landline|call|text|txt|sms|ring)\b"
    r"[^\d\n]{0,12})(?P<number>\d(?:[ -]?\d){9,12})(?![\w-]|[./:]\d)"
)
IPV4: Final = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
IPV6: Final = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}(?::{1,2}[0-9a-fA-F]{1,4}){2,7}(?![\w:])")
VERSION: Final = re.compile(r"(?:\bv|\bversion|\brelease|\bbuild)[ .:]*\Z", re.IGNORECASE)

Check = Callable[[str], bool]


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return _issued(digits) and len(set(digits)) > 1 and checksums.luhn(digits)


def _issued(digits: str) -> bool:
    """Whether the first digits and the length are those of a card network."""
    two, four, length = int(digits[:2]), int(digits[:4]), len(digits)
    if digits[0] == "4":
        return length in (13, 16, 19)
    if two in (34, 37):
        return length == 15  # American Express
    if two in (36, 38) or 300 <= int(digits[:3]) <= 305:  # Diners Club
        return length == 14
    mastercard = 51 <= two <= 55 or 2221 <= four <= 2720
    return length in (16, 19) and (mastercard or two in (35, 60, 62, 64, 65))


def _phone(text: str) -> bool:
    """Whether there are as many digits as numbers have; without separators 8 say too little."""
    digits = re.sub(r"\D", "", text)
    least = 8 if re.search(r"\d\D+\d", text) else 10
    return least <= len(digits) <= 15  # E.164


def _ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _digits(check: Check) -> Check:
    return lambda text: check(re.sub(r"[\s.-]", "", text))


def _always(_: str) -> bool:
    return True


IDENTITIES: Final[tuple[tuple[re.Pattern[str], Check], ...]] = (
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), _ssn),
    (
        re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"),
        _always,
    ),
    (re.compile(r"(?<![\w-])(?:\d{8}|[XYZ]\d{7})-?[A-Z](?![\w-])"), _digits(checksums.dni)),
    (
        re.compile(r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2])(?: ?\d{2})(?: ?\d{3}){2} ?\d{2}\b"),
        lambda text: checksums.nir(text.replace(" ", "")),
    ),
    (re.compile(r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"), _digits(checksums.cpf)),
    (re.compile(r"(?<![\w-])[2-9]\d{3} \d{4} \d{4}(?![\w-]| \d)"), _digits(checksums.verhoeff)),
    (
        re.compile(r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX]\b"),
        checksums.resident_id,
    ),
)
"""US SSN, UK NINO, Spanish DNI and NIE, French NIR, Brazilian CPF, Indian Aadhaar, Chinese number."""


def find_personal(text: str) -> list[PersonalSpan]:
    """Return the findings in order of place; where two overlap, the surer kind stays."""
    kept: list[PersonalSpan] = []
    for found in _candidates(text):
        if all(found.end <= other.start or other.end <= found.start for other in kept):
            kept.append(found)
    return sorted(kept, key=lambda found: found.start)


def _candidates(text: str) -> Iterator[PersonalSpan]:
    """Yield spans, the surest kinds first."""
    # One cheap search before each costly pattern: most texts hold nothing of the kind.
    if SECRET_HINTS.search(text):
        yield from _spans(SECRET, text, "SECRET")
    if "@" in text:
        yield from _spans(PASSWORD, text, "PASSWORD")
        yield from _spans(EMAIL, text, "EMAIL")
    if DIGITS.search(text):
        yield from _numbers(text)
    if text.count(".") > 2 or text.count(":") > 2:  # four parts have three marks
        for pattern in (IPV4, IPV6):
            for span in _spans(pattern, text, "IP", _address):
                # `v10.20.30.40` is a version.
                if not VERSION.search(text[max(0, span.start - 10) : span.start]):
                    yield span


def _numbers(text: str) -> Iterator[PersonalSpan]:
    yield from _ibans(text)
    yield from _spans(CARD, text, "CARD", _card)
    for pattern, check in IDENTITIES:
        yield from _spans(pattern, text, "ID", check)
    yield from _spans(PHONE, text, "PHONE", _phone)
    for found in CALLED.finditer(text):
        yield PersonalSpan(found.start("number"), found.end("number"), "PHONE")


def _ibans(text: str) -> Iterator[PersonalSpan]:
    """Yield account numbers; a word in capitals right behind one is not taken as part of it."""
    for found in IBAN.finditer(text):
        characters = 0
        length = checksums.LENGTHS.get(found.group()[:2], 0)
        for at, character in enumerate(found.group(), start=found.start()):
            characters += character != " "
            if characters == length:
                span = text[found.start() : at + 1].replace(" ", "")
                if checksums.iban(span) and not text[at + 1 : at + 2].isalnum():
                    yield PersonalSpan(found.start(), at + 1, "IBAN")
                break


def _address(value: str) -> bool:
    """A public address; `1.2.3.4` is a version."""
    if "." in value and all(len(part) == 1 for part in value.split(".")):
        return False
    try:
        # Private, loopback and documentation addresses point to nobody.
        return ipaddress.ip_address(value).is_global
    except ValueError:
        return False


def _spans(
    pattern: re.Pattern[str], text: str, kind: str, check: Check = _always
) -> Iterator[PersonalSpan]:
    for found in pattern.finditer(text):
        if check(found.group()):
            yield PersonalSpan(found.start(), found.end(), kind)
