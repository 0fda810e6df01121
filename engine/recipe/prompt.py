"""Prompts, from the template and the turns of a row, and valid answers."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from engine.kinds import AnswerForm, Turns
from engine.recipe.model import Json, Recipe, Task
from engine.recipe.patterns import resolved
from engine.values import Value

Message = dict[str, Any]
"""`role` and `content`; `tool_calls`, `tool_call_id` and `name` where there are any."""


class Conversation(Value):
    messages: tuple[Message, ...]
    """Question and answer; for preference the prompt and the chosen answer; empty for text."""
    trained: tuple[int, ...]
    """Positions in `messages` of the assistant's turns that are learned from, rising."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Definitions of the tools that the model may call."""
    rejected: tuple[Message, ...] = ()
    desirable: bool = True
    """False for an answer that got a thumb down (KTO): training makes it less likely."""

    @property
    def asked(self) -> tuple[Message, ...]:
        return self.messages[: self.trained[-1]] if self.trained else self.messages


def conversation(
    task: Task,
    *,
    input: str,  # noqa: A002 - the field of an example is called so
    target: str,
    payload: Mapping[str, Any],
) -> Conversation:
    """Return the turns of an example with fields of these names.

    A text has no turns: all of the document, `input`, is learned. A chat without a system message gets the task's. The
    turns are new dictionaries with keys of the chat template only.
    """
    match task.spec.turns:
        case Turns.DOCUMENT:
            return Conversation(messages=(), trained=())
        case Turns.CHAT:
            turns = _turns(task, payload["messages"])
            # If the row has no system message, the task's moves every position by one.
            added = len(turns) - len(payload["messages"])
            trained = tuple(
                position
                for position, turn in enumerate(payload["messages"], start=added)
                if turn["role"] == "assistant" and turn.get("trained", True)
            )
            return Conversation(
                messages=tuple(turns), trained=trained, tools=tuple(payload.get("tools", ()))
            )
        case Turns.PREFERENCE:
            return _preference(task, payload)
        case Turns.QUESTION:
            if own := payload.get("messages"):
                *before, last = _turns(task, own)
                prompt = [*before, {**last, "content": question(task, last["content"])}]
            else:
                prompt = messages(task, input)
            answer = {"role": "assistant", "content": answer_text(task, target)}
            return Conversation(messages=(*prompt, answer), trained=(len(prompt),))


def _preference(task: Task, payload: Mapping[str, Any]) -> Conversation:
    prompt = _turns(task, payload["messages"])
    # A row of DPO has two answers; a row of KTO has one, and whether it is desirable.
    is_pair = "chosen" in payload
    answer = _plain(payload["chosen"] if is_pair else payload["answer"])
    turns = enumerate(answer, start=len(prompt))
    trained = (position for position, turn in turns if turn["role"] == "assistant")
    return Conversation(
        messages=(*prompt, *answer),
        trained=tuple(trained),
        tools=tuple(payload.get("tools", ())),
        rejected=tuple(_plain(payload["rejected"])) if is_pair else (),
        desirable=is_pair or bool(payload["desirable"]),
    )


def _turns(task: Task, own: Sequence[Mapping[str, Any]]) -> list[Message]:
    has_system = any(turn["role"] == "system" for turn in own)
    system = [{"role": "system", "content": task.system}] if task.system and not has_system else []
    return [*system, *_plain(own)]


def _plain(turns: Sequence[Mapping[str, Any]]) -> list[Message]:
    return [{key: value for key, value in turn.items() if key != "trained"} for turn in turns]


def read_object(text: str) -> dict[str, Any] | None:
    """Return the object that `text` is, or None: for other JSON, repeated keys, NaN, huge numbers and prose."""
    try:
        # By default, Python's json keeps the last of repeated keys, and reads NaN and Infinity.
        value = json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    # RecursionError: a model may open brackets without end.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_object(value: Mapping[str, Any], schema: Json) -> str:
    """Return compact JSON, keys in the order of the schema's properties, followed by other keys.

    Equal objects give equal texts if the schema names their keys. TypeError or ValueError for values that JSON does not
    have, such as dates and NaN.
    """
    ordered = _ordered(dict(value), schema, root=schema)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _ordered(value: Any, schema: Json, *, root: Json) -> Any:
    at = resolved(schema, root)
    if isinstance(value, list):
        items = at.get("items")
        return [_ordered(item, items, root=root) for item in value]
    if not isinstance(value, dict):
        return value
    properties = at.get("properties") or {}
    keys = [key for key in properties if key in value]
    keys += [key for key in value if key not in properties]
    return {key: _ordered(value[key], properties.get(key), root=root) for key in keys}


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key")
    return mapping


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written} is beyond the numbers of usual size")
    return number


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


_PIECE: Final = re.compile(r"(?P<literal>\{\{|\}\}|[^{}]+)|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])")

WORD: Final = re.compile(r"\w+(?:[.-]\w+)*")
_LAST_WORD: Final = re.compile(rf"{WORD.pattern}$")


