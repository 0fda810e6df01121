"""Texts on which two readings of a tokenizer are compared: about 2,000, the same in every run.

Holdout prompts hold what the rows of one task hold. Tokenizers differ on what users write besides: digits, runs of
spaces, other scripts, emoji, code, marks that join to the letter before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Final

PRINTABLE: Final = [chr(code) for code in range(32, 127)]
WORDS: Final = [
    "the", "The", "THE", "don't", "DON'T", "we'll", "I'm", "it\u2019s", "naïve", "café", "e-mail", "well-known",
    "HTML5", "camelCase", "snake_case", "x2y", "3rd", "v1.2.3", "and/or", "C++", "C#", "#tag", "@user", "a.b@c.org",
    "https://example.org/a?b=1&c=%20", "…", "--", "“quoted”", "\u2018single\u2019", "(paren)", "[x]", "{y}", "<z>",
    "§12", "№5",
]  # fmt: skip
SCRIPTS: Final = [
    "Привет мир", "Ελληνικά", "עברית", "العربية", "فارسی", "हिन्दी", "বাংলা", "தமிழ்", "తెలుగు", "ไทย", "ລາວ",
    "မြန်မာ", "ქართული", "Հայերեն", "አማርኛ", "한국어", "日本語", "中文字符", "繁體中文", "カタカナ", "ひらがな",
    "Tiếng Việt", "Türkçe", "Español", "Polski", "Čeština", "Íslenska", "Ελλάς", "ẞß", "ﬁn", "Ωμέγα", "ⅷ", "½", "x²",
    "①", "\uff11\uff12\uff13", "٣٤٥", "०१२",
]  # fmt: skip
PICTURES: Final = [
    "😀", "🎉", "👍🏽", "👩\u200d💻", "👨\u200d👩\u200d👧\u200d👦", "🇩🇪", "🏴\u200d☠️", "❤️", "☃", "✓", "→", "€",
    "£", "¥", "₹", "°", "±", "\u00d7", "∑", "√", "∞", "≤", "♞", "■", "█",
]  # fmt: skip
MARKS: Final = [
    "é", "ñ", "ộ", "a\u200bb", "a\u200db", "a\xa0b", "a\u202fb", "a\u3000b", "a\xadb", "\ufeffa", "a\u2028b",
]  # fmt: skip
CODE: Final = (
    "def f(x):\n    return x ** 2\n", "for (int i = 0; i < 10; ++i) {\n\tsum += a[i];\n}",
    "if x == 'y':\n\n\n    pass", '{"a": [1, 2.5, -3e10], "b": null}', '<div class="x">\n  <p>text</p>\n</div>',
    "SELECT * FROM t WHERE a >= 1;", "\\frac{a}{b} \\cdot \\alpha", "#include <stdio.h>",
    "x = lambda y: y//2  # note", "a\r\nb\r\n", "| a | b |\n|---|---|", "- [ ] item\n- [x] done",
    "```python\nprint(1)\n```", "key: value\nlist:\n  - 1\n  - 2\n", "0x1F 0b101 1_000 1e-5 .5 5.",
)  # fmt: skip
NUMBERS: Final = [
    "1,234,567.89", "2026-11-26", "12:30:45", "+49 30 1234", "3.14159", "1/2", "100%", "$5.00", "-17", "007",
]  # fmt: skip
BETWEEN: Final = (" ", "  ", "\n", "\t", "12", "345", "6789")
MIXED: Final = 900


@cache
def corpus() -> tuple[str, ...]:
    """Return the texts, none of them twice. With other texts, `predict_gguf.REVISION` is another one."""
    return tuple(dict.fromkeys(_texts()))


def _texts() -> Iterator[str]:
    for one in PRINTABLE:
        yield from (one, f" {one}", one * 3, f"a{one}b", f"a {one} b", f"1{one}2")
    for length in range(1, 17):
        yield from ("7" * length, "1234567890"[:length] * 2)
        yield from (f"a{' ' * length}b", " " * length, f"{' ' * length}x")
        yield from ("\n" * length, f"a{chr(10) * length}b", "\t" * length)
        yield from (f"x{chr(9) * length}y", f"{' \n' * length}z")
    yield from NUMBERS
    for one in (*WORDS, *SCRIPTS, *PICTURES, *MARKS):
        yield from (one, f" {one}", f"{one}{one}", f"x{one}1", f"{one}.\n", f"{one} {one}")
    yield from (*CODE, *(f"  {one}" for one in CODE))
    draw = random.Random(20)  # noqa: S311 - texts, no secrets
    parts = (*PRINTABLE, *WORDS, *SCRIPTS, *PICTURES, *MARKS, *BETWEEN)
    for _ in range(MIXED):
        between = draw.choice(("", " ", " ", "\n"))
        yield between.join(draw.choice(parts) for _ in range(draw.randint(2, 9)))
