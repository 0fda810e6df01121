"""What a file's columns make of the task: the kind, the text, the label or the answer, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.data.examples.chat_formats import TURNS, recognise
from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting import roles
from engine.drafting.choices import (
    CHOSEN,
    DraftOptions,
    Guess,
    by_answers,
    column_of,
    objects_beside,
    schema_at,
    spans_in,
    turns_in,
)
from engine.drafting.layout_table import PATTERNS
from engine.drafting.profile import (
    NAMES,
    ColumnProfile,
    Profile,
    is_called,
    may_be_called,
    rank,
    words_of,
)
from engine.errors import RecipeError
from engine.kinds import KINDS
from engine.recipe.text.words import folded, nearest
from engine.values import Value, replace

ANSWERED: Final = {"prompt_completion": ("completion", "response"), "alpaca": ("output",)}
"""Shapes of rows whose answers may be labels or objects, and the columns of these."""


def guess(profile: Profile, given: DraftOptions) -> Guess:
    """Return what the columns make of the task; what was given is kept.

    RecipeError R030 where nothing fits, or a column that was named is not there.
    """
    for name in (given.text, *_named_labels(profile, given)):
        if name and name not in profile.columns:
            near = nearest(name, profile.columns)
            hint = f"did you mean `{near}`?" if near else f"columns are {_known(profile)}"
            raise RecipeError.one("R030", f"no column is called `{name}`", hint=hint)
    is_free = not given.text and not given.label
    found = (_by_layout(profile, given) if is_free else None) or _by_columns(profile, given)
    if found.label and found.label not in profile.columns and not found.properties:
        # A place deeper than those that are counted of every file.
        profile.columns[found.label] = column_of(profile, found.label)
    why = CHOSEN if given.kind else found.why_kind
    return replace(found, why_kind=why, split=roles.split_column(profile))


def _named_labels(profile: Profile, given: DraftOptions) -> tuple[str, ...]:
    """Return the columns that `--label` names: one whose name has commas, else those between commas."""
    if given.label in profile.columns:
        return (given.label,)
    return tuple(name for name in given.label.split(",") if name)


def _known(profile: Profile) -> str:
    return ", ".join(f"`{name}`" for name in list(profile.columns)[:12])


def _cannot(profile: Profile, why: str) -> RecipeError:
    return RecipeError.one(
        "R030",
        f"cannot tell what the task is: {why}",
        hint=f"say it: --kind KIND --text COLUMN --label COLUMN; columns are {_known(profile)}",
    )


def _by_layout(profile: Profile, given: DraftOptions) -> Guess | None:
    """Return what the layout of the rows says without a look at single columns; None where it says nothing."""
    if found := by_answers(profile, given.kind) or _by_shape(profile, given.kind):
        return found
    if given.kind in ("", "preference"):
        names = {name.lower(): name for name in profile.columns}
        prompt = next((names[name] for name in NAMES["prompt"] if name in names), "")
        for better, worse in NAMES["better and worse"]:
            if prompt and better in names and worse in names:
                return Guess(
                    kind="preference",
                    why_kind=f"`{names[better]}` is better than `{names[worse]}`",
                    pair=(prompt, names[better], names[worse]),
                    shape="pair",
                )
    is_probe = {"choices", "gold"} <= profile.columns.keys()
    if not is_probe and given.kind in ("", "chat") and (turns := turns_in(profile)):
        why = f"`{turns.column}` holds turns of {len(turns.roles)} speakers"
        return Guess(kind="chat", why_kind=why, turns=turns, shape="turns")
    return None


def _by_shape(profile: Profile, kind: str) -> Guess | None:
    """Return the kind that reads rows of a shape that is known; None where other speakers or labels are in them."""
    rows = profile.kept[:50]
    shapes = {recognise(values) for values in rows}
    shape = str(shapes.pop()) if len(shapes) == 1 and None not in shapes else ""
    speakers = {
        str(turn.get("from", turn.get("role")))
        for values in rows for name in TURNS for turn in values.get(name) or ()
        if shape in ("openai_messages", "sharegpt") and isinstance(turn, Mapping)
    }  # fmt: skip
    fitting = {one.name: one.formats.index(shape) for one in KINDS.values() if shape in one.formats}
    # Other speakers are named by `data.messages.roles`.
    if not fitting or kind not in ("", *fitting) or not speakers <= ROLES.keys():
        return None
    if shape in ANSWERED and not kind:
        # The answers to prompts may be a few words that come again, or objects.
        answers = next((profile.columns[n] for n in ANSWERED[shape] if n in profile.columns), None)
        if answers is None or roles.is_label(answers) or schema_at(profile, answers.name):
            return None
    # Each kind lists the shapes that are made for it first.
    kind = kind or min(fitting, key=fitting.__getitem__)
    return Guess(kind=kind, why_kind=f"its rows have the shape `{shape}`", shape=shape)


def _by_columns(profile: Profile, given: DraftOptions) -> Guess:
    """Return the first kind whose columns are there, the narrowest first."""
    columns = profile.columns
    if {"choices", "gold"} <= columns.keys() or {"context_options", "gold"} <= columns.keys():
        raise RecipeError.one(
            "R030",
            "its rows are questions with choices: probes, which measure a model and train none",
            hint="name the file under acceptance.forgetting.probes of a recipe",
        )
    cells = ((str(name), value) for row in profile.kept[:5] for name, value in row.items())
    packed = (n for n, one in cells if isinstance(one, bytes) and is_called(n, "text"))
    if not given.text and (name := next(packed, "")):
        raise _cannot(profile, f"`{name}` holds bytes, which are no text before they are decoded")
    text = columns[given.text] if given.text else roles.text_column(profile, taken=given.label)
    # A table of numbers and labels has no text.
    is_label = text is not None and roles.is_label(text) and not given.text
    if text is None or (is_label and is_called(text.name, "label")):
        raise _cannot(profile, _why_no_text(profile))
    why = CHOSEN if given.text else roles.why_text(text, profile)
    for kind, attempt in _ATTEMPTS.items():
        if given.kind not in ("", kind) or not (found := attempt(profile, text, given)):
            continue
        inputs = found.inputs
        if not given.text and not inputs:
            names = roles.more_texts(profile, text)
            if len(names) == 1 and KINDS[kind].has_labels:
                names = roles.numbered_pair(profile, text)
            inputs = () if found.label in names else names
        return replace(
            found, text=text.name, inputs=inputs,
            why_text=why,
            instruction=_shared_instruction(profile, kind, inputs),
        )  # fmt: skip
    as_kind = f" as {given.kind}" if given.kind else ""
    raise _cannot(profile, f"no column goes with `{text.name}`{as_kind}")


def _why_no_text(profile: Profile) -> str:
    rows = profile.kept[:50]
    has_words = any(c.lists > roles.MOSTLY * c.filled for c in profile.columns.values())
    for name in dict.fromkeys(str(name) for row in rows for name in row) if has_words else ():
        lists = [row.get(name) for row in rows]
        # Those of several labels are texts by now.
        if all(isinstance(one, list) and all(str(c).isdigit() for c in one) for one in lists):
            return (
                f"the tags in `{name}` are numbers, and nothing names them: put their names, one a line, into"
                " `labels.txt` in a folder with the rows, and name the folder"
            )
    return "no column holds text"


def _shared_instruction(profile: Profile, kind: str, inputs: tuple[str, ...]) -> str:
    """Return the text of a column of instructions, where it is the same in every row."""
    for column in profile.columns.values():
        is_asked = column.name.lower() in ("instruction", "prompt", "task", "system")
        is_one = len(column.values) == 1 and column.filled == len(profile.kept)
        if is_asked and is_one and column.name not in inputs:
            text = next(iter(column.values))
            # Braces are literal there; only `{labels}` means something.
            is_read = "task.instruction" in KINDS[kind].reads and "{labels}" not in text
            return text if is_read else ""
    return ""


def _extraction(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    spans = None if given.label else spans_in(profile, text.name)
    if spans is not None:
        label = roles.label_column(profile, text)
        # Marked parts of a text may be next to its intent.
        if not given.kind and label is not None and is_called(label.name, "label"):
            return None
        return Guess(
            kind="extraction",
            why_kind=f"`{spans.column}` marks parts of `{text.name}`",
            label=spans.column,
            why_label=f"{len(spans.names)} names of parts",
            spans=spans,
        )
    if found := objects_beside(profile, text.name, given.label):
        return found
    fields = _named_labels(profile, given) or tuple(roles.verbatim(profile, text))
    if len(fields) < (1 if given.kind else 2):
        return None
    return Guess(
        kind="extraction",
        why_kind=f"{len(fields)} columns stand word for word in `{text.name}`",
        label=", ".join(fields),
        why_label=CHOSEN if given.label else f"in {roles.VERBATIM:.0%} of the rows or more",
        fields=fields,
    )


def _multilabel(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    is_free = not given.kind
    for column in profile.columns.values():
        is_answer = _is_one_item(column, profile) or is_called(column.name, "answers")
        # Words next to the label (`keywords`, `products`) are not what sorts the rows.
        is_beside = not may_be_called(column.name, "label") and not given.label
        if (
            column.name == text.name
            or (given.label and column.name != given.label)
            or (is_free and is_answer)
            or (is_free and is_beside and roles.has_sure_label(profile, text))
            # What was made of the text, such as `question_toks`.
            or (is_free and is_beside and column.name.startswith(f"{text.name}_"))
            # Every row has all of them.
            or (column.lists and column.values.total() == column.lists * len(column.values))
        ):
            continue
        are_lists = (
            column.lists > 0.9 * column.filled
            and 1 < len(column.values) <= roles.MOST_LABELS
            and max(map(len, column.values)) <= roles.LONGEST_LABEL
            and column.values.total() >= 2 * len(column.values)
        )
        separator = "" if are_lists else roles.separator_of(column)
        if separator is None:
            continue
        count = len(roles.labels_of(column, separator))
        return Guess(
            kind="multilabel",
            why_kind=f"`{column.name}` holds several labels a row",
            label=column.name,
            why_label=f"{count} labels, {f'divided by `{separator}`' if separator else 'in lists'}",
            separator=separator,
        )
    return None


def _is_one_item(column: ColumnProfile, profile: Profile) -> bool:
    """Whether each row has a list of exactly one label there."""
    return (
        column.lists == len(profile.kept) == column.values.total()
        and 2 <= len(column.values) <= min(roles.MOST_LABELS, column.lists / 2)
        and max(map(len, column.values)) <= roles.LONGEST_LABEL
        # Lists of right answers to a question may have one item each.
        and not is_called(column.name, "answer")
    )


def _classification(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label) or roles.label_column(profile, text)
    is_free = not given.label and not given.kind
    if column is not None and is_free and roles.is_answered(profile, text, column):
        return None
    if column is None:
        items = (one.name for one in profile.columns.values() if _is_one_item(one, profile))
        if not (name := next(items, "")):
            return None
        column = profile.columns[f"{name}.0"] = column_of(profile, f"{name}.0")
    count = len(column.values)
    if len(set(map(folded, column.values))) < roles.SEVERAL:
        ways = f", in {count} spellings" if count > 1 else ""
        raise _cannot(profile, f"`{column.name}` says the same in every row{ways}")
    rarest = min(column.values.values())
    why = f"{count} values that come again, the rarest {rarest} time{'s' if rarest > 1 else ''}"
    if column.is_number and count > roles.NOT_A_CLASS:
        numbers = [float(value) for value in column.values]
        why = f"numbers from {min(numbers):g} to {max(numbers):g}, put into bins"
    if others := [] if given.label else roles.other_labels(profile, text, column):
        why += f"; else --label {', '.join(others[:3])}"
    return Guess(
        kind="classification",
        why_kind=f"`{column.name}` sorts the texts",
        label=column.name,
        why_label=f"{CHOSEN}; {why}" if given.label else why,
    )


def _generation(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label)
    if column is None:
        asked = roles.more_texts(profile, text)
        column = min(
            (c for c in roles.answer_columns(profile, text) if c.name not in asked),
            key=lambda c: (roles.begins_alike(c), rank(c.name, "answer"), -c.mean_length),
            default=None,
        )
    if column is None:
        return None
    what, why = (
        "is a text too, and nothing sorts the rows",
        f"{column.mean_length:.0f} characters on average",
    )
    if column.lists:
        what, why = "holds right answers", "lists of right answers"
    return Guess(
        kind="generation",
        why_kind=f"`{column.name}` {what}",
        label=column.name,
        why_label=CHOSEN if given.label else why,
    )


def _plain(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    if not given.kind and roles.answer_columns(profile, text):
        return None
    return Guess(kind="text", why_kind="there is text, and nothing to answer")


_ATTEMPTS: Final = {
    "extraction": _extraction,
    "multilabel": _multilabel,
    "classification": _classification,
    "generation": _generation,
    "text": _plain,
}
"""What makes a guess of a kind, the narrowest first: a text with fields or labels would also pass for plain text."""


class Grouping(Value):
    column: ColumnProfile
    is_sure: bool
    """Whether its name says whose the rows are, and it does not only end in `id`."""
    empty: int
    """Rows without a value."""

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def repeated(self) -> int:
        """Rows that are not the first of their value."""
        return self.column.filled - len(self.column.values)


def groupings(profile: Profile, guess: Guess) -> tuple[Grouping, ...]:
    """Return the columns by which rows belong together, the one to divide them by first.

    Those that lie within an earlier one are left out: the sessions of a user stay together with the user.
    """
    used = (*guess.texts, *guess.fields, *guess.pair, guess.label, guess.split)
    whose = set(NAMES["whose"])
    found = []
    for column in profile.columns.values():
        # `userid` is two words as well.
        words = [
            part
            for word in words_of(column.name.strip())
            for part in ((word[:-2], "id") if word[-2:] == "id" and word[:-2] in whose else (word,))
        ]
        *before, last = words
        # `name` and `number` alone say nothing of whose it is.
        is_named = last in whose or (last in NAMES["naming"] and not whose.isdisjoint(before))
        is_id = bool(before) and last in ("id", "uid", "uuid")
        is_free = column.name not in used and not column.is_of_item
        if (is_named or is_id) and is_free and _comes_again(column, profile):
            empty = len(profile.kept) - column.filled
            is_sure = not whose.isdisjoint(words)
            found.append(Grouping(column=column, is_sure=is_sure, empty=empty))
    found.sort(key=lambda one: (not one.is_sure, one.empty > 0, len(one.column.values)))
    kept: list[Grouping] = []
    for one in found:
        if not any(_lies_within(one.name, other.name, profile) for other in kept):
            kept.append(one)
    return tuple(kept)


def _comes_again(column: ColumnProfile, profile: Profile) -> bool:
    """Whether short values name many groups of few rows, a good part of them of several."""
    if column.lists or column.objects or column.longest > 64 or column.name in NAMES["id"]:
        return False
    if PATTERNS["times"].search(column.name) or all(map(PATTERNS["time"].match, column.values)):
        return False
    shared = sum(rows for rows in column.values.values() if rows > 1)
    return (
        len(column.values) >= 20  # of fewer groups, whole ones cannot be drawn
        and column.filled > len(profile.kept) / 2
        and max(column.values.values()) <= 0.1 * column.filled  # else splits miss their sizes
        and shared >= 0.1 * column.filled
    )


def _lies_within(inner: str, outer: str, profile: Profile) -> bool:
    """Whether all rows of one value have one value of the other column too."""
    first: dict[str, object] = {}
    return all(
        first.setdefault(str(found_at(row, inner)), value := found_at(row, outer)) == value
        for row in profile.kept
    )
