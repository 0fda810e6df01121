"""What was guessed for a draft and why, and what the user should know of the rows: rows of a table, and sentences."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from engine.data.checks.rows.languages import unspoken
from engine.data.examples.template import found_at
from engine.data.splitting.splits import ORDER
from engine.drafting.layout_table import PATTERNS
from engine.drafting.plan import FOLDED, DraftPlan
from engine.drafting.profile import is_called
from engine.drafting.roles import other_texts
from engine.kinds import AnswerForm
from engine.recipe.model import Reference
from engine.recipe.text.dump import spelled_in_flow
from engine.recipe.text.words import unlike
from engine.render.number_format import counted

MOST_NAMED: Final = 4
"""Labels whose spellings are named, and spellings of each."""
COMPARED: Final = 100_000
"""Rows up to which a draft compares what trains with the holdout; `recipe data` compares any number."""


def reasons(plan: DraftPlan) -> Iterator[tuple[str, str, str]]:
    guess = plan.guess
    for reading in plan.readings[:1]:
        if reading.says_format or reading.header:
            yield "format", reading.format, reading.why
    yield "kind", guess.kind, guess.why_kind
    if guess.text and not guess.shape:
        yield "text", ", ".join(guess.texts), guess.why_text
    if guess.system:
        yield "system", " ".join(guess.system.split()), "every row begins with it"
    if guess.label and not guess.shape:
        spelled = len(plan.relabelled())
        others = "is another spelling" if spelled == 1 else "are other spellings"
        more = f"; {spelled} of them {others}" if spelled else ""
        yield plan.kind.draft.target, guess.label, f"{guess.why_label}{more}"
    yield "splits", *_splits(plan)
    # The first is `leakage`, which every draft has.
    for check, (action, why) in list(plan.checks.items())[1:]:
        yield f"checks.{check}", action, why
    from_what = "the most that a draft asks for" if plan.too_long else "from the longest row"
    yield "max_length", str(plan.max_length()), f"tokens, {from_what}; `recipe data` counts them"


def _splits(plan: DraftPlan) -> tuple[str, str]:
    sizes, rows = plan.sizes, plan.profile.rows
    used = {one.name: one.rows for one in plan.summary.splits} if plan.summary else {}
    up_to = "" if rows <= COMPARED else "up to "
    if plan.by_files:
        counts = ", ".join(f"{used[name]:,} {name}" for name in reversed(ORDER) if used.get(name))
        drawn = "" if "validation" in plan.by_split else "; validation is drawn from train"
        return plan.guess.split or "files", f"the data says it: {up_to}{counts}{drawn}"
    trained = used.get("train", 0)
    left = f"{sizes.validation} for validation, {up_to}{trained:,} left to train on"
    together = f"; those of one `{plan.group.name}` stay together" if plan.group else ""
    if not sizes.folds:
        return f"holdout {sizes.holdout}", f"of {rows:,} rows; {left}{together}"
    judged = f"each of {rows:,} rows judges once, by a model that has not seen it: {sizes.folds} trainings"
    return f"{sizes.folds} folds", f"{judged}; {left} in each{together}"


def notes(plan: DraftPlan, model: Reference) -> Iterator[str]:
    rows, guess = plan.profile.rows, plan.guess
    texts = [str(found_at(row, name) or "") for row in plan.profile.kept for name in guess.texts]
    if rows < FOLDED.start and not plan.by_files:
        yield f"{rows:,} rows are few: a good model may well end undecided"
    if why := unspoken(model, iter(texts)):
        yield f"{why}: name one of that language with --base-model"
    for one in plan.groupings if not plan.by_files else ():
        if one != plan.group:
            by = spelled_in_flow({"group": one.name})
            filled = f", once its {counted(one.empty, 'empty row')} are filled" if one.empty else ""
            other = f" in place of `{plan.group.name}`" if plan.group else ""
            yield (
                f"{one.repeated:,} rows have the `{one.name}` of an earlier row, and rows of one may resemble each"
                f" other: splits.by: {by}{other} keeps them in one split{filled}"
            )
    if plan.summary and (dropped := plan.summary.dropped):
        whys = ", ".join(f"{count:,} {why}" for why, count in dropped.items())
        yield f"not used of {rows:,} rows: {whys}"
    yield from _of_columns(plan)
    if plan.too_long:
        yield (
            f"{counted(plan.too_long, 'row')} may be longer than {plan.max_length()} tokens and would be left out:"
            " `recipe data` counts them; method.max_length takes more where the base model does"
        )
    # Which spellings are taken for one label and what merges them, and which labels may be misspelled.
    spelled = sorted(plan.spellings().items(), key=lambda one: -one[1].total())
    for label, counts in spelled[:MOST_NAMED]:
        usual = counts.most_common(MOST_NAMED)
        shown = ", ".join(f"`{one}`{unlike(one, label)} {count:,}" for one, count in usual)
        more = f" and {len(counts) - MOST_NAMED} more" if len(counts) > MOST_NAMED else ""
        yield f"rows of each spelling that is taken for `{label}`: {shown}{more}"
    if spelled:
        left = len(spelled) - MOST_NAMED
        more = f", and those of {counted(left, 'more label')}" if left > 0 else ""
        yield f"`data.label.relabel` merges them{more}, as rows are read; the file stays as it is"
    for label, count, other in plan.misspelled():
        where = counted(count, "row")
        yield f"`{label}` stands in {where}: if it is `{other}` misspelled, say so under data.label.relabel"
    if held := [found[0] for text in texts if (found := PATTERNS["entity of HTML"].search(text))]:
        usual_ones = ", ".join(f"`{one}`" for one, _ in Counter(held).most_common(3))
        hold = f"{len(held):,} texts hold" if held[1:] else "1 text holds"
        yield f"{hold} entities of HTML ({usual_ones}): Python's html.unescape turns them into characters"
    named = plan.labels() if plan.kind.answer is AnswerForm.LABEL else []
    if named and all(map(PATTERNS["wordless"].fullmatch, named)):
        words = "numbers" if named[0].strip("-")[:1].isdigit() else "true and false"
        yield f"the labels are {words}: `data.label.relabel` gives them words, which a model knows more about"


def _of_columns(plan: DraftPlan) -> Iterator[str]:
    """Yield why columns are not the label, and which texts are not read."""
    guess, columns = plan.guess, plan.profile.columns
    for column in columns.values() if not plan.kind.has_turns else ():
        empty = len(plan.profile.kept) - column.filled
        if column.name in (guess.text, guess.label) or not is_called(column.name, "label"):
            continue
        if len(column.values) == 1:
            yield f"`{column.name}` says the same in every row, so it is no label"
        elif len(column.values) > 1 and empty:
            yield f"`{column.name}` is empty in {empty:,} rows; --label {column.name} takes the others"
    if plan.kind.has_labels and guess.texts and not guess.shape and not guess.system:
        left = other_texts(plan.profile, (*guess.texts, guess.label, guess.split))[:3]
        asked = "\\n".join(f"{{{name}}}" for name in columns if name in (*left, *guess.texts))
        if left:
            names = ", ".join(f"`{name}`" for name in left)
            yield f'not read: {names}; task.input: "{asked}" takes them too'
