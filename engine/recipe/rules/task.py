"""Rules about the task: the keys of each kind, labels, the input template, the instruction, invisible characters."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem, listed
from engine.kinds import KINDS
from engine.recipe.patterns import UNREADABLE, compiled
from engine.recipe.prompt import LABELS_TOKEN, WORD, TemplateError, fields, unnamed_labels
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import UNWANTED, KeyPath, dotted
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import folded, unlike, unseen, with_suggestion
from engine.recipe.validation.schema_errors import show

_MOST_NAMED = 5
_LINE_END = re.compile("[\n\v\f\r\x85\u2028\u2029]")
_FIELD = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]*\}")


@rule()
def texts_hide_nothing(recipe: SourceText) -> Problems:
    for at, text, is_key in _texts(recipe.value):
        unwanted = UNWANTED.search(text)
        # U+001F separates labels in some tables.
        if unwanted and at[-1:] != ("separator",):
            message = f"{show(text)} holds U+{ord(unwanted[0]):04X}"
            yield recipe.problem("R415", message, at=at, key=is_key)


def _texts(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str, bool]]:
    if isinstance(value, str):
        yield at, value, False
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*at, str(name)), str(name), True
            yield from _texts(inner, (*at, str(name)))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*at, position))


@rule("task.labels")
def labels_can_be_answers(recipe: SourceText) -> Problems:
    first: dict[str, str] = {}
    for position, label in enumerate(recipe["task"].get("labels", [])):
        at = ("task", "labels", position)
        other = first.setdefault(folded(label), label)
        if other != label:
            message = f"{show(label)} and {show(other)} look the same{unlike(label, other)}"
            yield recipe.problem("R210", message, at=at)
        controls = [character for character in label if unicodedata.category(character) == "Cc"]
        if label != (bare := label.strip()):
            message = f"{show(label)} has blanks around it" if bare else "must not be blank"
            hint = f"write {show(bare)}" if bare else None
            yield recipe.problem("R211", message, at=at, hint=hint)
        elif _LINE_END.search(label):
            yield recipe.problem("R211", f"{show(label)} is more than one line of text", at=at)
        elif controls:
            message = f"{show(label)} holds the control character U+{ord(controls[0]):04X}"
            yield recipe.problem("R211", message, at=at)
        if invisible := unseen(label):
            message = f"{show(label)} holds U+{ord(invisible):04X}, which nobody sees"
            yield recipe.warning("R416", message, at=at)


@rule("task.labels", "task.out_of_scope")
def out_of_scope_is_a_label(recipe: SourceText) -> Problems:
    """R212: the label that means that no other fits is one of the labels."""
    task = recipe["task"]
    label, labels = task["out_of_scope"], task.get("labels", [])
    if label and labels and label not in labels:
        yield no_such_label(recipe, label, ("task", "out_of_scope"))


def no_such_label(recipe: SourceText, name: str, at: KeyPath, *, key: bool = False) -> Problem:
    labels, few = recipe["task"].get("labels", []), 12
    known = f"labels are {', '.join(labels)}" if len(labels) <= few else f"{len(labels)} labels"
    hint = with_suggestion(known, name, labels)
    return recipe.problem("R212", f"no such label: {show(name)}", at=at, key=key, hint=hint)


@rule("task.answer_pattern")
def answer_pattern_can_be_read(recipe: SourceText) -> Problems:
    at = ("task", "answer_pattern")
    try:
        pattern = compiled(recipe["task"]["answer_pattern"])
    except UNREADABLE as error:
        yield recipe.problem("R276", f"the pattern cannot be read: {error}", at=at)
        return
    if pattern.groups > 1:
        message = f"has {pattern.groups} groups; the answer is one of them at most"
        yield recipe.problem("R276", message, at=at)


@rule("task.input")
def input_is_a_template(recipe: SourceText) -> Problems:
    at, written = ("task", "input"), recipe["task"]["input"]
    try:
        names = fields(written)
    except TemplateError as error:
        yield recipe.problem("R215", str(error), at=at, hint=error.hint)
        return
    if not names:
        message = "names no column, so every row would read the same"
        # A single word is the name of a column without its braces.
        name = written if WORD.fullmatch(written) else "text"
        yield recipe.problem("R215", message, at=at, hint=f'name one in braces: "{{{name}}}"')


@rule("task.kind", "task.instruction", "task.system", "task.labels")
def instruction_names_the_labels(recipe: SourceText) -> Problems:
    task, at = recipe["task"], ("task", "instruction")
    for field in _FIELD.findall(task["instruction"]):
        if field != LABELS_TOKEN:
            message = f"`{field}` stays as it is; only {LABELS_TOKEN} is filled in here"
            yield recipe.warning("R225", message, at=at)
    if LABELS_TOKEN in task["instruction"] or not task["instruction"]:
        return  # R240 reports a missing instruction
    labels = task.get("labels", []) if recipe.kind.has_labels else []
    missing = unnamed_labels(labels, f"{task['instruction']} {task['system']}")
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        named = ", ".join(show(label) for label in missing[:_MOST_NAMED])
        hint = f"put {LABELS_TOKEN} where the labels belong"
        yield recipe.warning("R216", f"does not name {named}{more}", at=at, hint=hint)


_KEYS: Final[tuple[KeyPath, ...]] = tuple(
    sorted(
        dict.fromkeys(tuple(key.split(".")) for kind in KINDS.values() for key in kind.reads),
        key=len,  # a key before those inside it
    )
)
KIND_KEYS: Final = ("task.kind", *map(dotted, _KEYS), "data.shape")
_DEFAULTS: Final[Mapping[KeyPath, object]] = {
    ("task", "input"): "{text}",
    ("task", "output"): "text",
    ("task", "max_new_tokens"): 0,
    ("data", "label", "separator"): ",",
    ("method", "packing"): False,
}
"""Defaults that every kind may have, since resolved recipes spell them out."""


def value_at(recipe: SourceText, path: KeyPath) -> object:
    value: Any = recipe.filled
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value in (None, "", [], {}) or value == _DEFAULTS.get(path) else value


def reads_input(recipe: SourceText) -> bool:
    kind = recipe.kind
    if "task.input" not in kind.reads:
        return False
    return not kind.formats or value_at(recipe, ("data", kind.columns_key)) is not None


@rule(*KIND_KEYS)
def keys_fit_the_kind(recipe: SourceText) -> Problems:
    kind = recipe.kind
    for key in kind.needs:
        needed = tuple(key.split("."))
        if value_at(recipe, needed) is None:
            message = f"is missing; {kind.name} needs it"
            hint = f"see: recipe schema {key}"
            yield recipe.problem("R240", message, at=needed, key=True, hint=hint)
    reported: list[KeyPath] = []
    for path in _KEYS:
        key = dotted(path)
        # A section is reported once, not each of its keys.
        if key in kind.reads or path[:-1] in reported or value_at(recipe, path) is None:
            continue
        reported.append(path)
        readers = tuple(name for name, other in KINDS.items() if key in other.reads)
        message = f"means nothing to kind {kind.name}; it is for {listed(readers)}"
        yield recipe.problem("R241", message, at=path, key=True)


@rule("task.kind", "data.answer")
def answer_comes_one_way(recipe: SourceText) -> Problems:
    reads, answer = recipe.kind.reads, recipe["data"].get("answer")
    if answer is None or "data.answer" not in reads:
        return
    at, parts = ("data", "answer"), ("fields", "spans", "tags")
    ways = ("column", *(way for way in parts if f"data.answer.{way}" in reads))
    used = [way for way in ways if value_at(recipe, (*at, way)) is not None]
    for way in used[1:]:
        message = f"the answer comes from `{used[0]}` already"
        yield recipe.problem("R242", message, at=(*at, way), key=True)
    has_references = "data.answer.references" in reads and answer["references"]
    if not used and not has_references:
        hint = f"add {' or '.join(f'`{way}`' for way in ways)}"
        yield recipe.problem("R242", "does not say where the answer is", at=at, key=True, hint=hint)


@rule(*KIND_KEYS)
def shape_fits_the_kind(recipe: SourceText) -> Problems:
    kind, shape = recipe.kind, recipe["data"]["shape"]
    at, key = ("data", "shape"), kind.columns_key
    by_columns = bool(key) and value_at(recipe, ("data", key)) is not None
    if shape == "columns" and key and not by_columns:
        hint = f"add data.{key}, or write `shape: auto`"
        yield recipe.problem("R243", "no key names the columns", at=at, hint=hint)
    if shape not in ("auto", "columns", *kind.formats):
        known = f"shapes are {', '.join(kind.formats)}" if kind.formats else "it reads columns"
        message = f"{kind.name} cannot be read from rows of shape {shape}"
        yield recipe.problem("R243", message, at=at, hint=known)
    elif shape not in ("auto", "columns") and by_columns:
        message = f"the shape defines where things are, and so does `data.{key}`"
        yield recipe.problem("R243", message, at=at)
    is_ignored = "task.input" in kind.reads and kind.formats and not by_columns
    if is_ignored and value_at(recipe, ("task", "input")) is not None:
        message = "the shape of the rows says what is read; this would be ignored"
        yield recipe.problem("R243", message, at=("task", "input"), key=True)