class TemplateError(Exception):
    """The template cannot be read, for the reason in the text; `hint` is what to write."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def pieces(template: str) -> tuple[tuple[str, bool], ...]:
    """Return a template as (text, whether it is a dotted path of a column), in order; TemplateError if it is broken."""
    parts: list[tuple[str, bool]] = []
    for piece in _PIECE.finditer(template):
        if piece["stray"] is not None:
            raise TemplateError(
                f"`{piece['stray']}` at character {piece.start() + 1} has no partner",
                hint=_with_partner(template, piece.start()),
            )
        if piece["literal"] is not None:
            parts.append(({"{{": "{", "}}": "}"}.get(piece["literal"], piece["literal"]), False))
            continue
        name = piece["field"]
        if name != name.strip() or not all(name.split(".")):
            raise TemplateError(
                f"`{{{name}}}` does not name a column",
                hint=f"write `{{{name.strip()}}}`" if all(name.strip().split(".")) else None,
            )
        parts.append((name, True))
    return tuple(parts)


def _with_partner(template: str, place: int) -> str:
    """Return the hint for a brace without its partner: the column that was probably meant, or the literal."""
    brace = template[place]
    literal = f"`{brace * 2}` for a literal brace"
    word = WORD.match(template, place + 1) if brace == "{" else _LAST_WORD.search(template[:place])
    return f"write `{{{word[0]}}}` for the column, or {literal}" if word else f"write {literal}"


def fields(template: str) -> tuple[str, ...]:
    """Return the columns in the template, each once, in order; TemplateError as `pieces`."""
    return tuple(dict.fromkeys(text for text, is_field in pieces(template) if is_field))


LABELS_TOKEN = "{labels}"  # noqa: S105 - a placeholder of the instruction, not a secret
JSON_KEY = "label"
JSON_LIST_KEY = "labels"
SEPARATOR = ", "
NO_LABEL = "none"


def messages(task: Task, text: str, shots: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """Return the chat that asks for the answer to `text`, with the task's system message.

    Each shot, (text, target), becomes a user and an assistant turn before the last user turn, in the form of the
    question and its answer.
    """
    chat = [{"role": "system", "content": task.system}] if task.system else []
    for shot_text, target in shots:
        chat.append({"role": "user", "content": question(task, shot_text)})
        chat.append({"role": "assistant", "content": answer_text(task, target)})
    chat.append({"role": "user", "content": question(task, text)})
    return chat


def question(task: Task, text: str) -> str:
    # Not `str.format`: other braces in an instruction stay as they are.
    instruction = task.instruction.replace(LABELS_TOKEN, ", ".join(task.labels))
    return f"{instruction}\n\n{text}" if instruction else text


def answer_text(task: Task, target: str) -> str:
    """Return the assistant's turn for a target (`Example.target`): labels in the task's form of output."""
    if task.output != "json" or not task.spec.has_labels:
        return target
    if task.spec.answer is AnswerForm.LABEL:
        return json.dumps({JSON_KEY: target}, ensure_ascii=False)
    return json.dumps({JSON_LIST_KEY: split_labels(target)}, ensure_ascii=False)


def joined_labels(task: Task, labels: Sequence[str]) -> str:
    """Return labels as one target: in the task's order, joined with commas; `none` for no label."""
    ordered = [label for label in task.labels if label in labels]
    return SEPARATOR.join(ordered) or NO_LABEL


def split_labels(target: str) -> list[str]:
    """Return the labels that `joined_labels` joined; labels hold no comma (R244)."""
    return [] if target == NO_LABEL else target.split(SEPARATOR)


def asks_partly_blank(recipe: Recipe) -> bool:
    """Return whether rows with a blank column are trained on and evaluated, so that they are answered later, too."""
    return recipe.data.checks.empty in ("warn", "off") and len({*fields(recipe.task.input)}) > 1


def parse_answer(task: Task, text: str) -> str | None:
    """Return the target of `text`, or None if it is not exactly an answer.

    Only white space around it is ignored: `Positive`, `positive.` and prose around a label are no answers, since a
    program that reads the output would not accept them either. Several labels may be in any order, but not twice. An
    object is any JSON object without repeated keys, returned as compact JSON, even if it does not fit the schema. For
    the other kinds every text is an answer, except an empty one.
    """
    answer = text.strip()
    if task.spec.answer is AnswerForm.LABEL:
        label = _labelled(answer, JSON_KEY) if task.output == "json" else answer
        return label if isinstance(label, str) and label in task.labels else None
    if task.spec.answer is AnswerForm.LABELS:
        labels = _labelled(answer, JSON_LIST_KEY) if task.output == "json" else split_labels(answer)
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            return None
        if len(set(labels)) != len(labels) or not set(labels) <= set(task.labels):
            return None
        return joined_labels(task, labels)
    if task.spec.answer is AnswerForm.OBJECT:
        value = read_object(answer)
        return None if value is None else write_object(value, task.schema)
    return answer or None


def answer_value(task: Task, answer: str) -> Any:
    if task.spec.answer is AnswerForm.LABELS:
        return split_labels(answer)
    return json.loads(answer) if task.spec.answer is AnswerForm.OBJECT else answer


def _labelled(answer: str, key: str) -> object:
    """Return the value of an object with that one key; None for anything else."""
    value = read_object(answer)
    return value[key] if value is not None and list(value) == [key] else None


def unnamed_labels(labels: Sequence[str], text: str) -> list[str]:
    """Return the labels that a text does not name: a sentence names the label `not_spam` as "not spam"."""

    def plain(words: str) -> str:
        return " ".join(re.sub(r"[\W_]+", " ", words.casefold()).split())

    named = plain(text)
    return [label for label in labels if plain(label) not in named]
