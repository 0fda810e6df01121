"""MLflow: a server, or a folder in the form that needs no database."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Final

from engine.tracking.facts import EventFacts
from engine.tracking.trackers import Settings, TrackerPlace

MOST_LETTERS: Final = 500
"""Of a value that MLflow keeps as a parameter."""
MOST_OF_A_NAME: Final = 250
"""Letters that MLflow takes of one."""
DEPTH: Final = 2
"""Slashes that our own names have; others are of a label."""
_OTHER: Final = re.compile(r"[^\w.\- :]")
"""What MLflow refuses in a name."""
_DIGITS: Final = 8
"""Of the digest that tells apart names which would become one."""


def opened(place: TrackerPlace, settings: Settings) -> MlflowRun:
    """Begin a run in the experiment that is named like the recipe."""
    return MlflowRun(place, settings)


class MlflowRun:
    """One run of MLflow."""

    def __init__(self, place: TrackerPlace, settings: Settings) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self._client = MlflowClient(tracking_uri=place.url or place.folder.as_uri())
        name = str(settings["recipe"])
        self._run = self._client.create_run(self._experiment(name)).info.run_id
        params = [Param(_name(key), str(value)[:MOST_LETTERS]) for key, value in settings.items()]
        self._client.log_batch(self._run, params=params)

    def _experiment(self, name: str) -> str:
        """Return the number of the experiment, made where it is absent."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:
                # another run may have made it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def take(self, facts: EventFacts) -> None:
        """Log numbers as metrics, texts as tags."""
        now = int(time.time() * 1000)
        metrics = [
            self._metric(_name(name), value, now, facts.step or 0)
            for name, value in facts.numbers.items()
        ]
        # MLflow takes a thousand at once, and a task may have more labels.
        for first in range(0, len(metrics), MOST_LETTERS):
            self._client.log_batch(self._run, metrics=metrics[first : first + MOST_LETTERS])
        for name, text in facts.texts.items():
            self._client.set_tag(self._run, _name(name), text)

    def end(self, *, failed: bool) -> None:
        """Say how it ended."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


def _name(text: str) -> str:
    """Return a name that MLflow takes. It keeps numbers in files of that path, of which a label is no part."""
    found = "/".join(_OTHER.sub("_", part) for part in text.split("/", DEPTH))
    if found == text and len(text) <= MOST_OF_A_NAME:
        return found
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{found[: MOST_OF_A_NAME - _DIGITS - 1]}-{digest}"
