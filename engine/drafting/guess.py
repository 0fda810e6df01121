"""What a file's columns make of the task: the kind, the text, the label or the answer, each with a reason."""

from collections.abc import Mapping
from typing import Final

from engine.data.examples.chat_formats import TURNS, recognise
from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting import roles
from engine.drafting.column_profile import (
    NAMES,
    NOT_A_CLASS,
    SEVERAL,
    SOME,
    ColumnProfile,
    Profile,
    is_called,
    may_be_called,
    rank,
)
from engine.drafting.nested import Keys, fields_in, objects_in, one_round, spans_in, turns_in
from engine.errors import RecipeError
from engine.kinds import KINDS, AnswerForm
from engine.recipe.model import Reference
from engine.recipe.text.words import folded, nearest
from engine.values import Value, field, replace

CHOSEN: Final = "you chose it"
ANSWERED: Final = {"prompt_completion": ("completion", "response"), "alpaca": ("output",)}
"""Shapes of rows whose answers may be labels or objects, and the columns of these."""


class DraftOptions(Value):
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"

    def allows(self, *kinds: str) -> bool:
        return self.kind in ("", *kinds)


class Guess(Value):
    kind: str
    why_kind: str
    text: str = ""
    """Column of the text; empty where the shape of the rows says it."""
    why_text: str = ""
    label: str = ""
    """Column of the label or answer."""
    why_label: str = ""
    keys: Keys = field(default_factory=dict)
    """What a recipe has to say of objects, turns and pairs of answers."""
    shape: str = ""
    separator: str = ""
    """Multilabel: what divides the labels in one text; empty for lists."""
    inputs: tuple[str, ...] = ()
    """Columns that are the text together; empty where `text` is all of it."""
    system: str = ""
    """The system message that all rows share."""
    instruction: str = ""
    """The question that all rows ask in the same words."""
    split: str = ""
    """The column that says which split a row belongs to."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.inputs or ((self.text,) if self.text else ())

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an answer that is an object."""
        return tuple(self.keys.get("task.schema", {}).get("properties", ()))

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that the recipe reads."""
        return (*self.needed, *self.keys.get("data.answer.fields", ()), self.label, self.split)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have; fields of an answer may be absent."""
        label = () if self.fields or not self.label else (self.label,)
        return (*self.texts, *self.keys.get("data.pair", {}).values(), *label)


def guess(profile: Profile, given: DraftOptions) -> Guess:
    """Return what the columns make of the task; what was given is kept.

    RecipeError R030 where nothing fits, or a column that was named is not there.
    """
    for name in (given.text, *_named_labels(profile, given)):
        if name and name not in profile.columns:
            near = nearest(name, profile.columns)
            hint = f"did you mean `{near}`?" if near else f"columns are {_known(profile)}"
            raise RecipeError.one("R030", f"no column is called `{name}`", hint=hint)
    found = None if given.text or given.label else _by_layout(profile, given)
    found = found or _by_columns(profile, given)
    if found.label and not found.fields:
        # A place may be deeper than those that are counted of every file.
        profile.columns[found.label] = profile.column(found.label)
    why_label = _why_label(profile, found)
    return replace(
        found, why_kind=CHOSEN if given.kind else found.why_kind, split=roles.split_column(profile),
        why_label=f"{CHOSEN}; {why_label}" if given.label else why_label,
    )  # fmt: skip


def _why_label(profile: Profile, found: Guess) -> str:
    if found.fields or not found.label:
        return f"{len(found.fields)} fields"
    column, answer = profile.columns[found.label], KINDS[found.kind].answer
    if answer is AnswerForm.LABELS:
        where = f"divided by `{found.separator}`" if found.separator else "in lists"
        return f"{len(roles.label_counts(column, found.separator))} labels, {where}"
    if answer is not AnswerForm.LABEL:
        long = f"{column.mean_length:.0f} characters on average"
        return "lists of right answers" if column.lists else long
    count, rarest = len(column.values), min(column.values.values())
    why = f"{count} values that come again, the rarest {rarest} time{'s' if rarest > 1 else ''}"
    if column.is_number and count > NOT_A_CLASS:
        numbers = [float(value) for value in column.values]
        why = f"numbers from {min(numbers):g} to {max(numbers):g}, put into bins"
    return f"{why}{found.why_label}"


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
    if found := _by_answers(profile, given) or _by_shape(profile, given):
        return found
    names = {name.lower(): name for name in profile.columns}
    prompt = next((names[name] for name in NAMES["prompt"] if name in names), "")
    for better, worse in NAMES["better and worse"] if given.allows("preference") else ():
        if prompt and better in names and worse in names:
            why = f"`{names[better]}` is better than `{names[worse]}`"
            pair = {"prompt": prompt, "chosen": names[better], "rejected": names[worse]}
            return Guess(kind="preference", why_kind=why, keys={"data.pair": pair}, shape="pair")
    if given.allows("chat") and (turns := turns_in(profile)):
        column, speakers = turns["data.messages"]["column"], turns["data.messages"]["roles"]
        why = f"`{column}` holds turns of {len(speakers)} speakers"
        return Guess(kind="chat", why_kind=why, keys=turns, shape="turns")
    return None


