"""One line to people when a run ends, by apprise. Its addresses hold secrets: nothing of them is written or shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine.tracking import stream

OUTCOMES = {"baseline_passes": "NO TRAINING NEEDED"}


def line_of(event: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return title and text of a message on the last event of a run; None for a run that left none."""
    if event is None or event.get("event") != stream.ENDED:
        return "recipe: ended", "the run ended without a result: see its terminal"
    outcome = OUTCOMES.get(event["outcome"], str(event["outcome"]).replace("_", " ").upper())
    minutes = float(event["seconds"]) / 60
    return f"{event['recipe']}: {outcome}", f"{event['summary']} ({minutes:.0f} min)"


def send(urls: Sequence[str], title: str, text: str) -> list[int]:
    """Send a message to each address, and return the numbers, from 1, of those that did not take it."""
    import apprise

    # Its messages can name an address with what is secret in it.
    logging.disable(logging.CRITICAL)
    failed = []
    for number, url in enumerate(urls, start=1):
        service = apprise.Apprise()
        if not (service.add(url) and service.notify(title=title, body=text)):
            failed.append(number)
    return failed
