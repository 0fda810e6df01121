"""One module a tracker, each with `opened(place, settings)`; its package is imported there, in a process of its own.

`NAMES` is the table of them: what `--track` offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from engine.tracking.facts import EventFacts
from engine.values import Value


class TrackerPlace(Value):
    """Where a tracker keeps a run."""

    folder: Path
    """For what it writes here."""
    url: str = ""
    """Of its server; empty where it keeps files only."""


class Tracker(Protocol):
    """A run that is being tracked."""

    def take(self, facts: EventFacts) -> None:
        """Keep the facts of one event; texts of the same name replace each other."""

    def end(self, *, failed: bool) -> None:
        """The run ended; write what is left and wait until it is sent."""


class TrackerKind(Value):
    """What is known of a tracker before its package is imported."""

    package: str
    """That is imported."""
    keys: tuple[str, ...] = ()
    """Environment variables that its server may need; empty where it has no server that we speak to."""
    needs_key: bool = False
    variables: Mapping[str, str] = MappingProxyType({})
    """Set for its process."""

    @property
    def has_server(self) -> bool:
        """Whether it can be given a URL."""
        return bool(self.keys)


NAMES: Final[Mapping[str, TrackerKind]] = MappingProxyType(
    {
        "mlflow": TrackerKind(
            package="mlflow",
            keys=(
                *("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
            ),
            variables={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"},
        ),
        "tensorboard": TrackerKind(package="tensorboard"),
        "trackio": TrackerKind(package="trackio"),
        "wandb": TrackerKind(
            package="wandb",
            keys=("WANDB_API_KEY",),
            needs_key=True,
            variables={"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
        ),
    }
)

Settings = Mapping[str, Any]
