"""Whether training did too little, too much or enough, and the edit of the recipe that follows from it."""

from __future__ import annotations

from engine.evidence import Diagnosis, Fit, Report
from engine.render import blocks
from engine.render.report.sections import report_section

_LEAD = {
    Fit.UNDERFITTED: "Training did too little.",
    Fit.OVERFITTED: "Training learned rows by heart: others are answered worse than those that it was trained on.",
    Fit.FITS: "Training did enough: nothing points at too little or too much of it.",
    Fit.NOISE_CEILING: "The labels of the rows allow no more than this.",
    Fit.NOT_KNOWN: "Whether training did too little or too much is not known.",
}


@report_section("diagnosis", at=6)
def diagnosis(report: Report) -> blocks.Section | None:
    """Nothing where no trained model was judged."""
    found = report.diagnosis
    if found is None:
        return None
    shown: list[blocks.Block] = [*blocks.bullets(found.reasons)]
    if found.edits:
        rows = ((blocks.Code(one.key), one.current, one.proposed) for one in found.edits)
        shown.append(blocks.table("What to change", "key | >now | >proposed", rows, "narrow"))
        shown.append(blocks.Listing(title="In the recipe", text=found.yaml, is_open=True))
    is_plain = report.outcome == "accepted" and found.fit is Fit.FITS and not found.edits
    return blocks.Section(
        is_open=True,
        title="What would make it better" if found.edits else f"Diagnosis: {fit_words(found)}",
        lead=_LEAD[found.fit],
        blocks=tuple(shown),
        closing=() if is_plain else (_closing(found),),
    )


def fit_words(found: Diagnosis) -> str:
    """The diagnosis in a word or two."""
    return found.fit.value.replace("_", " ")


def _closing(found: Diagnosis) -> str:
    return f"diagnosis: {fit_words(found)}: {'; '.join(found.reasons[:2])}"
