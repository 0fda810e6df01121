"""One label for each text."""

from __future__ import annotations

from engine.data.examples.label import label_of
from engine.data.examples.template import parse_template
from engine.data.kinds.base import Fill, Filled, RejectedError, Values
from engine.data.reading.row import excerpt
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads the label and fills the template; rows without a label have no target."""
    del shape
    template, spec, labels = parse_template(task.input), data.label, frozenset(task.labels)
    if spec is None:
        raise ValueError("a classification without data.label")

    def fill(values: Values) -> Filled:
        label = label_of(values, spec)
        text, lacks = template.fill(values)
        if not label:
            return Filled(input=text, target="", lacks=lacks)
        if label not in labels:
            what = f"has the label `{excerpt(label)}`, which is not one of the task's"
            raise RejectedError("unknown_labels", what, value=label)
        return Filled(input=text, target=label, labels=(label,), lacks=lacks)

    return fill
