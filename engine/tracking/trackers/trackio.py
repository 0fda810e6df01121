"""trackio: a folder, which `TRACKIO_DIR=FOLDER trackio show` shows."""

from __future__ import annotations

import os

from engine.tracking.facts import EventFacts
from engine.tracking.trackers import Settings, TrackerPlace


def opened(place: TrackerPlace, settings: Settings) -> TrackioRun:
    """Begin a run in the project that is named like the recipe."""
    return TrackioRun(place, settings)


class TrackioRun:
    """One run of trackio; it has no summary, so that texts and numbers of the whole run are one last entry."""

    def __init__(self, place: TrackerPlace, settings: Settings) -> None:
        # It reads this when it is imported.
        os.environ["TRACKIO_DIR"] = str(place.folder)
        import trackio

        self._run = trackio.init(
            project=str(settings["recipe"]),
            config=dict(settings),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self._whole: dict[str, str | float] = {}
        self._last = 0

    def take(self, facts: EventFacts) -> None:
        """Log steps as they come, and keep the rest for the end."""
        if facts.step is not None:
            self._last = max(self._last + 1, facts.step)
            self._run.log({**facts.numbers, "step_of_training": facts.step}, step=self._last)
        else:
            self._whole |= facts.numbers
        self._whole |= {f"{name} (text)": text for name, text in facts.texts.items()}

    def end(self, *, failed: bool) -> None:
        """Log what holds of the whole run."""
        del failed
        if self._whole:
            self._run.log(self._whole, step=self._last + 1)
        self._run.finish()
