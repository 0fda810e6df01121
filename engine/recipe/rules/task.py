"""Rules about what the model is asked: labels, the input template, the instruction, and what texts hide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.kinds import KINDS
from engine.recipe.patterns import UNREADABLE, compiled
from engine.recipe.prompt import LABELS_TOKEN, WORD, TemplateError, fields, unnamed_labels
from engine.recipe.rules.data import no_such_label
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import UNWANTED, KeyPath
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import folded, unlike, unseen
from engine.recipe.validation.schema_errors import show

_SEPARATORS: Final = frozenset({"separator"})
"""Keys whose values are no text that anybody reads: U+001F stands between labels in some tables."""


@rule()
def texts_hide_nothing(recipe: FilledText) -> Problems:
    r"""R415: a text that holds a control character, or turns the direction of what follows it.

    Written as an escape it is seen in the file, and no longer where the text is shown: in a prompt, a report, a
    comment. R122 is the same of the file itself.

    Fix: Delete the escape.

    Wrong:
        task:
          instruction: ▸"Which of {labels}? \u202e"

    Right:
        task:
          instruction: "Which of {labels}?"
    """
    for at, text, is_key in _texts(recipe.value):
        found = UNWANTED.search(text)
        if found and not (at and at[-1] in _SEPARATORS):
            message = f"{show(text)} holds U+{ord(found[0]):04X}"
            yield recipe.problem("R415", message, at=at, key=is_key, hint="delete the character")


@rule("task.labels")
def labels_can_be_answers(recipe: FilledText) -> Problems:
    r"""R210: labels that look the same.

    Labels that differ in case, width, blanks, unseen characters or letters of other alphabets that are drawn alike
    (Cyrillic and Latin a) are distinguished by no reader.

    Fix: Rename one of them; use data.label.relabel when the data has both spellings.

    Wrong:
        task:
          labels: [billing, bug, ▸Bug]

    Right:
        task:
          labels: [billing, bug, crash]

    R211: a label that cannot be an answer.

    Answers are compared on one line, after blanks around them are taken off.

    Fix: Write the label on one line without blanks around it; relabel the data's value.

    Wrong:
        task:
          labels: [billing, ▸"bug "]

    Right:
        task:
          labels: [billing, bug]

    R416: a label that holds a character which nobody sees.

    Zero-width spaces, soft hyphens and fillers make another label of what reads the same. Joiners within a word are
    fine. A warning.

    Fix: Delete the character, here and in the data.

    Wrong:
        task:
          labels: [billing, ▸"bu\u200bg"]

    Right:
        task:
          labels: [billing, bug]
    """
    first: dict[str, str] = {}
    for position, label in enumerate(recipe["task"].get("labels", [])):
        at = ("task", "labels", position)
        other = first.setdefault(folded(label), label)
        if other != label:
            message = f"{show(label)} and {show(other)} look the same{unlike(label, other)}"
            yield recipe.problem("R210", message, at=at)
        controls = [one for one in label if unicodedata.category(one) == "Cc"]
        if label != (bare := label.strip()):
            message = f"{show(label)} has blanks around it" if bare else "must not be blank"
            hint = f"write {show(bare)}" if bare else None
            yield recipe.problem("R211", message, at=at, hint=hint)
        elif _LINE_END.search(label):
            yield recipe.problem("R211", f"{show(label)} is more than one line of text", at=at)
        elif controls:
            message = f"{show(label)} holds the control character U+{ord(controls[0]):04X}"
            yield recipe.problem("R211", message, at=at, hint="delete the character")
        if found := unseen(label):
            message = f"{show(label)} holds U+{ord(found):04X}, which nobody sees"
            yield recipe.warning("R416", message, at=at, hint="delete the character")


def _texts(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield every text of a recipe, at its key, and whether it is the key itself."""
    if isinstance(value, str):
        yield at, value, False
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*at, str(name)), str(name), True
            yield from _texts(inner, (*at, str(name)))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*at, position))


_MOST_NAMED = 5
_LINE_END = re.compile("[\n\v\f\r\x85\u2028\u2029]")
_FIELD = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]*\}")


