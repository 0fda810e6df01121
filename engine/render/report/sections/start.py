"""Where the model came from: the layers that are left of it, or the sizes and the tokenizer of a blank one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.evidence import Report, StartSummary
from engine.render.blocks import Cell, Facts, Section
from engine.render.number_format import millions
from engine.render.report.sections import report_section


@report_section("start", at=85)
def start(report: Report) -> Section | None:
    """What was made before training; nothing for a base model as it came."""
    found = report.start
    if found is None:
        return None
    facts = _of_layers(found) if found.kind == "fewer_layers" else _of_blank(found)
    blocks = (Facts(tuple(facts)),)
    return Section(title="Where the model came from", lead=report.base_model, blocks=blocks)


def _of_layers(found: StartSummary) -> Iterator[tuple[str, Cell]]:
    share = found.parameters / max(1, found.parameters_before)
    left, whole = millions(found.parameters), millions(found.parameters_before)
    yield "layers", f"{len(found.kept)} of {found.of}: {', '.join(map(str, found.kept))}"
    yield "parameters", f"{left} of {whole} ({100 * share:.0f} %)"


def _of_blank(found: StartSummary) -> Iterator[tuple[str, Cell]]:
    yield "parameters", f"{millions(found.parameters)}, drawn by seed"
    yield "tokenizer", f"{found.vocabulary:,} tokens"
    yield "bytes a token", f"{found.bytes_per_token:.2f} of the training text"
