"""One label for each text, or any number of them, none among them."""

from engine.data.examples.answers import label_of, labels_of
from engine.data.examples.template import Fill, Filled, RejectedError, Values, parse_template
from engine.data.reading.row import excerpt
from engine.kinds import AnswerForm
from engine.recipe.model import Data, LabelSpec, Task
from engine.recipe.prompt import joined_labels


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads the labels and fills the template; rows without their one label have no target."""
    del shape
    template, spec, known = parse_template(task.input), data.label, frozenset(task.labels)
    if spec is None:
        raise ValueError(f"a {task.kind} without data.label")
    has_several = task.spec.answer is AnswerForm.LABELS
    read = labels_of if has_several else _only_label

    def fill(values: Values) -> Filled:
        found = read(values, spec)
        text, lacks = template.fill(values)
        for label in found:
            if label not in known:
                what = f"has the label `{excerpt(label)}`, which is not one of the task's"
                raise RejectedError("unknown_labels", what, value=label)
        if not has_several:
            return Filled(input=text, target="".join(found), labels=found, lacks=lacks)
        # In the task's order: one set of labels must always be one target text.
        labels = tuple(label for label in task.labels if label in found)
        return Filled(input=text, target=joined_labels(task, labels), labels=labels, lacks=lacks)

    return fill


def _only_label(values: Values, spec: LabelSpec) -> tuple[str, ...]:
    label = label_of(values, spec)
    return (label,) if label else ()
