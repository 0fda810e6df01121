"""Rows in another language than most.

The detector is py3langid (Lui and Baldwin 2012; Barbaresi), whose confidence is calibrated for length. It is wrong on a
few percent of short informal texts, so a language counts as present only where it is sure of at least one row, and
close relatives of the main language are never reported. What it finds in mixtures of public sets is measured in
`docs/how-to/check-your-data.md`. A row that is not plainly English costs about 50 to 150 microseconds, others about 5.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from engine.data.checks.rows.base import TraitCheck
from engine.errors import listed, needs_extra
from engine.recipe.model import PathRef, Reference
from engine.recipe.text.dump import reference_mapping

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN: Final = "unknown"
MAYBE: Final = "?"
"""Behind the language of a row that the detector is not sure of."""
SURE: Final = 0.9
LIKELY: Final = 0.5
LETTERS: Final = 20
"""A shorter text says too little."""
READ: Final = 400
ODD_SHARE: Final = 0.05
MAIN_SHARE: Final = 0.5
"""Where no language has half of the rows, none is the odd one."""
WITNESSES: Final = 3
"""So many sure rows of a language, and its likely rows are taken for what they seem."""
LETTERS_ONLY: Final = "".join(chr(at).lower() if chr(at).isalpha() else " " for at in range(128))
"""Of ASCII: small letters for letters, and a space for everything else."""
ENGLISH: Final = (
    "the and you that with this have what from your they would which there their been were because"
    " could should about into when where who how does why has had"
)
"""Words that hardly stand in texts of other languages."""
ENGLISH_TOO: Final = "a i is of for my are to it can be not on in was at do me we"
"""Words that stand in others, too."""
SURELY_ENGLISH: Final = frozenset(ENGLISH.split())
MAYBE_ENGLISH: Final = frozenset(ENGLISH_TOO.split())
ENGLISH_WORDS: Final = 3
"""So many of them, and a quarter of its words, show that a text is English."""
PLAIN_SHARE: Final = 0.25
CLOSE: Final[tuple[frozenset[str], ...]] = (
    frozenset(("en", "pcm", "sco", "zxx")),
    frozenset(("id", "ms", "jv", "su", "min", "bjn")),
    frozenset(("no", "nb", "nn", "da", "sv")),
    frozenset(("hr", "bs", "sr", "sh", "sl")),
    frozenset(("pt", "gl", "es", "ast", "an", "ca")),
    frozenset(("cs", "sk")),
    frozenset(("ru", "uk", "be", "bg")),
    frozenset(("de", "nds", "lb", "gsw")),
    frozenset(("nl", "af")),
    frozenset(("hi", "mr", "ne")),
    frozenset(("fa", "ps", "ur", "ckb")),
    frozenset(("zh", "yue", "wuu")),
)
"""Languages that a detector takes for each other in short texts."""
NAMES: Final[dict[str, str]] = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "ha": "Hausa", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "ig": "Igbo", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "ms": "Malay", "nl": "Dutch", "no": "Norwegian",
    "pcm": "Nigerian Pidgin", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
    "yo": "Yoruba", "zh": "Chinese",
}  # fmt: skip
FAMILIES: Final = {
    "smollm3": "en fr es de it pt",
    "smollm|tinyllama|pythia|gpt-?2|gpt-?neo|olmo|mobilellm|cerebras-gpt|gemma-2": "en",
    r"llama-?3\.[123]": "en de fr it pt hi es th",
    "falcon-?3": "en fr es pt",
    "granite-3": "en de es fr ja pt ar cs it ko nl zh",
    "lfm2": "en ar zh fr de ja ko es",
}
"""Languages of base models by the name of their family, as their cards give them; those of a hundred are left out."""
MOST_OF_CARD: Final = 20_000
ASKED_ROWS: Final = 200
"""Whose languages are compared with those of a base model."""


def odd_languages(counts: Mapping[str, int]) -> tuple[frozenset[str], str]:
    """Return the traits of languages with under 5 % of the rows, beside one that has half."""
    rows: Counter[str] = Counter()
    for trait, count in counts.items():
        if trait != UNKNOWN:
            rows[trait.removesuffix(MAYBE)] += count
    total = sum(rows.values())
    # The name breaks ties, so that the order of the rows decides nothing.
    main = max(rows, key=lambda one: (rows[one], one), default="")
    if not main or rows[main] < MAIN_SHARE * total:
        return frozenset(), ""
    strays = {
        one: traits
        for one, count in sorted(rows.items())
        if count < ODD_SHARE * total and not _close(one, main)
        if (traits := _present(one, counts))
    }
    odd = frozenset(trait for traits in strays.values() for trait in traits)
    return (odd, _sentence(strays, counts, main, rows[main] / total)) if odd else (odd, "")


def language(text: str) -> str:
    """Return the ISO 639 code of a text's language, with `?` where likely, or `unknown`."""
    text = text[:READ]
    if text.isascii():
        words = text.translate(LETTERS_ONLY).split()
        if _are_english(words):
            return "en"
        letters = sum(map(len, words))
    else:
        letters = sum(map(str.isalpha, text))
    if letters < LETTERS:
        return UNKNOWN
    code: str
    code, confidence = _detector().classify(text)
    if confidence >= SURE:
        return code
    return f"{code}{MAYBE}" if confidence >= LIKELY else UNKNOWN


