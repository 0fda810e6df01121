"""The plan's lines of what a run will take. Not a verb."""

from __future__ import annotations

from engine.estimate.run import Forecast
from engine.render.cost_text import cost_of, memory_words, parameter_words, token_words
from engine.render.number_format import about, size


def estimate_lines(found: Forecast, *, explain: bool) -> list[tuple[str, str]]:
    """Lines of what training takes, and of all stages together; with `explain` how each was derived."""
    training, device = found.training, found.device
    lines = []
    if training.trainable_parameters is not None and training.total_parameters is not None:
        said = [parameter_words(training.trainable_parameters, training.total_parameters)]
        if training.tokens is not None:
            said.append(token_words(training.tokens, exact=training.exact_tokens))
        said += [found.of] if found.of else []
        lines.append(("trains", " · ".join(said)))
    if training.memory_bytes is not None:
        told = memory_words(
            training.memory_bytes, device=device.name, has=device.memory_bytes, kind=device.kind
        )
        lines.append(("memory", told))
    lines += _total(found)
    lines += [("unknown", what) for what in training.unknown]
    if explain:
        return lines + [(what, how) for what, how in training.derived]
    return lines


def _total(found: Forecast) -> list[tuple[str, str]]:
    told = []
    if found.seconds is not None:
        untimed = found.untimed
        without = f" without {', '.join(untimed)}" if untimed else ""
        told.append(f"~{about(found.seconds)}{without}")
    if found.disk_bytes is not None:
        told.append(f"{size(found.disk_bytes)} disk")
    if found.cost is not None and found.price is not None:
        price = found.price
        told.append(cost_of(found.cost, price.currency, price.an_hour, price.source))
    told.append(_stands_on(found.training.basis, known=found.training.seconds is not None))
    said = " · ".join(filter(None, told))
    return [("in all", said)] if said else []


def _stands_on(basis: str, *, known: bool) -> str:
    if not known:
        return ""
    return {
        "probe": "training measured by a probe on this machine",
        "run": "training measured by a run on this machine",
    }.get(basis, "training reckoned, not measured: --probe runs 2 steps to sharpen it")
