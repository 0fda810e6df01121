"""What a file's columns make of the task: the kind, the text, the label or the answer, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from engine.data.examples.chat_formats import TURNS, recognise
from engine.data.examples.turns import ROLES
from engine.drafting import roles
from engine.drafting.answers import by_answers, objects_beside
from engine.drafting.choices import CHOSEN, DraftOptions, Guess
from engine.drafting.objects import spans_in, turns_in
from engine.drafting.profile import ColumnProfile, Profile
from engine.drafting.turn_answers import column_of, schema_at
from engine.errors import RecipeError
from engine.kinds import KINDS
from engine.recipe.text.lookalike import folded
from engine.recipe.text.nearest import nearest

PROMPTS: Final = (
    *(
        "prompt",
        "question",
        "instruction",
        "query",
        "input",
        "context",
        "input.messages",
        "messages",
    ),
)
BETTER: Final = (
    ("chosen", "rejected"), ("better", "worse"), ("preferred", "dispreferred"), ("winner", "loser"),
    ("accepted", "declined"), ("preferred_output", "non_preferred_output"), ("good", "bad"),
    ("chosen_response", "rejected_response"), ("response_chosen", "response_rejected"),
    ("response_j", "response_k"),
)  # fmt: skip
"""Names of the better and the worse answer."""


def guess(profile: Profile, given: DraftOptions) -> Guess:
    """Return what the columns make of the task; what was given is kept.

    RecipeError R030 where nothing fits, or a column that was named is not there.
    """
    for name in (given.text, *given.label.split(",")):
        _require(name, profile)
    found = _guessed(profile, given)
    if found.label and found.label not in profile.columns and not found.properties:
        # A place deeper than those that are counted of every file.
        profile.columns[found.label] = column_of(profile, found.label)
    return replace(found, split=roles.split_column(profile))


def _guessed(profile: Profile, given: DraftOptions) -> Guess:
    columns = profile.columns
    is_free = not given.text and not given.label
    if is_free and (found := by_answers(profile, given.kind)):
        return _chosen(found, given)
    if is_free and (found := _by_shape(_shape(profile), given, profile)):
        return found
    if is_free and given.kind in ("", "preference") and (found := _named_pair(profile)):
        return _chosen(found, given)
    if {"choices", "gold"} <= columns.keys() or {"context_options", "gold"} <= columns.keys():
        raise RecipeError.one(
            "R030",
            "its rows are questions with choices: probes, which measure a model and train none",
            hint="name the file under acceptance.forgetting.probes of a recipe",
        )
    if is_free and given.kind in ("", "chat") and (found := _by_turns(profile)):
        return _chosen(found, given)
    if not given.text and (name := _bytes_in(profile)):
        raise _cannot(profile, f"`{name}` holds bytes, which are no text before they are decoded")
    text = columns[given.text] if given.text else roles.text_column(profile, taken=given.label)
    # A table of numbers and labels has no text.
    is_label = text is not None and roles.is_label(text) and not given.text
    if text is None or (
        is_label and roles.rank(text.name, roles.LABEL_NAMES) < len(roles.LABEL_NAMES)
    ):
        raise _cannot(profile, _why_no_text(profile))
    reason = CHOSEN if given.text else roles.why_text(text, profile)
    for kind, attempt in _ATTEMPTS.items():
        if given.kind in ("", kind) and (found := attempt(profile, text, given)):
            inputs = _inputs(profile, text, found) if not given.text else found.inputs
            return _chosen(
                replace(
                    found, text=text.name, why_text=reason, inputs=inputs,
                    instruction=_shared_instruction(profile, found, inputs),
                ),
                given,
            )  # fmt: skip
    as_kind = f" as {given.kind}" if given.kind else ""
    raise _cannot(profile, f"no column goes with `{text.name}`{as_kind}")


def _inputs(profile: Profile, text: ColumnProfile, found: Guess) -> tuple[str, ...]:
    """Return the columns that are the text together; none where an answer is one of them."""
    names = roles.more_texts(profile, text)
    if len(names) == 1 and KINDS[found.kind].has_labels:
        names = roles.numbered_pair(profile, text)
    return found.inputs if found.label in names or found.inputs else names


def _shared_instruction(profile: Profile, found: Guess, inputs: tuple[str, ...]) -> str:
    """Return what a column of instructions says, where it says the same in every row."""
    for column in profile.columns.values():
        is_asked = column.name.lower() in ("instruction", "prompt", "task", "system")
        if (
            is_asked
            and len(column.values) == 1
            and column.filled == len(profile.kept)
            and column.name not in inputs
        ):
            text = next(iter(column.values))
            # Braces are literal there; only `{labels}` means something.
            return (
                text
                if "task.instruction" in KINDS[found.kind].reads and "{labels}" not in text
                else ""
            )
    return ""


def _chosen(found: Guess, given: DraftOptions) -> Guess:
    """Return a guess with the reason of its kind: that the user chose it, where that is so."""
    return replace(found, why_kind=CHOSEN) if given.kind else found


def _require(name: str, profile: Profile) -> None:
    if name and name not in profile.columns:
        near = nearest(name, profile.columns)
        known = ", ".join(f"`{column}`" for column in list(profile.columns)[:12])
        raise RecipeError.one(
            "R030", f"no column is called `{name}`",
            hint=f"did you mean `{near}`?" if near else f"columns are {known}",
        )  # fmt: skip


def _cannot(profile: Profile, why: str) -> RecipeError:
    known = ", ".join(f"`{name}`" for name in list(profile.columns)[:12])
    return RecipeError.one(
        "R030",
        f"cannot tell what the task is: {why}",
        hint=f"say it: --kind KIND --text COLUMN --label COLUMN; columns are {known}",
    )


def _bytes_in(profile: Profile) -> str:
    """Return the column with the name of a text that holds bytes; empty where none does."""
    for row in profile.kept[:5]:
        for name, value in row.items():
            if isinstance(value, bytes) and roles.rank(name, roles.TEXT_NAMES) < len(
                roles.TEXT_NAMES
            ):
                return str(name)
    return ""


def _why_no_text(profile: Profile) -> str:
    words = next(
        (c.name for c in profile.columns.values() if c.lists > roles.MOSTLY * c.filled), ""
    )
    for name in (
        dict.fromkeys(str(name) for row in profile.kept[:50] for name in row) if words else ()
    ):
        values = [row.get(name) for row in profile.kept[:50]]
        # Those of several labels are texts by now.
        if all(
            isinstance(one, list) and all(str(code).isdigit() for code in one) for one in values
        ):
            return (
                f"the tags in `{name}` are numbers, and nothing names them: put their names, one a line, into"
                " `labels.txt` in a folder with the rows, and name the folder"
            )
    return "no column holds text"


def _by_turns(profile: Profile) -> Guess | None:
    turns = turns_in(profile)
    if turns is None:
        return None
    why = f"`{turns.column}` holds turns of {len(turns.roles)} speakers"
    return Guess(kind="chat", why_kind=why, turns=turns, shape="turns")


def _shape(profile: Profile) -> str:
    rows = profile.kept[:50]
    found = {recognise(values) for values in rows}
    shape = str(found.pop()) if len(found) == 1 and None not in found else ""
    if shape not in ("openai_messages", "sharegpt"):
        return shape
    speakers = {
        str(turn.get("from", turn.get("role")))
        for values in rows for name in TURNS for turn in values.get(name) or []
        if isinstance(turn, Mapping)
    }  # fmt: skip
    # Other speakers are named by `data.messages.roles`.
    return shape if speakers <= ROLES.keys() else ""


def _by_shape(shape: str, given: DraftOptions, profile: Profile) -> Guess | None:
    fitting = {
        kind.name: kind.formats.index(shape) for kind in KINDS.values() if shape in kind.formats
    }
    names = {"prompt_completion": ("completion", "response"), "alpaca": ("output",)}.get(shape, ())
    answers = next((profile.columns[name] for name in names if name in profile.columns), None)
    # The answers to prompts are a few words that come again, or objects.
    is_labelled = bool(names) and (
        answers is None or roles.is_label(answers) or bool(schema_at(profile, answers.name))
    )
    if not fitting or (is_labelled and not given.kind) or given.kind not in ("", *fitting):
        return None
    # Each kind lists the shapes that are made for it first.
    kind = given.kind or min(fitting, key=fitting.__getitem__)
    return _chosen(
        Guess(kind=kind, why_kind=f"its rows have the shape `{shape}`", shape=shape), given
    )


def _named_pair(profile: Profile) -> Guess | None:
    """Recognise a prompt and two answers by names that say which is better."""
    names = {name.lower(): name for name in profile.columns}
    prompt = next((names[name] for name in PROMPTS if name in names), "")
    for better, worse in BETTER:
        if prompt and better in names and worse in names:
            return Guess(
                kind="preference",
                why_kind=f"`{names[better]}` is better than `{names[worse]}`",
                pair=(prompt, names[better], names[worse]),
                shape="pair",
            )
    return None


def _classification(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label) or roles.label_column(profile, text)
    if (
        column is not None
        and not given.label
        and not given.kind
        and roles.is_answered(profile, text, column)
    ):
        return None
    if column is None:
        column = next(
            (_item(one, profile) for one in profile.columns.values() if _is_one_item(one, profile)),
            None,
        )
    if column is None:
        return None
    count = len(column.values)
    if len(set(map(folded, column.values))) < roles.SEVERAL:
        ways = f", in {count} spellings" if count > 1 else ""
        raise _cannot(profile, f"`{column.name}` says the same in every row{ways}")
    if column.is_number and count > roles.NOT_A_CLASS:
        why = f"numbers from {min(map(float, column.values)):g} to {max(map(float, column.values)):g}, put into bins"
    else:
        rarest = min(column.values.values())
        times = "time" if rarest == 1 else "times"
        why = f"{count} values that come again, the rarest {rarest} {times}"
    others = [] if given.label else roles.other_labels(profile, text, column)
    if others:
        why += f"; else --label {others[0]}" + (f", {', '.join(others[1:3])}" if others[1:] else "")
    return Guess(
        kind="classification",
        why_kind=f"`{column.name}` sorts the texts",
        label=column.name,
        why_label=f"{CHOSEN}; {why}" if given.label else why,
    )


def _is_one_item(column: ColumnProfile, profile: Profile) -> bool:
    """Whether each row has a list of exactly one label there."""
    if column.lists < len(profile.kept) or not 2 <= len(column.values) <= roles.MOST_LABELS:
        return False
    # Lists of right answers to a question may have one item each.
    if roles.rank(column.name, roles.ANSWER_NAMES) < len(roles.ANSWER_NAMES):
        return False
    is_one = column.values.total() == column.lists
    return (
        is_one and column.lists >= 2 * len(column.values) and column.longest <= roles.LONGEST_LABEL
    )


def _item(column: ColumnProfile, profile: Profile) -> ColumnProfile:
    found = column_of(profile, f"{column.name}.0")
    profile.columns[found.name] = found
    return found


def _multilabel(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    for column in profile.columns.values():
        if column.name == text.name or (given.label and column.name != given.label):
            continue
        if (
            _is_one_item(column, profile) or roles.last_part(column) in roles.LISTS_OF_ANSWERS
        ) and not given.kind:
            continue
        # Words beside the label (`keywords`, `products`) are not what sorts the rows.
        is_beside = roles.rank(column.name, roles.LABEL_NAMES) >= 2 * len(roles.LABEL_NAMES)
        if is_beside and not (given.kind or given.label) and roles.has_sure_label(profile, text):
            continue
        separator = roles.separator_of(column)
        # Every row has all of them.
        if column.lists and column.values.total() == column.lists * len(column.values):
            continue
        if (
            column.lists > 0.9 * column.filled
            and 1 < len(column.values) <= roles.MOST_LABELS
            and max(map(len, column.values)) <= roles.LONGEST_LABEL
            and column.values.total() >= 2 * len(column.values)
        ):
            separator = ""
        elif separator is None:
            continue
        count = len(roles.labels_of(column, separator or None))
        return Guess(
            kind="multilabel",
            why_kind=f"`{column.name}` holds several labels a row",
            label=column.name,
            why_label=f"{count} labels, {'in lists' if not separator else f'divided by `{separator}`'}",
            separator=separator or "",
        )
    return None


def _extraction(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    spans = None if given.label else spans_in(profile, text.name)
    if spans is not None and not given.kind and _is_sorted(profile, text):
        return None
    if spans is None and (found := objects_beside(profile, text.name, given.label)):
        return found
    if spans is not None:
        return Guess(
            kind="extraction",
            why_kind=f"`{spans.column}` marks parts of `{text.name}`",
            label=spans.column,
            why_label=f"{len(spans.names)} names of parts",
            spans=spans,
        )
    asked = [name for name in given.label.split(",") if name]
    fields = tuple(asked or roles.verbatim(profile, text))
    if len(fields) < (1 if given.kind else 2):
        return None
    return Guess(
        kind="extraction",
        why_kind=f"{len(fields)} columns stand word for word in `{text.name}`",
        label=", ".join(fields),
        why_label=CHOSEN if given.label else f"in {roles.VERBATIM:.0%} of the rows or more",
        fields=fields,
    )


def _is_sorted(profile: Profile, text: ColumnProfile) -> bool:
    """Whether a column with the name of an intent or a label sorts the texts, beside marked parts of them."""
    column = roles.label_column(profile, text)
    return column is not None and roles.rank(column.name, roles.LABEL_NAMES) < len(
        roles.LABEL_NAMES
    )


def _generation(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label)
    if column is None:
        asked = roles.more_texts(profile, text)
        others = [c for c in roles.answer_columns(profile, text) if c.name not in asked]
        if not others:
            return None
        column = min(
            others,
            key=lambda c: (
                roles.begins_alike(c),
                roles.rank(c.name, roles.ANSWER_NAMES),
                -c.mean_length,
            ),
        )
    long = (
        "lists of right answers"
        if column.lists
        else f"{column.mean_length:.0f} characters on average"
    )
    is_text = "holds right answers" if column.lists else "is a text too, and nothing sorts the rows"
    return Guess(
        kind="generation",
        why_kind=f"`{column.name}` {is_text}",
        label=column.name,
        why_label=CHOSEN if given.label else long,
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
