"""The table of hostile cases: what a stranger tried, what had to come of it, and what came.

`python -m support.hostile_table` runs all of them and writes docs/reference/hostile-cases.md; 1 where one did not end
as it must. A case is right where the verbs end with the codes that it names, and nothing was read, sent, run, written
or shown besides (`Victim.faults`).
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.hostile_victim import CODE, Victim, make_victim
from support.paths import ROOT
from support.project import Outcome

PAGE: Final = ROOT / "docs" / "reference" / "hostile-cases.md"
HEAD: Final = """\
# Hostile cases

What a stranger's folder tried, what had to come of it, and what came, with the exit code of each verb and the codes it named. In every
case no secret of the user's home was read or shown, nothing outside the clone was written, no other machine was asked, no program but git, Python and
ldconfig was started, and no control character was printed. Written by `uv run just hostile`; the tests run one case in {sample},
`pytest -m exhaustive tests/functional/hostile` all.

What is promised, and to whom: [what a stranger's folder may do](../explanation/security.md).
"""
SAMPLE: Final = 16
Make = Callable[[Victim], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A verb, and how it has to end."""

    words: tuple[str, ...]
    code: int
    says: tuple[str, ...] = ()
    """Codes, or words, that it must show."""

    @property
    def expected(self) -> str:
        return " ".join([self.words[0], str(self.code), *self.says])

    def got(self, outcome: Outcome) -> str:
        shown = outcome.out + outcome.err
        found = [one for one in self.says if one in shown]
        # Where what was wanted is missing, the codes that stand there instead are of use.
        others = [] if len(found) == len(self.says) else sorted(set(CODE.findall(shown)))
        return " ".join([self.words[0], str(outcome.code), *dict.fromkeys([*found, *others])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that somebody tries."""

    group: str
    what: str
    tried: str
    """In a few words, or as it stands in the recipe."""
    make: Make
    asks: tuple[Ask, ...] = ()
    look: Callable[[Victim], str] | None = None
    """Something else that is looked at afterwards; returns `wanted`, or what is there instead."""
    wanted: str = ""

    @property
    def name(self) -> str:
        return f"{self.group}: {self.what}"

    @property
    def expected(self) -> str:
        return "; ".join([*(one.expected for one in self.asks), *filter(None, [self.wanted])])

    def got(self, folder: Path) -> str:
        """What came of it, in an empty folder."""
        victim = make_victim(folder)
        self.make(victim)
        victim.before = victim.outside()
        outcomes = [victim.type(one.words) for one in self.asks]
        found = [ask.got(one) for ask, one in zip(self.asks, outcomes, strict=True)]
        looked = [self.look(victim)] if self.look else []
        return "; ".join([*found, *looked, *victim.faults(outcomes)])


def ask(words: str, code: int, *says: str) -> Ask:
    """`Ask`, by words with blanks between them."""
    return Ask(words=tuple(words.split()), code=code, says=tuple(filter(None, says)))


def all_cases() -> tuple[Case, ...]:
    """Every case, in the order of the page."""
    from support import (
        hostile_others,
        hostile_places,
        hostile_sizes,
        hostile_texts,
        hostile_trust,
    )

    parts = (hostile_trust, hostile_places, hostile_texts, hostile_sizes, hostile_others)
    found = [case for part in parts for case in part.CASES]
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    assert twice == [], twice
    return tuple(found)


SLOW: Final = frozenset({"try", "predict", "serve"})
"""Verbs that start llama.cpp."""


def sampled(cases: Sequence[Case]) -> list[Case]:
    """One case in `SAMPLE`, and the first of each group; none of the slow ones."""
    first = {one.group: number for number, one in reversed([*enumerate(cases)])}
    return [
        one
        for number, one in enumerate(cases)
        if (number % SAMPLE == 0 or number == first[one.group])
        and SLOW.isdisjoint(ask.words[0] for ask in one.asks)
    ]


def page(rows: Sequence[tuple[Case, str]]) -> str:
    """The page of the docs."""
    parts, group = [HEAD.format(sample=SAMPLE)], ""
    for case, got in rows:
        if case.group != group:
            group = case.group
            parts.append(
                f"\n## {group[:1].upper()}{group[1:]}\n\n| case | what was tried | expected | got |\n|---|---|---|---|\n"
            )
        cells = (case.what, _code(case.tried), case.expected, got)
        parts.append(f"| {' | '.join(cells)} |\n")
    wrong = sum(case.expected != got for case, got in rows)
    parts.append(f"\n{len(rows)} cases, {wrong} not as expected.\n")
    return "".join(parts)


def listed(text: str) -> dict[str, tuple[str, str]]:
    """What a page says was expected and came, by group and case."""
    found, group = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| case "):
            what, _, expected, got = [cell.strip() for cell in line.strip("|").split(" | ")]
            found[f"{group[:1].lower()}{group[1:]}: {what}"] = (expected, got)
    return found


def _code(text: str) -> str:
    shown = (
        text.encode("ascii", "backslashreplace").decode().replace("|", "\\|").replace("\n", "\\n")
    )
    shown = shown if len(shown) <= 140 else f"{shown[:137]}..."
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`" if shown else ""


def rows_of(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """Yield each case with what came of it."""
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield case, case.got(Path(folder))
            except Exception as error:  # noqa: BLE001 - the other cases are of use
                yield case, f"{type(error).__name__}: {error}"[:200]


def run() -> int:
    """Run every case and write the page."""
    import conftest  # noqa: F401 - the environment of all tests

    rows = list(rows_of(all_cases()))
    for case, got in rows:
        if got != case.expected:
            sys.stdout.write(f"{case.name}\n  expected {case.expected}\n  got      {got}\n")
    PAGE.write_text(page(rows), encoding="utf-8")
    return int(any(case.expected != got for case, got in rows))


if __name__ == "__main__":
    sys.exit(run())
