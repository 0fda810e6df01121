"""An event as trackers take it: numbers by name, texts by name, and the step they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.tracking import stream
from engine.values import Value, field
from engine.values.numbers import shortest

SHOWN = {"loss": "loss", "eval_loss": "validation_loss"}


class EventFacts(Value):
    """What one event says."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None
    """Of training; None for what holds of the whole run."""


def facts_of(event: Mapping[str, Any]) -> EventFacts:
    """Return the facts of an event; none of an event that trackers have no place for."""
    read = _READERS.get(str(event.get("event")))
    return EventFacts() if read is None else read(event)


def _step(event: Mapping[str, Any]) -> EventFacts:
    place = "/".join(filter(None, (event["stage"], event.get("of", ""))))
    values = event["values"].items()
    numbers = {f"{place}/{SHOWN.get(name, name)}": float(value) for name, value in values}
    return EventFacts(numbers=numbers, step=int(event["step"]))


def _metrics(event: Mapping[str, Any]) -> EventFacts:
    place = f"{event['stage']}/{event['of']}"
    values = event["values"].items()
    return EventFacts(numbers={f"{place}/{name}": float(value) for name, value in values})


def _check(event: Mapping[str, Any]) -> EventFacts:
    name = f"{event['stage']}/check/{event['name']}"
    bound = f"{'at least' if event['direction'] == 'min' else 'at most'} {shortest(event['bound'])}"
    got = event.get("got")
    shown = "not known" if got is None else shortest(got, 4)
    text = f"{event['status']}: {shown}, {bound} asked"
    return EventFacts(numbers={} if got is None else {name: float(got)}, texts={name: text})


def _verdict(event: Mapping[str, Any]) -> EventFacts:
    return EventFacts(texts={f"{event['stage']}/verdict": str(event["status"])})


def _stage(event: Mapping[str, Any]) -> EventFacts:
    stage = event["stage"]
    return EventFacts(
        numbers={f"{stage}/seconds": float(event["seconds"])},
        texts={f"{stage}/status": str(event["status"])},
    )


def _file(event: Mapping[str, Any]) -> EventFacts:
    name = f"file/{event['name']}"
    return EventFacts(
        numbers={f"{name}/bytes": float(event["bytes"])},
        texts={f"{name}/sha256": str(event["sha256"])},
    )


def _ended(event: Mapping[str, Any]) -> EventFacts:
    return EventFacts(
        texts={name: str(event[name]) for name in ("outcome", "summary", "exit_code")}
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], EventFacts]]] = {
    stream.STEP: _step,
    stream.METRICS: _metrics,
    stream.CHECK: _check,
    stream.VERDICT: _verdict,
    stream.STAGE_ENDED: _stage,
    stream.FILE: _file,
    stream.ENDED: _ended,
}


def settings_of(event: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return what a run was begun with, flat: the keys of the method, of the task and the versions."""
    names = ("recipe", "kind", "base_model", "backend")
    found = {name: event[name] for name in names if name in event}
    for group in ("method", "versions"):
        found |= {f"{group}.{name}": value for name, value in event.get(group, {}).items()}
    return found
