"""Check digits: what tells a card or account number from any other row of digits."""

from __future__ import annotations

from typing import Final

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
