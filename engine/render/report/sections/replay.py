"""General text that was trained beside the rows: whose, how much of it, and what of it was left out."""

from __future__ import annotations

from engine.evidence import ReplayResult, Report
from engine.render import blocks
from engine.render.labels import untrained
from engine.render.number_format import count, counted, duration, percent
from engine.render.report.sections import report_section

_LEAD = (
    "General text is trained on with the rows, so that less of what the base model knew is forgotten. It is no row of "
    "the task and judges nothing. "
)
_WHOSE = {
    True: "The base model wrote it by itself, sampled by seed: nobody has read it.",
    False: "The recipe names where it stands.",
}


@report_section("replay", at=87)
def replay(report: Report) -> blocks.Section | None:
    """Nothing where the recipe asks for none."""
    result = report.replay
    if result is None:
        return None
    facts: list[tuple[str, blocks.Cell]] = [
        ("text", "sampled from the base model" if result.sampled else "given"),
        ("share of learned tokens", f"{percent(result.reached)}, asked: {percent(result.share)}"),
        (
            "learned in an epoch",
            f"{count(result.tokens)} tokens of {counted(result.texts, 'text')}",
        ),
        ("beside", f"{count(result.own_tokens)} tokens of the task's rows"),
        ("sampled" if result.sampled else "read", counted(result.read, "text")),
    ]
    facts += [(f"left out: {why}", count(texts)) for why, texts in result.left_out.items()]
    facts += [("sampling took", duration(result.seconds))] if result.sampled else []
    return blocks.Section(
        title="Replay",
        lead=_LEAD + _WHOSE[result.sampled] + untrained(report),
        blocks=(blocks.Facts(tuple(facts)),),
        card=(replay_line(result),),
    )


def replay_line(result: ReplayResult) -> str:
    """What is trained beside the rows, in one line."""
    whose = "sampled from the base model" if result.sampled else "given"
    texts = counted(result.texts, "text")
    return f"replay: {texts} {whose}, {percent(result.reached)} of the learned tokens"
