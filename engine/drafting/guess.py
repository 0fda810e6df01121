"""What a file's columns make of the task: the kind, the text, the label or the answer, each with a reason."""

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
    fields_in,
    objects_in,
    one_round,
    spans_in,
    turns_in,
)
from engine.drafting.layout_table import PATTERNS
from engine.drafting.profile import (
    NAMES,
    NOT_A_CLASS,
    SEVERAL,
    SOME,
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
    found = (_by_layout(profile, given.kind) if is_free else None) or _by_columns(profile, given)
    if found.label and found.label not in profile.columns and not found.fields:
        # A place deeper than those that are counted of every file.
        profile.columns[found.label] = profile.column(found.label)
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


def _by_layout(profile: Profile, kind: str) -> Guess | None:
    """Return what the layout of the rows says without a look at single columns; None where it says nothing."""
    if found := _by_answers(profile, kind) or _by_shape(profile, kind):
        return found
    names = {name.lower(): name for name in profile.columns}
    prompt = next((names[name] for name in NAMES["prompt"] if name in names), "")
    for better, worse in NAMES["better and worse"] if kind in ("", "preference") else ():
        if prompt and better in names and worse in names:
            why = f"`{names[better]}` is better than `{names[worse]}`"
            pair = {"prompt": prompt, "chosen": names[better], "rejected": names[worse]}
            return Guess(kind="preference", why_kind=why, keys={"data.pair": pair}, shape="pair")
    if kind in ("", "chat") and (turns := turns_in(profile)):
        column, roles = turns["data.messages"]["column"], turns["data.messages"]["roles"]
        why = f"`{column}` holds turns of {len(roles)} speakers"
        return Guess(kind="chat", why_kind=why, keys=turns, shape="turns")
    return None


def _by_answers(profile: Profile, kind: str) -> Guess | None:
    """Return what rows of one question and one answer are by their answers; None for free texts and conversations."""
    if (known := one_round(profile)) is None:
        return None
    answers = profile.column(known.label)
    keys, separator = objects_in(profile, known.label), roles.separator_of(answers)
    if keys and kind in ("", "extraction"):
        known = replace(known, kind="extraction", keys=keys)
        why = "every answer is a JSON object"
        return replace(known, why_kind=why, why_label=f"{len(known.fields)} fields")
    if answers.has("few") and kind in ("", "classification"):
        why, what = (
            "the answers are a few that come again",
            f"{len(answers.values)} different answers",
        )
        return replace(known, kind="classification", why_kind=why, why_label=what)
    if separator and kind in ("", "multilabel"):
        why, what = "the answers list a few labels that come again", f"divided by `{separator}`"
        known = replace(known, separator=separator)
        return replace(known, kind="multilabel", why_kind=why, why_label=what)
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
        if answers is None or answers.has("few") or objects_in(profile, answers.name):
            return None
    # Each kind lists the shapes that are made for it first.
    kind = kind or min(fitting, key=fitting.__getitem__)
    return Guess(kind=kind, why_kind=f"its rows have the shape `{shape}`", shape=shape)


def _by_columns(profile: Profile, given: DraftOptions) -> Guess:
    """Return the first kind whose columns are there, the narrowest first."""
    columns = profile.columns
    cells = ((str(name), value) for row in profile.kept[:5] for name, value in row.items())
    packed = (n for n, one in cells if isinstance(one, bytes) and is_called(n, "text"))
    if not given.text and (name := next(packed, "")):
        raise _cannot(profile, f"`{name}` holds bytes, which are no text before they are decoded")
    text = columns[given.text] if given.text else roles.text_column(profile, taken=given.label)
    # A table of numbers and labels has no text.
    if text is None or (not given.text and text.has("few") and is_called(text.name, "label")):
        raise _cannot(profile, _why_no_text(profile))
    why = CHOSEN if given.text else roles.why_text(text, profile)
    for kind, attempt in _ATTEMPTS.items():
        if given.kind not in ("", kind) or not (found := attempt(profile, text, given)):
            continue
        inputs = roles.texts_together(profile, text, is_labelled=KINDS[kind].has_labels)
        if given.text or found.label in inputs:
            inputs = ()
        instruction = _shared_instruction(profile, kind, inputs)
        return replace(found, text=text.name, inputs=inputs, why_text=why, instruction=instruction)
    as_kind = f" as {given.kind}" if given.kind else ""
    raise _cannot(profile, f"no column goes with `{text.name}`{as_kind}")


def _why_no_text(profile: Profile) -> str:
    for name in profile.columns if profile.having("list") else ():
        lists = [row.get(name) for row in profile.kept[:50]]
        # Those of several labels are texts by now.
        if all(isinstance(one, list) and all(str(code).isdigit() for code in one) for one in lists):
            return (
                f"the tags in `{name}` are numbers, and nothing names them: put their names, one a line, into"
                " `labels.txt` in a folder with the rows, and name the folder"
            )
    return "no column holds text"


def _shared_instruction(profile: Profile, kind: str, inputs: tuple[str, ...]) -> str:
    """Return the text of a column of instructions, where it is the same in every row."""
    for column in profile.columns.values():
        is_asked = column.name.lower() in ("instruction", "prompt", "task", "system")
        is_one = len(column.values) == 1 and column.filled == column.rows
        if is_asked and is_one and column.name not in inputs:
            text = next(iter(column.values))
            # Braces are literal there; only `{labels}` means something.
            is_read = "task.instruction" in KINDS[kind].reads and "{labels}" not in text
            return text if is_read else ""
    return ""


def _extraction(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    if not given.label and (spans := spans_in(profile, text.name)):
        label = roles.label_column(profile, text)
        # Marked parts of a text may be next to its intent.
        if not given.kind and label is not None and is_called(label.name, "label"):
            return None
        column = spans["data.answer.spans"]["column"]
        found = Guess(
            kind="extraction", why_kind=f"`{column}` marks parts of `{text.name}`", keys=spans, label=column
        )  # fmt: skip
        return replace(found, why_label=f"{len(found.fields)} names of parts")
    names = dict.fromkeys(str(name) for row in profile.kept[:50] for name in row)
    for name in [given.label] if given.label else names:
        keys = objects_in(profile, name)
        if keys and (given.label or _are_answers(profile, name, text.name)):
            why = f"`{name}` holds a JSON object for each text"
            found = Guess(kind="extraction", why_kind=why, keys=keys, label=name)
            return replace(found, why_label=f"{len(found.fields)} fields")
    fields = _named_labels(profile, given) or tuple(roles.verbatim(profile, text))
    if len(fields) < (1 if given.kind else SEVERAL):
        return None
    where = f"in {roles.VERBATIM:.0%} of the rows or more"
    return Guess(
        kind="extraction", why_kind=f"{len(fields)} columns stand word for word in `{text.name}`",
        keys=fields_in(profile, fields), label=", ".join(fields), why_label=CHOSEN if given.label else where,
    )  # fmt: skip


def _are_answers(profile: Profile, name: str, text: str) -> bool:
    """Whether the objects of a column say what is in each text, and are no metadata and no label with its number."""
    if name == text or text.startswith(f"{name}.") or name.lower() in NAMES["object of metadata"]:
        return False
    rows = [row for row in profile.kept[:SOME] if isinstance(row.get(name), Mapping)]
    keys = {key for row in rows for key in row[name]}
    called = next((key for key in ("name", "label", "value", "title", "text") if key in keys), "")
    column = profile.columns.get(f"{name}.{called}")
    hits = [
        str(value).casefold() in str(found_at(row, text) or "").casefold()
        for row in rows
        for value in row[name].values()
        if isinstance(value, str | int | float)
    ]
    is_in_text = sum(hits) >= roles.VERBATIM * max(1, len(hits))
    known = {*NAMES["one thing"], *(NAMES["beside a label"] if called == "label" else ())}
    is_label = column and keys <= known and column.has("few")
    return is_in_text or (may_be_called(name, "object") and not is_label)


def _multilabel(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    has_label = any(
        column is not text
        and column.last in NAMES["sure label"]
        and column.has("few")
        and roles.could_label(column, profile)
        and roles.separator_of(column) is None
        for column in profile.columns.values()
    )
    for column in profile.columns.values():
        is_answer = column.has("single") or is_called(column.name, "answers")
        # Words next to the label (`keywords`), or what was made of the text (`question_toks`), do not sort the rows.
        is_beside = not may_be_called(column.name, "label") and not given.label
        is_beside = is_beside and (has_label or column.name.startswith(f"{text.name}_"))
        is_other = column is text or (given.label and column.name != given.label)
        if is_other or (not given.kind and (is_answer or is_beside)):
            continue
        separator = "" if column.has("labels") else roles.separator_of(column)
        if separator is not None:
            where = f"divided by `{separator}`" if separator else "in lists"
            return Guess(
                kind="multilabel", why_kind=f"`{column.name}` holds several labels a row", separator=separator,
                label=column.name, why_label=f"{len(roles.labels_of(column, separator))} labels, {where}",
            )  # fmt: skip
    return None


def _classification(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label) or roles.label_column(profile, text)
    if column is None:
        items = profile.having("single")
        if not items:
            return None
        name = f"{items[0].name}.0"
        column = profile.columns[name] = profile.column(name)
    elif not given.label and not given.kind and _is_answered(profile, text, column):
        return None
    count = len(column.values)
    if len(set(map(folded, column.values))) < SEVERAL:
        ways = f", in {count} spellings" if count > 1 else ""
        raise _cannot(profile, f"`{column.name}` says the same in every row{ways}")
    rarest = min(column.values.values())
    why = f"{count} values that come again, the rarest {rarest} time{'s' if rarest > 1 else ''}"
    if column.is_number and count > NOT_A_CLASS:
        numbers = [float(value) for value in column.values]
        why = f"numbers from {min(numbers):g} to {max(numbers):g}, put into bins"
    if others := [] if given.label else roles.other_labels(profile, text, column):
        why += f"; else --label {', '.join(others[:3])}"
    return Guess(
        kind="classification", why_kind=f"`{column.name}` sorts the texts",
        label=column.name, why_label=f"{CHOSEN}; {why}" if given.label else why,
    )  # fmt: skip


def _is_answered(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> bool:
    """Whether a text has an answer of its own, so that a column of categories only sorts the pairs."""
    if label.name.lower() in NAMES["sure label"] or not is_called(text.name, "question"):
        return False
    answers = (one for one in profile.having("answer", "long") if is_called(one.name, "answer"))
    return any(column not in (text, label) for column in answers)


def _generation(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label)
    if column is None:
        asked = roles.texts_together(profile, text, is_labelled=False)
        column = min(
            (one for one in profile.having("answer") if one.name not in asked),
            # The source or the licence of each text begins in the same way.
            key=lambda one: (one.has("alike"), rank(one.name, "answer"), -one.mean_length),
            default=None,
        )
    if column is None:
        return None
    what, why = "holds right answers", "lists of right answers"
    if not column.lists:
        what = "is a text too, and nothing sorts the rows"
        why = f"{column.mean_length:.0f} characters on average"
    return Guess(
        kind="generation", why_kind=f"`{column.name}` {what}",
        label=column.name, why_label=CHOSEN if given.label else why,
    )  # fmt: skip


def _plain(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    if not given.kind and any(column is not text for column in profile.having("answer")):
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
        is_free = column.name not in guess.used and column.has("-item")
        if (is_named or is_id) and is_free and _comes_again(column):
            empty = column.rows - column.filled
            is_sure = not whose.isdisjoint(words)
            found.append(Grouping(column=column, is_sure=is_sure, empty=empty))
    found.sort(key=lambda one: (not one.is_sure, one.empty > 0, len(one.column.values)))
    kept: list[Grouping] = []
    for one in found:
        pairs = [profile.pairs(one.column, other.column) for other in kept]
        if not any(len(some) == len({inner for inner, _ in some}) for some in pairs):
            kept.append(one)
    return tuple(kept)


def _comes_again(column: ColumnProfile) -> bool:
    """Whether short values name many groups of few rows, a good part of them of several."""
    if column.lists or column.objects or column.longest > 64 or column.name in NAMES["id"]:
        return False
    if PATTERNS["times"].search(column.name) or all(map(PATTERNS["time"].match, column.values)):
        return False
    shared = sum(rows for rows in column.values.values() if rows > 1)
    return (
        len(column.values) >= 20  # of fewer groups, whole ones cannot be drawn
        and column.filled > column.rows / 2
        and max(column.values.values()) <= 0.1 * column.filled  # else splits miss their sizes
        and shared >= 0.1 * column.filled
    )
