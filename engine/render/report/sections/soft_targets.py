"""A teacher's probabilities: what was asked, how near the student came, and the answers alone beside it."""

from __future__ import annotations

from engine.evidence import (
    Comparison,
    LearnedTargets,
    Report,
    SoftAgainstAnswers,
    SoftTargetsResult,
)
from engine.render import blocks
from engine.render.labels import estimate, find_metric, untrained
from engine.render.metric_format import column_name, interval_of, prose_name, value_of
from engine.render.number_format import DASH, count, counted, duration, p_values, percent
from engine.render.report.sections import report_section

_LEAD = (
    "A student learns its teacher's probabilities of each answer's tokens, not the answers alone. They were computed "
    "once and kept; validation and holdout have none."
)
_BESIDE = (
    "The same rows trained twice: with the teacher's probabilities, and from the answers alone. Paired on the same "
    "holdout rows; a positive difference means that soft targets are better here. It is one training each, and another "
    "task or seed may turn it round."
)


@report_section("soft-targets", at=33)
def soft_targets(report: Report) -> blocks.Section | None:
    """Nothing where only answers are learned."""
    found = report.soft_targets
    if found is None:
        return None
    facts: list[tuple[str, blocks.Cell]] = [
        ("rows", f"{count(found.rows)} different ones, {counted(found.tokens, 'learned token')}"),
        (
            "kept",
            f"the {found.kept_tokens} most probable tokens at each{_share(found.probability)}",
        ),
    ]
    if found.agreement is not None:
        agreed = f"{percent(found.agreement)} of the learned tokens"
        facts.append(("its own first choice", agreed))
    asked = f"{counted(found.asked, 'row')} when this was made, {duration(found.seconds)}"
    rest = found.rows - found.asked
    facts.append(("asked", f"{asked}; {count(rest)} had been asked before" if rest else asked))
    learned = report.training.soft_targets if report.training else None
    facts += [("divergence", _divergence(learned))] if learned else []
    return blocks.Section(
        title="Soft targets",
        lead=_LEAD + untrained(report),
        blocks=(blocks.Facts(tuple(facts)),),
        card=(soft_line(found),),
    )


def soft_line(found: SoftTargetsResult) -> str:
    """What the teacher was asked, in one line."""
    asked = f"{count(found.asked)} asked now" if found.asked else "none asked now"
    rows, tokens = counted(found.rows, "row"), counted(found.tokens, "token")
    return f"soft targets of {tokens} in {rows}, {asked}"


def _share(probability: float | None) -> str:
    return "" if probability is None else f", with {percent(probability)} of the probability"


def _divergence(learned: LearnedTargets) -> str:
    first = DASH if learned.first is None else f"{learned.first:.3g}"
    return f"{first} nats a token at the first step, {learned.last:.3g} in the last epoch"


@report_section("soft-against-answers", at=112)
def soft_against_answers(report: Report) -> blocks.Section | None:
    """Nothing unless the recipe compares them."""
    found = report.soft_against_answers
    if found is None:
        return None
    return blocks.Section(
        title="Soft targets and answers",
        lead=_BESIDE,
        blocks=(_beside(report, found),),
        card=tuple(map(against_answers_line, found.comparisons)),
    )


def against_answers_line(item: Comparison) -> str:
    """How far soft targets and answers lie apart in one metric."""
    shown = value_of(item.metric, item.difference, signed=True)
    ends = interval_of(item.metric, item.interval, signed=True)
    return f"soft targets against answers alone: {item.metric} {shown} {ends}".rstrip()


def _beside(report: Report, found: SoftAgainstAnswers) -> blocks.Table:
    rows: list[list[blocks.Cell]] = [
        [
            column_name(item.metric),
            estimate(find_metric(report.holdout, item.metric)),
            estimate(find_metric(found.answers, item.metric)),
            blocks.Estimate(
                value_of(item.metric, item.difference, signed=True),
                interval_of(item.metric, item.interval, signed=True),
            ),
            p_values(item.p_value, item.p_adjusted) or DASH,
            count(item.n),
        ]
        for item in found.comparisons
    ]
    caption = f"On the holdout, {', '.join(prose_name(one.metric) for one in found.comparisons)}"
    columns = "metric | >soft targets | >answers alone | >difference | p | >rows"
    return blocks.table(caption, columns, rows)