@rule("task.labels", "task.out_of_scope")
def out_of_scope_is_a_label(recipe: FilledText) -> Problems:
    """The label that means that no other fits is one of the labels (R212)."""
    task = recipe["task"]
    label, labels = task["out_of_scope"], task.get("labels", [])
    if label and labels and label not in labels:
        yield no_such_label(recipe, label, ("task", "out_of_scope"))


@rule("task.answer_pattern")
def answer_pattern_can_be_read(recipe: FilledText) -> Problems:
    """R276: an answer pattern that cannot be used.

    `task.answer_pattern` is a regular expression. Its group, or the whole match where it has none, is the
    answer that is compared.

    Fix: Correct it, with at most one group: "#### (-?[0-9.,]+)"

    Wrong:
        task:
          kind: generation
          answer_pattern: ▸"(#+) ([0-9]+)"

    Right:
        task:
          answer_pattern: "(?:#+) ([0-9]+)"
    """
    at = ("task", "answer_pattern")
    try:
        found = compiled(recipe["task"]["answer_pattern"])
    except UNREADABLE as error:
        yield recipe.problem("R276", f"the pattern cannot be read: {error}", at=at)
        return
    if found.groups > 1:
        message = f"has {found.groups} groups; the answer is one of them at most"
        hint = "write `(?:…)` for a group that is not the answer"
        yield recipe.problem("R276", message, at=at, hint=hint)


@rule("task.input")
def input_is_a_template(recipe: FilledText) -> Problems:
    """R215: the input template cannot be read.

    `{column}` is filled from the row; a brace without partner or a template without column would give every row
    the same text.

    Fix: Write input: "{text}", and {{ or }} for literal braces.

    Wrong:
        task:
          input: ▸"{text"

    Right:
        task:
          input: "{text}"
    """
    at = ("task", "input")
    try:
        written = recipe["task"]["input"]
        names = fields(written)
    except TemplateError as error:
        yield recipe.problem("R215", str(error), at=at, hint=error.hint)
        return
    if not names:
        message = "names no column, so every row would read the same"
        # a single word is the name of one, without its braces
        name = written if WORD.fullmatch(written) else "text"
        yield recipe.problem("R215", message, at=at, hint=f'name one in braces: "{{{name}}}"')


@rule("task.kind", "task.instruction", "task.system", "task.labels")
def instruction_names_the_labels(recipe: FilledText) -> Problems:
    """R216: the instruction does not name the labels.

    The untuned model cannot guess labels that it was never shown, so zero-shot and few-shot look worse than they are,
    and the tuned model better.

    Fix: Name them in the instruction, or write {labels} where they shall stand.

    Wrong:
        task:
          instruction: ▸What is it about?
          labels: [billing, bug]

    Right:
        task:
          instruction: "What is it about: {labels}?"
    """
    task = recipe["task"]
    if LABELS_TOKEN in task["instruction"] or not task["instruction"]:
        return  # R240 reports a missing instruction
    kind = KINDS.get(task["kind"])
    labels = task.get("labels", []) if kind and kind.has_labels else []
    missing = unnamed_labels(labels, f"{task['instruction']} {task['system']}")
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        named = ", ".join(show(label) for label in missing[:_MOST_NAMED])
        hint, at = f"put {LABELS_TOKEN} where the labels shall stand", ("task", "instruction")
        yield recipe.warning("R216", f"does not name {named}{more}", at=at, hint=hint)


@rule("task.instruction")
def instruction_has_no_other_fields(recipe: FilledText) -> Problems:
    """R225: a field in the instruction that is not filled in.

    Only {labels} is replaced there; columns belong to task.input.

    Fix: Move the column to task.input.

    Wrong:
        task:
          instruction: ▸"Which of these is {text}: {labels}?"

    Right:
        task:
          instruction: "Which of these is it: {labels}?"
          input: "{text}"
    """
    for found in _FIELD.findall(recipe["task"]["instruction"]):
        if found != LABELS_TOKEN:
            message = f"`{found}` stays as it is; only {LABELS_TOKEN} is filled in here"
            yield recipe.warning("R225", message, at=("task", "instruction"))