def main_language(texts: Iterable[str]) -> str:
    """Return the language of at least half of the texts whose language shows; empty for none."""
    traits = Counter(language(text).removesuffix(MAYBE) for text in texts)
    known = {one: count for one, count in traits.items() if one != UNKNOWN}
    main = max(known, key=lambda one: (known[one], one), default="")
    return main if main and known[main] >= MAIN_SHARE * sum(known.values()) else ""


def languages_of(base: Reference) -> list[str]:
    """Return the languages of a base model: of its card, or of the family that its name shows; none where unknown."""
    if isinstance(base, PathRef) and not base.withheld and (base.path / "README.md").is_file():
        with (base.path / "README.md").open(encoding="utf-8", errors="replace") as card:
            head = card.read(MOST_OF_CARD).partition("\n---")[0]
        value, *lines = head.partition("\nlanguage:")[2].splitlines() or [""]
        items = (
            value.strip(" []").split(",")
            if value.strip()
            else takewhile(lambda line: line.lstrip().startswith("-"), lines)
        )
        if codes := [
            code for one in items if re.fullmatch("[a-z]{2,3}", code := one.strip(" -\"'"))
        ]:
            return codes
    name = " ".join(map(str, reference_mapping(base).values())).lower()
    return next(
        (codes.split() for family, codes in FAMILIES.items() if re.search(family, name)), []
    )


def unspoken(base: Reference | None, texts: Iterable[str]) -> str:
    codes = languages_of(base) if base is not None and find_spec("py3langid") else []
    main = main_language(islice(texts, ASKED_ROWS)) if codes else ""
    if not main or any(_close(main, code) for code in codes):
        return ""
    return f"the rows are in {named(main)} and the base model was trained on {listed([*map(named, codes)])}"


def is_surely_other(text: str, main: str) -> bool:
    """Tell whether a text is surely in a language that is not near the main one; nothing is where that is empty."""
    found = language(text)
    is_sure = found != UNKNOWN and not found.endswith(MAYBE)
    return bool(main) and is_sure and not _close(found, main)


def _are_english(words: Sequence[str]) -> bool:
    """Whether a quarter of the words are English ones, three at least: spares the slow detector."""
    surely = sum(map(SURELY_ENGLISH.__contains__, words))
    if not surely:
        return False
    known = surely + sum(map(MAYBE_ENGLISH.__contains__, words))
    return known >= ENGLISH_WORDS and known >= PLAIN_SHARE * len(words)


def _close(one: str, other: str) -> bool:
    return one == other or any(one in group and other in group for group in CLOSE)


def _present(one: str, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The traits of a language's rows that are surely of it; none where it is likely noise."""
    sure = counts.get(one, 0)
    if not sure:
        return ()
    likely = f"{one}{MAYBE}"
    return (one, likely) if sure >= WITNESSES and likely in counts else (one,)


def _sentence(
    strays: Mapping[str, tuple[str, ...]], counts: Mapping[str, int], main: str, share: float
) -> str:
    sizes = {one: sum(counts[trait] for trait in traits) for one, traits in strays.items()}
    total = sum(sizes.values())
    others = ", ".join(
        f"{named(one)} {count:,}"
        for one, count in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    )
    what = "1 row is" if total == 1 else f"{total:,} rows are"
    return f"{what} in another language than most ({named(main)}, {share:.1%}): {others}"


def named(code: str) -> str:
    return NAMES.get(code, f"`{code}`")


@cache
def _detector() -> LanguageIdentifier:
    """Return the detector with its model; loading takes most of a second."""
    instead = ", or write `languages: off` under `data.checks`"
    with needs_extra("the check `languages` needs py3langid", "data", instead=instead):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    # Without `norm_probs` it gives unnormalised log-probabilities, and SURE and LIKELY mean nothing.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


LANGUAGES: Final = TraitCheck(
    "languages",
    # `en` where that is sure, `en?` where it is likely, `unknown` otherwise
    language,
    odd_languages,
    lambda trait, _: named(trait.removesuffix(MAYBE)),
    most=10_000,
)
"""Compares the language of each row's input with that of most rows."""
