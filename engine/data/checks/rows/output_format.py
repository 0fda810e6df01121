"""Answers written in more than one way: some with a full stop, some as JSON, some in quotes."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from engine.data.checks.rows.base import TraitCheck
from engine.values import Value

RARE: Final = 0.10
USUAL: Final = 0.85
LEAST: Final = 20
"""Answers that show a form, below which nothing is usual."""
NEITHER: Final = "~"
"""The form of an answer that shows none of a feature's forms, such as one that ends with `?`."""
FENCE: Final = re.compile(r"\A\s*```.*```\s*\Z", re.DOTALL)
BULLET: Final = re.compile(r"^[ \t]*(?:([-*\u2022])|(\d+)[.)])[ \t]+\S", re.MULTILINE)
QUOTES: Final = ('""', "''", "\u201c\u201d", "\u00ab\u00bb", "``")


def _end(answer: str) -> str:
    last = answer.rstrip()[-1:]
    if last in (".", "\u3002"):
        return "stop"
    return "open" if last.isalnum() else NEITHER


def _case(answer: str) -> str:
    first = answer.lstrip()[:1]
    if first.isupper():
        return "upper"
    return "lower" if first.islower() else NEITHER


def _quotes(answer: str) -> str:
    inner = answer.strip()
    pair = inner[:1] + inner[-1:]
    # With a quote between them, as in `"a" and "b"`, it is not quoted as a whole.
    is_one = len(inner) > 1 and set(pair).isdisjoint(inner[1:-1])
    return "quoted" if is_one and pair in QUOTES else "bare"


def _shape(answer: str) -> str:
    inner = answer.strip()
    # With a quote somewhere: `[see above]` and `{name}` are plain text in brackets.
    return "json" if inner[:1] + inner[-1:] in ("{}", "[]") and '"' in inner else "plain"


def _bullets(answer: str) -> str:
    found = BULLET.search(answer)
    if found is None:
        return NEITHER
    return found.group(1) or "1."


class Feature(Value, kw_only=False):
    of: Callable[[str], str]
    words: Mapping[str, str]
    mixed: bool
    """Reported also where both forms are common: never meant, unlike upper and lower case."""


FEATURES: Final[tuple[Feature, ...]] = (
    Feature(_end, {"stop": "end with a full stop", "open": "end without a full stop"}, mixed=False),
    Feature(
        _case, {"upper": "begin with a capital", "lower": "begin with a small letter"}, mixed=False
    ),
    Feature(
        lambda answer: "trimmed" if answer == answer.strip() else "padded",
        {"padded": "have white space around them", "trimmed": "have none"},
        mixed=True,
    ),
    Feature(_quotes, {"quoted": "stand in quotes", "bare": "stand without"}, mixed=True),
    Feature(
        lambda answer: "fenced" if FENCE.match(answer) else "unfenced",
        {"fenced": "stand in a code fence", "unfenced": "stand without"},
        mixed=True,
    ),
    Feature(_shape, {"json": "are JSON", "plain": "are plain text"}, mixed=True),
    Feature(
        _bullets,
        {
            "-": "list with `-`",
            "*": "list with `*`",
            "\u2022": "list with `\u2022`",
            "1.": "list with numbers",
        },
        mixed=False,
    ),
)


def form_of(answer: str) -> str:
    return " ".join(feature.of(answer) for feature in FEATURES) if answer.strip() else ""


def odd_forms(counts: Mapping[str, int]) -> tuple[frozenset[str], str]:
    """Return the traits with a form of under 10 % of the answers where another has 85 %.

    White space, quotes, code fences and JSON are reported also where both forms are common (15 to
    85 %); then no trait is returned for them, as neither form is the odd one.
    """
    odd: set[str] = set()
    parts: list[str] = []
    for at, feature in enumerate(FEATURES):
        forms = _forms(counts, at, feature)
        rare = _rare(forms)
        if rare:
            # A blank answer has the empty trait and is the business of the check `empty`.
            odd |= {trait for trait in counts if trait and trait.split(" ")[at] in rare}
        if rare or (
            feature.mixed and forms.total() >= LEAST and max(forms.values()) < USUAL * forms.total()
        ):
            shares = [f"{count:,} {feature.words[form]}" for form, count in forms.most_common()]
            parts.append(", ".join(shares))
    sentence = "answers are written in more than one way: " + "; ".join(parts) if parts else ""
    return frozenset(odd), sentence


def shown_form(trait: str, counts: Mapping[str, int]) -> str:
    own = trait.split(" ")
    rare = (
        feature.words[own[at]]
        for at, feature in enumerate(FEATURES)
        if own[at] in _rare(_forms(counts, at, feature))
    )
    return f"one of those that {' and '.join(rare)}"


def _forms(counts: Mapping[str, int], at: int, feature: Feature) -> Counter[str]:
    forms: Counter[str] = Counter()
    for trait, count in counts.items():
        form = trait.split(" ")[at] if trait else ""
        if form in feature.words:
            forms[form] += count
    return forms


def _rare(forms: Counter[str]) -> set[str]:
    total = forms.total()
    if total < LEAST or max(forms.values()) < USUAL * total:
        return set()
    return {form for form, count in forms.items() if count < RARE * total}


OUTPUT_FORMAT: Final = TraitCheck("output_format", form_of, odd_forms, shown_form, of_answers=True)
"""Compares how answers are written; for free answers only (generation, chat, preference)."""
