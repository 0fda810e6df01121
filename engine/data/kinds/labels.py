"""One label for each text, or any number of them, none among them."""

from engine.data.examples.answers import NUMBER, NoBinError, NoNumberError
from engine.data.examples.template import (
    Fill,
    Filled,
    RejectedError,
    Values,
    as_text,
    found_at,
    lookup,
    parse_template,
)
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
    read = labels_of if has_several else label_of

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


def label_of(values: Values, spec: LabelSpec) -> tuple[str, ...]:
    """Return the label of a row after relabelling or binning; none for a missing or blank value.

    Whether it is one of the task's labels is not asked here. `MissingColumnError`,
    `UnusableValueError`, `NoNumberError` or `NoBinError` where there is none.
    """
    value = lookup(values, spec.column)
    text = as_text(value)
    if text is None or not text.strip():
        return ()
    if not spec.bins:
        return (dict(spec.relabel).get(text, text) if spec.relabel else text,)
    # Not `float`: it also takes `nan`, `inf` and `1_000`, which no file means as a number.
    if isinstance(value, bool) or not NUMBER.fullmatch(text.strip()):
        raise NoNumberError(text)
    number = float(text)
    # Both ends belong to a bin, so R213 lets no two of them share one: the first is the only one.
    for bin_ in spec.bins:
        above = bin_.min is None or number >= bin_.min
        below = bin_.max is None or number <= bin_.max
        if above and below:
            return (bin_.label,)
    raise NoBinError


def labels_of(values: Values, spec: LabelSpec) -> tuple[str, ...]:
    """Return the labels of a row after relabelling, each once, in the order of the row.

    A list, or a text that `separator` divides; null and blanks are no label. Whether they are
    labels of the task is not asked here. `MissingColumnError` or `UnusableValueError`.
    """
    value = found_at(values, spec.column) if spec.missing else lookup(values, spec.column)
    if isinstance(value, list):
        texts = [as_text(item) for item in value]
    else:
        text = as_text(value)
        texts = [piece.strip() for piece in text.split(spec.separator)] if text else []
    relabel = dict(spec.relabel)
    labels = (relabel.get(text, text) for text in texts if text and text.strip())
    return tuple(dict.fromkeys(labels))