def _by_answers(profile: Profile, given: DraftOptions) -> Guess | None:
    """Return what rows of one question and one answer are by their answers; None for free texts and conversations."""
    if (known := one_round(profile)) is None:
        return None
    text, label, system = known
    answers = profile.column(label)
    base = Guess(
        kind="", why_kind="", text=text, why_text="the turn of the user", label=label, system=system
    )  # fmt: skip
    if given.allows("extraction") and (keys := objects_in(profile, label)):
        why = "every answer is a JSON object"
        return replace(base, kind="extraction", why_kind=why, keys=keys)
    if given.allows("classification") and answers.has("few"):
        why = "the answers are a few that come again"
        return replace(base, kind="classification", why_kind=why)
    if given.allows("multilabel") and (separator := roles.separator_of(answers)):
        why = "the answers list a few labels that come again"
        return replace(base, kind="multilabel", why_kind=why, separator=separator)
    return None


def _by_shape(profile: Profile, given: DraftOptions) -> Guess | None:
    """Return the kind that reads rows of a shape that is known; None where other speakers or labels are in them."""
    rows = profile.kept[:50]
    shape, *others = {recognise(values) for values in rows}
    # Each kind lists the shapes that are made for it first.
    fitting = {one.name: one.formats.index(shape) for one in KINDS.values() if shape in one.formats}
    if shape is None or others or not fitting or not given.allows(*fitting):
        return None
    turns = [
        turn for values in rows for name in TURNS for turn in values.get(name) or ()
        if shape in ("openai_messages", "sharegpt") and isinstance(turn, Mapping)
    ]  # fmt: skip
    if not {str(turn.get("from", turn.get("role"))) for turn in turns} <= ROLES.keys():
        # Other speakers are named by `data.messages.roles`.
        return None
    if shape in ANSWERED and not given.kind:
        # The answers to prompts may be a few words that come again, or objects.
        answers = next((profile.columns[n] for n in ANSWERED[shape] if n in profile.columns), None)
        if answers is None or answers.has("few") or objects_in(profile, answers.name):
            return None
    kind = given.kind or min(fitting, key=fitting.__getitem__)
    return Guess(kind=kind, why_kind=f"its rows have the shape `{shape}`", shape=shape)


