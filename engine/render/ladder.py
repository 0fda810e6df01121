"""The parity ladder in words and rows that every format shares: one form of the model after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.evidence import Check, Flip, Report, Rung, Status
from engine.render.measures import kind_of, told, value_of
from engine.render.quantities import DASH, amount, count, percent
from engine.render.spans import crop
from engine.render.wording import find_metric, sentence

LOSSLESS = ("adapter", "merged", "f16")
"""Rungs that store the same weights in another form; all others are quantizations."""
LEAD = (
    "The same holdout rows, asked again in every form the model takes on its way into the file. "
    "Agreement, changed answers and shift are against the form before; those of a quantization "
    "against the last form that should lose nothing."
)
SHIFT = (
    "shift: mean absolute change of an answer's log-probability (for chat and text: of a token's), "
    "and the largest"
)
_EXACT = ("classification", "multilabel", "extraction")
"""Kinds in which an answer is right or wrong."""
_LONGEST = 160
_TOKENS = "token_parity"
MOST_DELTAS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The rows that one step changed."""

    before: str
    """Names of the two forms."""
    after: str
    flips: tuple[Flip, ...]


def columns(metric: str) -> list[str]:
    """Heads of the ladder's table."""
    return ["form", "answer", metric, "agreement", "changed", "shift", "token ids"]


def cells(rung: Rung, metric: str) -> list[str]:
    """One rung under `columns`."""
    return [
        rung.name,
        answer(rung),
        told(find_metric(rung.scores, metric)),
        agreement(rung),
        changed(rung),
        shift(rung),
        token_parity(rung),
    ]


def table_of(ladder: Sequence[Rung], metric: str) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the ladder, without the columns that say nothing for any rung."""
    heads, rows = columns(metric), [cells(rung, metric) for rung in ladder]
    used = [at for at in range(len(heads)) if any(row[at] != DASH for row in rows)]
    return [heads[at] for at in used], [[row[at] for at in used] for row in rows]


def agreement(rung: Rung) -> str:
    """`296 of 300 (98.7 %)`; a dash where nothing was compared."""
    same = rung.agreement
    if same is None or same.value is None:
        return DASH
    return f"{count(round(same.value * same.n))} of {count(same.n)} ({percent(same.value)})"


def changed(rung: Rung) -> str:
    """How many answers differ from the rung before."""
    return DASH if rung.agreement is None else count(len(rung.flips))


def shift(rung: Rung) -> str:
    """`0.012, at most 0.31`."""
    if rung.mean_shift is None:
        return DASH
    mean = amount(rung.mean_shift, decimals=4)
    if rung.largest_shift is None:
        return mean
    return f"{mean}, at most {amount(rung.largest_shift, decimals=3)}"


def token_parity(rung: Rung) -> str:
    """`300 of 300 the same`: prompts read as the same tokens, where fewest are; a dash where not compared."""
    checks = [check for check in _checks(rung) if check.name.startswith(_TOKENS)]
    found = [(check.got * check.n, check.n) for check in checks if check.got is not None]
    if not found:
        return DASH
    same, of = min(found)
    return f"{count(round(same))} of {count(of)} the same"


def answer(rung: Rung) -> str:
    """Whether this form was taken: `kept`, `refused`, …; `not gated` where nothing was asked of it."""
    if rung.verdict is None:
        return "not gated"
    is_lossless = rung.name in LOSSLESS
    return {
        Status.PASS: "holds" if is_lossless else "kept",
        Status.FAIL: "does not hold" if is_lossless else "refused",
        Status.INCONCLUSIVE: "not decided",
        Status.WARN: "holds, with a warning",
    }[rung.verdict.status]


def reasons(ladder: Sequence[Rung], at: int) -> list[str]:
    """What a rung did not hold, and its note where it says more than what it was compared with."""
    rung = ladder[at]
    told_ = [sentence(check) for check in broken(rung)]
    is_plain = rung.note in ("", f"compared with {before(ladder, at)}")
    return told_ if is_plain else [*told_, rung.note]


def broken(rung: Rung) -> list[Check]:
    """The checks of a rung that do not hold."""
    return [item for item in _checks(rung) if item.status in (Status.FAIL, Status.INCONCLUSIVE)]


def _checks(rung: Rung) -> Sequence[Check]:
    return rung.verdict.checks if rung.verdict else ()


def summary(ladder: Sequence[Rung], metric: str) -> str:
    """The main metric from rung to rung: `adapter 0.896 · merged 0.896 · f16 0.896 · Q4_K_M 0.893`."""
    return " · ".join(f"{rung.name} {_value(rung, metric)}" for rung in ladder)


def _value(rung: Rung, metric: str) -> str:
    found = find_metric(rung.scores, metric)
    if found is None or found.value is None:
        return "not computed"
    return value_of(metric, found.value)


def last_kept(ladder: Sequence[Rung]) -> Rung | None:
    """The form that leaves: the last that was not refused."""
    kept = [rung for rung in ladder if rung.verdict is None or rung.verdict.status is Status.PASS]
    return kept[-1] if kept else None


def steps(report: Report) -> list[Changes]:
    """The rows that changed, step by step; from reports without a ladder those of quantization."""
    if report.ladder:
        return [
            Changes(before=before(report.ladder, at), after=rung.name, flips=rung.flips)
            for at, rung in enumerate(report.ladder)
            if rung.flips
        ]
    flips = tuple(
        Flip(id=str(x["id"]), target=str(x["target"]), before=x["merged"], after=x["quantized"])
        for x in report.flips
    )
    return [Changes(before="merged", after="quantized", flips=flips)] if flips else []


def before(ladder: Sequence[Rung], at: int) -> str:
    """The form that this one was compared with: the last one before it that should lose nothing."""
    known = [rung.name for rung in ladder[:at] if rung.name in LOSSLESS]
    return known[-1] if known else "before"


def flip_columns(report: Report, step: Changes) -> list[str]:
    """Heads of the list of changed rows."""
    effect = ["effect"] if kind_of(report) in _EXACT else []
    return ["row", "right answer", step.before, step.after, *effect]


def flip_cells(report: Report, flip: Flip) -> list[str]:
    """One changed row under `flip_columns`."""
    answers = [crop(_said(text), _LONGEST) for text in (flip.target, flip.before, flip.after)]
    effect = [_effect(flip)] if kind_of(report) in _EXACT else []
    return [flip.id, *answers, *effect]


def _said(text: str | None) -> str:
    return "invalid output" if text is None else text


def _effect(flip: Flip) -> str:
    if flip.after == flip.target:
        return "corrected"
    return "lost" if flip.before == flip.target else "wrong either way"


def delta_rows(
    ladder: Sequence[Rung],
) -> tuple[list[str], list[tuple[str, list[float | None]]], int]:
    """F1 by label or field, minus the rung before: the rungs, rows of the largest changes, rows left out."""
    rungs = [rung for rung in ladder if rung.class_deltas]
    found = [dict(rung.class_deltas) for rung in rungs]
    labels = list(dict.fromkeys(label for deltas in found for label in deltas))
    rows = [(label, [deltas.get(label) for deltas in found]) for label in labels]
    moved = [row for row in rows if any(value is None or value for value in row[1])]
    moved.sort(key=lambda row: min(-1.0 if value is None else value for value in row[1]))
    shown = moved[:MOST_DELTAS]
    return [rung.name for rung in rungs], shown, len(rows) - len(shown)
