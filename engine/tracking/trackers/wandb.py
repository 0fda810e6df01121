"""Weights & Biases: a server, or a folder whose runs `wandb sync` sends later."""

from __future__ import annotations

import os

from engine.tracking.facts import EventFacts
from engine.tracking.trackers import Settings, TrackerPlace


def opened(place: TrackerPlace, settings: Settings) -> WandbRun:
    """Begin a run in the project that is named like the recipe."""
    return WandbRun(place, settings)


class WandbRun:
    """One run of Weights & Biases, without what it would find out about this machine."""

    def __init__(self, place: TrackerPlace, settings: Settings) -> None:
        os.environ["WANDB_MODE"] = "online" if place.url else "offline"
        if place.url:
            os.environ["WANDB_BASE_URL"] = place.url
        import wandb

        self._run = wandb.init(
            project=str(settings["recipe"]),
            dir=str(place.folder),
            config=dict(settings),
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                host="",
                save_code=False,
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        self._last = 0

    def take(self, facts: EventFacts) -> None:
        """Log steps in the history, the rest in the summary."""
        if facts.step is not None:
            # Several trainings of one run count from 1 each, and a history only goes on.
            self._last = max(self._last + 1, facts.step)
            self._run.log({**facts.numbers, "step": facts.step}, step=self._last)
        else:
            self._run.summary.update(dict(facts.numbers))
        self._run.summary.update({f"{name} (text)": text for name, text in facts.texts.items()})

    def end(self, *, failed: bool) -> None:
        """Say how it ended."""
        self._run.finish(exit_code=1 if failed else 0)
