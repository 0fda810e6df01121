"""What a file's columns make of the task: the kind, the text, the label or the answer, each with a reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from engine.data.examples.chat_formats import recognise
from engine.drafting import roles
from engine.drafting.objects import Spans, TurnColumns, spans_in, turns_in
from engine.drafting.profile import ColumnProfile, Profile
from engine.errors import RecipeError
from engine.kinds import KINDS
from engine.recipe.model import Reference
from engine.recipe.text.nearest import nearest

CHOSEN: Final = "you chose it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What the task is taken to be, and why."""

    kind: str
    why_kind: str
    text: str = ""
    """Column of the text; empty where the shape of the rows says it."""
    why_text: str = ""
    label: str = ""
    """Column of the label or answer."""
    why_label: str = ""
    fields: tuple[str, ...] = ()
    """Extraction: the columns that are parts of the text."""
    spans: Spans | None = None
    turns: TurnColumns | None = None
    """Chat: where the turns are, where the rows have no usual shape."""
    shape: str = ""
    separator: str = ""
    """Multilabel: what divides the labels in one text; empty for lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftOptions:
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"


def guess(profile: Profile, given: DraftOptions) -> Guess:
    """Return what the columns make of the task; what was given is kept.

    RecipeError R030 where nothing fits, or a column that was named is not there.
    """
    for name in (given.text, *given.label.split(",")):
        _require(name, profile)
    columns = profile.columns
    is_free = not given.text and not given.label
    if is_free and (found := _by_shape(_shape(profile), given, profile)):
        return found
    if {"choices", "gold"} <= columns.keys() or {"context_options", "gold"} <= columns.keys():
        raise RecipeError.one(
            "R030",
            "its rows are questions with choices: probes, which measure a model and train none",
            hint="name the file under acceptance.forgetting.probes of a recipe",
        )
    if is_free and given.kind in ("", "chat") and (found := _by_turns(profile)):
        return _chosen(found, given)
    text = columns[given.text] if given.text else roles.text_column(profile, taken=given.label)
    if text is None:
        raise _cannot(profile, "no column holds text")
    reason = CHOSEN if given.text else roles.why_text(text, profile)
    for kind, attempt in _ATTEMPTS.items():
        if given.kind in ("", kind) and (found := attempt(profile, text, given)):
            return _chosen(replace(found, text=text.name, why_text=reason), given)
    as_kind = f" as {given.kind}" if given.kind else ""
    raise _cannot(profile, f"no column goes with `{text.name}`{as_kind}")


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


def _by_turns(profile: Profile) -> Guess | None:
    turns = turns_in(profile)
    if turns is None:
        return None
    why = f"`{turns.column}` holds turns of {len(turns.roles)} speakers"
    return Guess(kind="chat", why_kind=why, turns=turns, shape="turns")


def _shape(profile: Profile) -> str:
    found = {recognise(values) for values in profile.kept[:50]}
    return str(found.pop()) if len(found) == 1 and None not in found else ""


def _by_shape(shape: str, given: DraftOptions, profile: Profile) -> Guess | None:
    fitting = {
        kind.name: kind.formats.index(shape) for kind in KINDS.values() if shape in kind.formats
    }
    answers = profile.columns.get("completion") or profile.columns.get("response")
    # The answers to prompts are a few words that come again.
    is_labelled = shape == "prompt_completion" and answers is not None and roles.is_label(answers)
    if not fitting or (is_labelled and not given.kind) or given.kind not in ("", *fitting):
        return None
    # Each kind lists the shapes that are made for it first.
    kind = given.kind or min(fitting, key=fitting.__getitem__)
    return _chosen(
        Guess(kind=kind, why_kind=f"its rows have the shape `{shape}`", shape=shape), given
    )


def _classification(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label) or roles.label_column(profile, text)
    if column is None:
        return None
    count = len(column.values)
    if count < roles.SEVERAL:
        raise _cannot(profile, f"`{column.name}` says the same in every row")
    if column.is_number and count > roles.NOT_A_CLASS:
        why = f"numbers from {min(map(float, column.values)):g} to {max(map(float, column.values)):g}, put into bins"
    else:
        rarest = min(column.values.values())
        times = "time" if rarest == 1 else "times"
        why = f"{count} values that come again, the rarest {rarest} {times}"
    return Guess(
        kind="classification",
        why_kind=f"`{column.name}` sorts the texts",
        label=column.name,
        why_label=f"{CHOSEN}; {why}" if given.label else why,
    )


def _multilabel(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    for column in profile.columns.values():
        if column.name == text.name or (given.label and column.name != given.label):
            continue
        separator = roles.separator_of(column)
        if (
            column.lists > 0.9 * column.filled
            and 1 < len(column.values) <= roles.MOST_LABELS
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


def _generation(profile: Profile, text: ColumnProfile, given: DraftOptions) -> Guess | None:
    column = profile.columns.get(given.label)
    if column is None:
        others = roles.answer_columns(profile, text)
        if not others:
            return None
        column = min(others, key=lambda c: (roles.rank(c.name, roles.ANSWER_NAMES), -c.mean_length))
    return Guess(
        kind="generation",
        why_kind=f"`{column.name}` is a text too, and nothing sorts the rows",
        label=column.name,
        why_label=CHOSEN if given.label else f"{column.mean_length:.0f} characters on average",
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