def _by_columns(profile: Profile, given: DraftOptions) -> Guess:
    """Return the first kind whose columns are there, the narrowest first."""
    columns = profile.columns
    text = columns[given.text] if given.text else roles.text_column(profile, taken=given.label)
    # A table of numbers and labels has no text.
    if text is None or (not given.text and text.has("few") and is_called(text.name, "label")):
        for name in profile.columns if profile.having("list") else ():
            lists = [row.get(name) for row in profile.kept[:50]]
            # Those of several labels are texts by now.
            if all(isinstance(one, list) and all(str(n).isdigit() for n in one) for one in lists):
                raise _cannot(
                    profile,
                    f"the tags in `{name}` are numbers, and nothing names them: put their names, one a line,"
                    " into `labels.txt` in a folder with the rows, and name the folder",
                )
        raise _cannot(profile, "no column holds text")
    shorter = any(text.mean_length < other.mean_length for other in profile.having("text"))
    why = f"{'its name' if shorter else 'the longest texts'}, {text.mean_length:.0f} characters on average"
    for kind, attempt in _ATTEMPTS:
        if not given.allows(kind) or (found := attempt(profile, text, given)) is None:
            continue
        inputs = roles.texts_together(profile, text)
        if given.text or found.label in inputs:
            inputs = ()
        return replace(
            found, text=text.name, inputs=inputs, why_text=CHOSEN if given.text else why,
            instruction=_shared_instruction(profile, kind, inputs),
        )  # fmt: skip
    as_kind = f" as {given.kind}" if given.kind else ""
    raise _cannot(profile, f"no column goes with `{text.name}`{as_kind}")


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
        why = f"`{column}` marks parts of `{text.name}`"
        return Guess(kind="extraction", why_kind=why, keys=spans, label=column)
    names = dict.fromkeys(str(name) for row in profile.kept[:50] for name in row)
    for name in [given.label] if given.label else names:
        keys = objects_in(profile, name)
        if keys and (given.label or _are_answers(profile, name, text.name)):
            why = f"`{name}` holds a JSON object for each text"
            return Guess(kind="extraction", why_kind=why, keys=keys, label=name)
    fields = _named_labels(profile, given) or tuple(roles.verbatim(profile, text))
    if len(fields) < (1 if given.kind else SEVERAL):
        return None
    why, keys = f"{len(fields)} columns stand word for word in `{text.name}`", fields_in(profile, fields)  # fmt: skip
    return Guess(kind="extraction", why_kind=why, keys=keys, label=", ".join(fields))


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
    others = [column for column in profile.columns.values() if column is not text]
    has_label = any(
        column.last in NAMES["sure label"] and column.has("few")
        and roles.could_label(column, profile) and not roles.separator_of(column)
        for column in others
    )  # fmt: skip
    for column in others:
        is_answer = column.has("single") or is_called(column.name, "answers")
        # Words next to the label (`keywords`), or what was made of the text (`question_toks`), do not sort the rows.
        is_beside = not may_be_called(column.name, "label") and not given.label
        is_beside = is_beside and (has_label or column.name.startswith(f"{text.name}_"))
        is_other = given.label and column.name != given.label
        if is_other or (not given.kind and (is_answer or is_beside)):
            continue
        separator = "" if column.has("labels") else roles.separator_of(column)
        if separator or column.has("labels"):
            why = f"`{column.name}` holds several labels a row"
            return Guess(kind="multilabel", why_kind=why, separator=separator, label=column.name)
    return None


def _classification(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label) or roles.label_column(profile, text)
    if column is None:
        items = profile.having("single")
        if not items:
            return None
        name = f"{items[0].name}.0"
        column = profile.columns[name] = profile.column(name)
    elif not given.label and not given.kind and is_called(text.name, "question"):
        answers = [c for c in profile.having("answer", "long") if is_called(c.name, "answer")]
        has_answer = any(one not in (text, column) for one in answers)
        # A text may have an answer of its own, so that a column of categories only sorts the pairs.
        if has_answer and column.name.lower() not in NAMES["sure label"]:
            return None
    count = len(column.values)
    if len(set(map(folded, column.values))) < SEVERAL:
        ways = f", in {count} spellings" if count > 1 else ""
        raise _cannot(profile, f"`{column.name}` says the same in every row{ways}")
    others = [] if given.label else roles.other_labels(profile, text, column)
    more = f"; else --label {', '.join(others[:3])}" if others else ""
    why = f"`{column.name}` sorts the texts"
    return Guess(kind="classification", why_kind=why, label=column.name, why_label=more)


def _generation(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label)
    if column is None:
        asked = roles.texts_together(profile, text)
        column = min(
            (one for one in profile.having("answer") if one.name not in asked),
            key=lambda one: (rank(one.name, "answer"), -one.mean_length),
            default=None,
        )
    if column is None:
        return None
    is_list = "holds right answers"
    what = is_list if column.lists else "is a text too, and nothing sorts the rows"
    return Guess(kind="generation", why_kind=f"`{column.name}` {what}", label=column.name)


def _plain(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    if not given.kind and any(column is not text for column in profile.having("answer")):
        return None
    return Guess(kind="text", why_kind="there is text, and nothing to answer")


_ATTEMPTS: Final = (
    ("extraction", _extraction),
    ("multilabel", _multilabel),
    ("classification", _classification),
    ("generation", _generation),
    ("text", _plain),
)
"""What makes a guess of a kind, the narrowest first: a text with fields or labels would also pass for plain text."""
