"""The stream of events of a run, and the trackers that take their facts: `NAMES` is what `--track` offers.

One stream of what happens in a run: JSON lines in the store's logs while it runs, in the run's folder afterwards.

An event holds numbers, names of the recipe and codes: no row, no answer, no message that could cite one, no path.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final, Protocol

from engine.files import leases
from engine.files.writing import open_new, remove
from engine.values import Value, field, shortest

SHOWN = {"loss": "loss", "eval_loss": "validation_loss"}
MOST_LETTERS: Final = 500
"""Characters of a value that MLflow keeps as a parameter."""
MOST_OF_A_NAME: Final = 250
"""Letters that MLflow takes of one."""
DEPTH: Final = 2
_OTHER: Final = re.compile(r"[^\w.\- :]")
_DIGITS: Final = 8

Settings = Mapping[str, Any]


class EventFacts(Value):
    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None
    """Step of training; None for facts of the whole run."""


def facts_of(event: Mapping[str, Any]) -> EventFacts:
    stage, name, step = event.get("stage", ""), event.get("event"), None
    numbers: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    if name == STEP:
        place = "/".join(filter(None, (stage, event.get("of", ""))))
        numbers = {f"{place}/{SHOWN.get(key, key)}": x for key, x in event["values"].items()}
        step = int(event["step"])
    elif name == METRICS:
        numbers = {f"{stage}/{event['of']}/{key}": x for key, x in event["values"].items()}
    elif name == CHECK:
        check, got = f"{stage}/check/{event['name']}", event.get("got")
        end = "at least" if event["direction"] == "min" else "at most"
        shown = "not known" if got is None else shortest(got, 4)
        numbers = {} if got is None else {check: got}
        texts = {check: f"{event['status']}: {shown}, {end} {shortest(event['bound'])} asked"}
    elif name == VERDICT:
        texts = {f"{stage}/verdict": event["status"]}
    elif name == STAGE_ENDED:
        numbers, texts = (
            {f"{stage}/seconds": event["seconds"]},
            {f"{stage}/status": event["status"]},
        )
    elif name == FILE:
        file = f"file/{event['name']}"
        numbers, texts = {f"{file}/bytes": event["bytes"]}, {f"{file}/sha256": event["sha256"]}
    elif name == ENDED:
        texts = {key: event[key] for key in ("outcome", "summary", "exit_code")}
    return EventFacts(
        numbers={key: float(value) for key, value in numbers.items()},
        texts={key: str(value) for key, value in texts.items()},
        step=step,
    )


def settings_of(event: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return what a run was begun with, flat: the keys of the method, of the task and the versions."""
    names = ("recipe", "kind", "base_model", "backend")
    found = {name: event[name] for name in names if name in event}
    for group in ("method", "versions"):
        found |= {f"{group}.{name}": value for name, value in event.get(group, {}).items()}
    return found


class Tracker(Protocol):
    def take(self, facts: EventFacts) -> None:
        """Keep the facts of one event; texts of the same name replace each other."""

    def end(self, *, failed: bool) -> None:
        """The run ended; write what is left and wait until it is sent."""


class MlflowRun:
    """A run of MLflow, in the experiment that is named like the recipe; a folder has the form without a database."""

    def __init__(self, folder: Path, url: str, settings: Settings) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self._metric, name = Metric, str(settings["recipe"])
        self._client = MlflowClient(tracking_uri=url or folder.as_uri())
        found = self._client.get_experiment_by_name(name)
        try:
            number = found.experiment_id if found else self._client.create_experiment(name)
        except MlflowException:
            # another run may have made it meanwhile
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            number = found.experiment_id
        self._run = self._client.create_run(str(number)).info.run_id
        params = [Param(_name(key), str(value)[:MOST_LETTERS]) for key, value in settings.items()]
        self._client.log_batch(self._run, params=params)

    def take(self, facts: EventFacts) -> None:
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
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


def _name(text: str) -> str:
    """Return a name that MLflow takes. It keeps numbers in files of that path, of which a label is no part."""
    found = "/".join(_OTHER.sub("_", part) for part in text.split("/", DEPTH))
    if found == text and len(text) <= MOST_OF_A_NAME:
        return found
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{found[: MOST_OF_A_NAME - _DIGITS - 1]}-{digest}"


class TensorboardRun:
    def __init__(self, folder: Path, url: str, settings: Settings) -> None:
        del url
        # Its writer alone: `torch.utils.tensorboard` would load torch a second time.
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2
        self._tensor, self._string = TensorProto, DT_STRING
        stamp = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
        self._writer = EventFileWriter(str(folder / str(settings["recipe"]) / stamp))
        self.take(EventFacts(texts={name: str(value) for name, value in settings.items()}))

    def take(self, facts: EventFacts) -> None:
        value_of, metadata_of = self._summary.Summary.Value, self._summary.SummaryMetadata
        values = [value_of(tag=name, simple_value=number) for name, number in facts.numbers.items()]
        for name, text in facts.texts.items():
            tensor = self._tensor(
                dtype=self._string,
                string_val=[text.encode("utf-8")],
                tensor_shape={"dim": [{"size": 1}]},
            )
            metadata = metadata_of(plugin_data={"plugin_name": "text"})
            values.append(value_of(tag=f"{name}/text", metadata=metadata, tensor=tensor))
        summary = self._summary.Summary(value=values)
        event = self._event(wall_time=time.time(), step=facts.step or 0, summary=summary)
        self._writer.add_event(event)

    def end(self, *, failed: bool) -> None:
        del failed
        self._writer.close()


