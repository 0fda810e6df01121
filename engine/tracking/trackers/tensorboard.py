"""TensorBoard: event files in a folder, which `tensorboard --logdir` shows."""

from __future__ import annotations

import time
from typing import Any

from engine.tracking.facts import EventFacts
from engine.tracking.trackers import Settings, TrackerPlace


def opened(place: TrackerPlace, settings: Settings) -> TensorboardRun:
    """Begin a run in a folder of its own."""
    return TensorboardRun(place, settings)


class TensorboardRun:
    """One run as TensorBoard reads it."""

    def __init__(self, place: TrackerPlace, settings: Settings) -> None:
        # Its writer alone: `torch.utils.tensorboard` would load torch a second time.
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2
        self._tensor, self._string = TensorProto, DT_STRING
        stamp = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
        self._writer = EventFileWriter(str(place.folder / str(settings["recipe"]) / stamp))
        self.take(EventFacts(texts={name: str(value) for name, value in settings.items()}))

    def take(self, facts: EventFacts) -> None:
        """Write numbers as scalars, texts as texts."""
        values = [
            self._summary.Summary.Value(tag=name, simple_value=value)
            for name, value in facts.numbers.items()
        ]
        values += [self._text(name, text) for name, text in facts.texts.items()]
        summary = self._summary.Summary(value=values)
        event = self._event(wall_time=time.time(), step=facts.step or 0, summary=summary)
        self._writer.add_event(event)

    def end(self, *, failed: bool) -> None:
        """Write all that is left."""
        del failed
        self._writer.close()

    def _text(self, name: str, text: str) -> Any:
        shape = {"dim": [{"size": 1}]}
        tensor = self._tensor(
            dtype=self._string, string_val=[text.encode("utf-8")], tensor_shape=shape
        )
        metadata = self._summary.SummaryMetadata(plugin_data={"plugin_name": "text"})
        return self._summary.Summary.Value(tag=f"{name}/text", metadata=metadata, tensor=tensor)
