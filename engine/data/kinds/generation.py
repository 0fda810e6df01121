"""A text for a text, with one or more right answers."""

from engine.data.examples.chat_formats import filled_turns, shaped_turns
from engine.data.examples.template import (
    Fill,
    Filled,
    Values,
    as_text,
    lookup,
    malformed,
    parse_template,
)
from engine.data.examples.turns import lacks_text, split_answer
from engine.recipe.model import AnswerSpec, Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads question and answers: from the columns named, or by the row's shape."""
    if shape == "columns":
        return _by_columns(task, data.answer)

    def fill(values: Values) -> Filled:
        asked, (answer,) = split_answer(shaped_turns(values, shape))
        # Without the calls, the answer would be learned out of its context.
        if any(turn["role"] == "tool" or "tool_calls" in turn for turn in (*asked, answer)):
            raise malformed("calls a tool; `kind: chat` keeps tool calls")
        if asked[-1]["role"] != "user":
            raise malformed("does not end with a turn of the user and an answer")
        payload = {"references": [answer["content"]]}
        if len(asked) > 1:  # a question of more than one turn of the user
            payload["messages"] = asked
        return filled_turns(asked, answer["content"], payload, lacks=lacks_text(asked))

    return fill


def _by_columns(task: Task, answer: AnswerSpec | None) -> Fill:
    template = parse_template(task.input)
    if answer is None:
        raise ValueError("a generation from columns without data.answer")
    columns = tuple(column for column in (answer.column, *answer.references) if column)

    def fill(values: Values) -> Filled:
        references = [text for column in columns for text in _texts(lookup(values, column))]
        text, lacks = template.fill(values)
        distinct = list(dict.fromkeys(references))
        target = distinct[0] if distinct else ""
        return Filled(input=text, target=target, payload={"references": distinct}, lacks=lacks)

    return fill


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for text in map(as_text, items) if text and text.strip()]