class HistoryRun:
    """A run of trackio or Weights & Biases, whose history only goes on: each event is its next entry."""

    def __init__(self, run: Any, end: Callable[[bool], object]) -> None:
        self._run, self._end, self._last = run, end, 0

    def take(self, facts: EventFacts) -> None:
        # Several trainings of one run count from 1 each.
        self._last = max(self._last + 1, facts.step or 0)
        texts = {f"{name} (text)": text for name, text in facts.texts.items()}
        step = {} if facts.step is None else {"step_of_training": facts.step}
        self._run.log({**facts.numbers, **texts, **step}, step=self._last)

    def end(self, *, failed: bool) -> None:
        self._end(failed)


def trackio_run(folder: Path, url: str, settings: Settings) -> HistoryRun:
    del url
    # It reads this when it is imported.
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
    run = trackio.init(project=str(settings["recipe"]), config=dict(settings), **quiet)
    return HistoryRun(run, lambda _: run.finish())


def wandb_run(folder: Path, url: str, settings: Settings) -> HistoryRun:
    """Return a run without what wandb would find out about this machine; `wandb sync` sends a folder."""
    os.environ["WANDB_MODE"] = "online" if url else "offline"
    if url:
        os.environ["WANDB_BASE_URL"] = url
    import wandb

    private = wandb.Settings(
        console="off",
        disable_git=True,
        host="",
        save_code=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    project, config = str(settings["recipe"]), dict(settings)
    run = wandb.init(project=project, dir=str(folder), config=config, settings=private)
    return HistoryRun(run, lambda failed: run.finish(exit_code=int(failed)))


class TrackerKind(Value):
    """Facts on a tracker that are known before its package, of the same name, is imported."""

    opened: Callable[[Path, str, Settings], Tracker]
    """Begins a run in a folder, or on the server of a URL."""
    keys: tuple[str, ...] = ()
    """Environment variables that its server may need; empty where it has no server that we speak to."""
    needs_key: bool = False
    variables: Mapping[str, str] = MappingProxyType({})


NAMES: Final[Mapping[str, TrackerKind]] = MappingProxyType(
    {
        "mlflow": TrackerKind(
            opened=MlflowRun,
            keys=("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
            variables={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"},
        ),
        "tensorboard": TrackerKind(opened=TensorboardRun),
        "trackio": TrackerKind(opened=trackio_run),
        "wandb": TrackerKind(
            opened=wandb_run,
            keys=("WANDB_API_KEY",),
            needs_key=True,
            variables={"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
        ),
    }
)


EVENTS_FILE: Final = "events.jsonl"
BEGUN: Final = "run.begun"
STAGE_BEGUN: Final = "stage.begun"
STAGE_ENDED: Final = "stage.ended"
STEP: Final = "step"
METRICS: Final = "metrics"
CHECK: Final = "check"
VERDICT: Final = "verdict"
FILE: Final = "file"
ENDED: Final = "run.ended"
"""The last one of a run, unless it was killed."""


def live_file(root: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return root / "logs" / f"run-{stamp}-{os.getpid()}-{secrets.token_hex(4)}.{EVENTS_FILE}"


class EventStream:
    """Appends events to a file. What cannot be written costs the run nothing: `is_whole` says so."""

    def __init__(self, file: Path, *, below: Path) -> None:
        """Open a file that is not there yet; no folder from `below` down to it may be a link."""
        self.file = file
        self.is_whole = True
        self._below = below
        self._stream: BinaryIO | None = None
        try:
            self._stream = open_new(file, below=below)
            # Until the first event stands in it, another run takes one that nobody holds for left over.
            if not leases.hold(self._stream.fileno()):
                self._stream.close()
                self._stream = open_new(file, below=below)
                leases.hold(self._stream.fileno())
        except OSError:
            self.is_whole = False

    def write(self, event: str, **fields: Any) -> None:
        self.append(line_of(event, **fields))

    def append(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line.encode("utf-8"))
            self._stream.flush()
        except OSError:
            # Half a line may stand there, so nothing is written behind it.
            self.is_whole = False
            self.close()

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def text(self) -> str:
        """Return what was written; what cannot be read back is not whole."""
        try:
            return self.file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            self.is_whole = False
            return ""

    def discard(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            remove(self.file, below=self._below)


def line_of(event: str, **fields: Any) -> str:
    """Return an event with the time, as a line. Fields that are None, and numbers that are none, are left out."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")

    def known(given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: known(value) if isinstance(value, Mapping) else value
            for name, value in given.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))
        }

    return json.dumps({"event": event, "time": time, **known(fields)}, ensure_ascii=False) + "\n"
