"""Personal data and secrets in the texts of a row, reported without showing them, or masked."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from engine.data.checks.rows.base import RowCheck, rewritten, texts
from engine.data.examples.template import Filled
from engine.values import Value, replace

_IBANS: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28"
    " EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26"
    " IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30"
    " NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28"
    " TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
LENGTHS: Final[dict[str, int]] = {pair[:2]: int(pair[2:]) for pair in _IBANS.split()}
"""Characters of an IBAN by country (SWIFT IBAN registry)."""


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = "0246813579"
    odd = sum(map(int, digits[-1::-2]))
    even = sum(int(doubled[int(digit)]) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def iban(text: str) -> bool:
    """Return whether an account number without spaces has its country's length and checks."""
    if LENGTHS.get(text[:2]) != len(text):
        return False
    # ISO 7064, mod 97-10: country and check digits go to the end, letters count 10 to 35.
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def cpf(digits: str) -> bool:
    """Return whether eleven digits are a Brazilian CPF: two check digits modulo 11."""
    # 111.111.111-11 and its like satisfy both check digits, but are never issued.
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        weighted = sum(
            int(digit) * weight
            for digit, weight in zip(digits, range(length + 1, 1, -1), strict=False)
        )
        if weighted * 10 % 11 % 10 != int(digits[length]):
            return False
    return True


def dni(text: str) -> bool:
    """Return whether eight digits (or X, Y, Z and seven) and a letter are a Spanish DNI or NIE."""
    # In a NIE, the letters X, Y, Z stand for the digits 0, 1, 2.
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def nir(digits: str) -> bool:
    """Return whether fifteen digits are a French NIR: 97 less the number modulo 97."""
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def resident_id(text: str) -> bool:
    """Return whether 18 characters are a Chinese resident number (ISO 7064, mod 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(text, weights, strict=False))
    return "10X98765432"[total % 11] == text[-1]


_PERMUTE: Final = (
    "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258"
)
_DIHEDRAL: Final = (
    "0123456789 1234067895 2340178956 3401289567 4012395678"
    " 5987604321 6598710432 7659821043 8765932104 9876543210"
)


def verhoeff(digits: str) -> bool:
    """Return whether the last digit checks the others (Verhoeff 1969), as in an Aadhaar."""
    permute, dihedral = _PERMUTE.split(), _DIHEDRAL.split()
    check = 0
    for at, digit in enumerate(reversed(digits)):
        check = int(dihedral[check][int(permute[at % 8][int(digit)])])
    return check == 0


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
    return _issued(digits) and len(set(digits)) > 1 and luhn(digits)


def _issued(digits: str) -> bool:
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
    (re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"), _always),
    (re.compile(r"(?<![\w-])(?:\d{8}|[XYZ]\d{7})-?[A-Z](?![\w-])"), _digits(dni)),
    (
        re.compile(r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2])(?: ?\d{2})(?: ?\d{3}){2} ?\d{2}\b"),
        lambda text: nir(text.replace(" ", "")),
    ),
    (re.compile(r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"), _digits(cpf)),
    (re.compile(r"(?<![\w-])[2-9]\d{3} \d{4} \d{4}(?![\w-]| \d)"), _digits(verhoeff)),
    (
        re.compile(r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX]\b"),
        resident_id,
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
    yield from _spans(SECRET, text, "SECRET")
    if "@" in text:
        yield from _spans(PASSWORD, text, "PASSWORD")
        yield from _spans(EMAIL, text, "EMAIL")
    if DIGITS.search(text):
        yield from _ibans(text)
        yield from _spans(CARD, text, "CARD", _card)
        for pattern, check in IDENTITIES:
            yield from _spans(pattern, text, "ID", check)
        yield from _spans(PHONE, text, "PHONE", _phone)
        for found in CALLED.finditer(text):
            yield PersonalSpan(found.start("number"), found.end("number"), "PHONE")
    if text.count(".") > 2 or text.count(":") > 2:  # four parts have three marks
        for pattern in (IPV4, IPV6):
            for span in _spans(pattern, text, "IP", _address):
                # `v10.20.30.40` is a version.
                if not VERSION.search(text[max(0, span.start - 10) : span.start]):
                    yield span


def _ibans(text: str) -> Iterator[PersonalSpan]:
    """Yield account numbers; a word in capitals right behind one is not taken as part of it."""
    for found in IBAN.finditer(text):
        characters = 0
        length = LENGTHS.get(found.group()[:2], 0)
        for at, character in enumerate(found.group(), start=found.start()):
            characters += character != " "
            if characters == length:
                span = text[found.start() : at + 1].replace(" ", "")
                if iban(span) and not text[at + 1 : at + 2].isalnum():
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


def personal_data(texts_of_row: Sequence[str]) -> str | None:
    """Return what kinds the row holds, the first of each shown by its ends only, or None."""
    kinds: dict[str, str] = {}
    for text in texts_of_row:
        for found in find_personal(text):
            kinds.setdefault(found.kind, veiled(text, found))
    if not kinds:
        return None
    return "holds " + ", ".join(f"{NAMES[kind]}: `{shown}`" for kind, shown in kinds.items())


PERSONAL_DATA: Final = RowCheck(
    "personal_data",
    ("holds personal data", "hold personal data"),
    r"\d@_AGJ-",  # every secret has one of the letters, as in `AKIA`, `SG.` and `eyJ`, or of the last two
    personal_data,
)


def mask(filled: Filled) -> tuple[Filled, int]:
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
    target = filled.target if filled.labels else masked(filled.target)
    answer = payload.get("answer")
    if isinstance(answer, dict) and not filled.labels:
        # A placeholder in the place of a bare number would break the JSON.
        target = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return replace(filled, input=masked(filled.input), target=target, payload=payload), len(values)


def masked(text: str) -> str:
    # From the end, so that the positions of earlier findings stay right.
    for found in reversed(find_personal(text)):
        text = f"{text[: found.start]}[{found.kind}]{text[found.end :]}"
    return text


def veiled(text: str, found: PersonalSpan) -> str:
    value = text[found.start : found.end]
    if found.kind == "EMAIL":
        return f"{value[0]}…@{value.rpartition('@')[2]}"
    return f"{value[:2]}…" if found.kind != "PASSWORD" else "…"
