"""Words of any script: letters and digits, with the marks that belong to them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BLOCKS: Final = (
    (0x0300, 0x1E00),
    (0x20D0, 0x2100),
    (0x2CEF, 0x2E00),
    (0x302A, 0x3100),
    (0xA66F, 0xAC00),
    (0xFE20, 0xFE30),
)
"""Where marks stand: vowels and tones of the scripts of India and its neighbours, accents, points of Hebrew."""
_MARKS: Final = "".join(
    chr(point)
    for first, end in _BLOCKS
    for point in range(first, end)
    if unicodedata.category(chr(point)).startswith("M")
)
IN_WORD: Final = rf"\w{_MARKS}\u200c\u200d"
"""What stands within words, for a class of a pattern: with the joiners of Persian and Hindi."""
WORD: Final = re.compile(rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*")
r"""`\w` knows no marks: by it alone the Hindi words for boy and girl are the same three consonants."""
