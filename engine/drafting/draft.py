"""The draft: a recipe of at most 25 lines that is valid, whose data stage works, and what was guessed for it."""

from __future__ import annotations

import os
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.data.checks.rows.languages import unspoken
from engine.data.examples.template import found_at
from engine.data.prepare import Prepared, prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.drafting.archives import unpacked
from engine.drafting.choices import DraftOptions
from engine.drafting.encodings import RECOGNISED
from engine.drafting.gather import Gathered, gather
from engine.drafting.groups import groupings
from engine.drafting.guess import guess
from engine.drafting.inputs import inputs_of
from engine.drafting.layouts.labels import plain_name
from engine.drafting.layouts.layout import columns_of
from engine.drafting.plain_tools import with_plain_tools
from engine.drafting.plan import DraftPlan, row_sizes
from engine.drafting.profile import Profile
from engine.drafting.roles import LABEL_NAMES, other_texts, rank, tells_apart, without_whole
from engine.drafting.sizes import FOLDED, Sizes, sizes_for
from engine.drafting.writer import Writer
from engine.errors import DataError, RecipeError, Severity
from engine.kinds import AnswerForm
from engine.recipe import check_recipe
from engine.recipe.model import Recipe, Reference
from engine.recipe.text.dump import spelled_in_flow
from engine.recipe.text.lookalike import unlike
from engine.recipe.text.paths import as_typed
from engine.recipe.text.write import create
from engine.render.number_format import counted
from engine.render.progress import SilentProgress
from engine.trust.allowed import Allowed

MOST_COLUMNS: Final = 8
MOST_NAMED: Final = 4
"""Labels whose spellings are named, and spellings of each."""
WIDEST: Final = 44

DROPPABLE: Final = frozenset(
    {
        "conflicting_labels",
        "leakage",
        "empty",
        "unknown_labels",
        "schema_violations",
        "template_tokens",
    }
)
COMPARED: Final = 5_000
"""Rows up to which a draft compares what trains with the holdout; `recipe data` compares any number."""
MOST_TRIES: Final = 16
ENTITY: Final = re.compile(r"&(?:amp|lt|gt|quot|nbsp|apos|#\d{2,5}|#x[0-9a-fA-F]{2,5});")
WORDLESS: Final = re.compile(r"(?i)-?\d+(\.\d+)?|true|false|[tf]")
"""Labels that say nothing of what they mean."""
FEWEST: Final = 2
"""Rows of a holdout."""
FEWEST_ROWS: Final = 4
"""Rows of the smallest splits: one to train on, one to steer by, two to judge by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDraft:
    """A recipe that is not written yet, and what it rests on."""

    text: str
    reasons: tuple[tuple[str, str, str], ...]
    """(what, guess, why)."""
    notes: tuple[str, ...]
    rows: int
    columns: tuple[str, ...]
    written: Path | None = None
    """The file of rows that was written, where those of the data had to be laid out anew."""
    whys: tuple[str, ...] = ()
    """Why they had to be."""


def draft(
    files: Sequence[Path], target: Path, *, default_model: Reference, wishes: DraftOptions
) -> RecipeDraft:
    """Return a recipe for data files or folders, to be written at `target`.

    Rows that no recipe can read as they stand are written to a file beside it first, which is removed where the draft
    fails.

    Raises:
        DataError: the file cannot be read, or has rows that a reader refuses.
        RecipeError: R030, nothing can be made of its columns.

    """
    rows_file = target.with_name(f"{target.name.removesuffix('.yaml')}.rows.jsonl")
    found = _gathered(files, wishes, rows_file)
    if wishes.base_model is None:
        found = with_plain_tools(found, rows_file)
    if not found.rows:
        return _drafted(
            found, files, target, model=wishes.base_model or default_model, wishes=wishes
        )
    create(rows_file, found.content())
    try:
        return _drafted(
            found, files, target, model=wishes.base_model or default_model, wishes=wishes
        )
    except BaseException:
        rows_file.unlink()
        raise


def _drafted(
    gathered: Gathered,
    files: Sequence[Path],
    target: Path,
    *,
    model: Reference,
    wishes: DraftOptions,
) -> RecipeDraft:
    profile, name = _profile(gathered, wishes), files[0].absolute().name
    if profile.rows < FEWEST_ROWS:
        raise _too_few(name, f"{FEWEST_ROWS} are needed to divide them, there are {profile.rows}")
    found = guess(profile, wishes)
    plan = DraftPlan(
        guess=found,
        profile=profile,
        readings=gathered.readings,
        sizes=sizes_for(profile.rows, is_folded=False),
        row_sizes=row_sizes(found, profile.kept),
        groupings=groupings(profile, found),
    )
    if not plan.by_files and plan.kind.draft.metric != "perplexity":  # which is no share of rows
        plan.sizes = sizes_for(profile.rows, is_folded=True)
    plan.group = plan.groups_first()
    plan.checks["leakage"] = ("drop", "training rows that are nearly in the holdout are left out")
    if none := plan.no_labels():
        count = sum(plan.column.values[one] for one in none)
        shown = ", ".join(f"`{one}`" for one in none[:3])
        plan.checks["unknown_labels"] = ("drop", f"{count:,} rows say {shown}, which is no label")
    writer = Writer(plan=plan, name=name, target=target, model=model)
    recipe = _checked(writer)
    for _ in range(MOST_TRIES):
        prepared = _prepared(recipe)
        if not prepared.problems:
            plan.summary = prepared.summary
            break
        if not _improve(plan, prepared):
            raise _too_few(name, prepared.problems[0].message)
        recipe = _checked(writer)
    if profile.rows <= COMPARED:
        _leave_out_copies(plan, recipe, name)
    return RecipeDraft(
        text=writer.text(),
        reasons=tuple(reasons(plan)),
        notes=(*gathered.notes, *notes(plan, model)),
        rows=profile.rows,
        columns=tuple(profile.kept[0]),
        written=gathered.readings[0].path if gathered.rows else None,
        whys=gathered.whys,
    )


def _profile(gathered: Gathered, wishes: DraftOptions) -> Profile:
    """Return what the columns hold that a draft may use."""
    return gathered.profile if wishes.text else without_whole(gathered.profile)


def _gathered(files: Sequence[Path], wishes: DraftOptions, rows_file: Path) -> Gathered:
    found: Sequence[Path] = files
    try:
        with unpacked(files) as found:
            # What an archive was unpacked to is gone when the draft is read.
            is_packed = list(found) != list(files)
            read = partial(
                gather, inputs_of(found), encoding=wishes.encoding, rows_file=rows_file,
                must_write=is_packed,
            )  # fmt: skip
            kept = read(keep_names=True)
            if all(name == plain_name(name) for name in columns_of(kept.profile.kept)):
                return kept
            renamed = read()
            return kept if _needs_no_names(kept, renamed, wishes) else renamed
    except DataError as error:
        problems = [
            replace(problem, hint=RECOGNISED) if problem.code == "D322" else problem
            for problem in error.problems
        ]
        # What an archive was unpacked to is no place that the user knows.
        for file, folder in zip(files, found, strict=True):
            problems = [
                replace(problem, message=problem.message.replace(str(folder), str(file)))
                for problem in problems
            ]
        raise DataError(problems) from None


def _needs_no_names(kept: Gathered, renamed: Gathered, wishes: DraftOptions) -> bool:
    """Whether the files can be read as they stand: no column that a draft uses, or offers, has to be renamed."""
    if kept.rows:
        return False
    profile = _profile(kept, wishes)
    try:
        found, other = guess(profile, wishes), guess(_profile(renamed, wishes), wishes)
    except RecipeError:
        return False
    offered = other_texts(profile, (*found.texts, found.label, found.split))
    text, label = (profile.columns.get(name) for name in (found.text, found.label))
    if text is not None and label is not None:
        offered.append(tells_apart(profile, text, label))
    return found == other and all(name == plain_name(name) for name in offered)


def _too_few(name: str, why: str) -> RecipeError:
    return RecipeError.one(
        "R030",
        f"too few rows of `{name}` can be used: {why}",
        hint="add rows, or say what they are: --kind KIND --text COLUMN --label COLUMN",
    )


def _checked(writer: Writer) -> Recipe:
    recipe, problems = check_recipe(
        writer.target,
        read=lambda _: writer.text().encode(),
        given=Allowed(everything=True),  # the user typed the paths
    )
    if recipe is None:
        first = next(problem for problem in problems if problem.severity is Severity.ERROR)
        if (first.path or "").startswith("acceptance."):
            # The draft's own thresholds, which so few rows cannot show.
            raise _too_few(writer.name, f"{first.path} {first.message}")
        is_of_rows = (first.path or "").startswith("task.labels")
        what = "correct that label in the rows" if is_of_rows else "rename the column"
        raise RecipeError.one(
            "R030",
            f"no valid recipe for `{writer.name}`: {first.path}: {first.message}",
            hint=f"{what}, or say another column: --text COLUMN --label COLUMN",
        )
    return recipe


def _leave_out_copies(plan: DraftPlan, recipe: Recipe, name: str) -> None:
    """Count what is left to train on; refuse official splits of which nothing is."""
    found = _prepared(recipe, off=[one for one in _QUIET if one != "leakage"])
    if plan.by_files and any(problem.code == "D435" for problem in found.problems):
        raise RecipeError.one(
            "R030",
            f"every training row of `{name}` stands in its holdout too, so none would be left to train on",
            hint="name files whose rows differ, or one of them: its rows are divided",
        )
    plan.summary = found.summary


def _prepared(recipe: Recipe, *, off: Collection[str] | None = None) -> Prepared:
    """Divide the rows once."""
    fetched = fetch_all(recipe.data.sources, _never, SilentProgress())
    rows = read_all(fetched, SilentProgress())
    quiet: dict[str, Any] = dict.fromkeys(_QUIET if off is None else off, "off")
    data = replace(recipe.data, checks=replace(recipe.data.checks, **quiet))
    return prepare(rows, recipe.task, data=data, splits=recipe.splits, refuse=False, thorough=False)


def _improve(plan: DraftPlan, prepared: Prepared) -> bool:
    """Where a check refuses rows, plan what is done about it; False where nothing is left to do."""
    refusing = {
        finding.check: (
            "drop" if finding.check in DROPPABLE else "warn",
            counted(finding.count, "row"),
        )
        for finding in prepared.summary.findings
        if finding.action == "fail" and finding.count and finding.check not in plan.checks
    }
    few = {"D311", "D312", "D361", "D362", "D363"} & {one.code for one in prepared.problems}
    if refusing:
        plan.checks |= refusing
    elif plan.group is not None:
        plan.group = None
    elif few and plan.sizes.folds:
        plan.sizes = sizes_for(plan.profile.rows, is_folded=False)
    elif few and plan.kind.has_labels and "missing_classes" not in plan.checks:
        plan.checks["missing_classes"] = ("warn", "some have too few rows to be judged")
    elif plan.sizes.holdout > FEWEST:
        plan.sizes = Sizes(
            validation=max(1, plan.sizes.validation // 2),
            holdout=max(FEWEST, plan.sizes.holdout // 2),
        )
    else:
        return False
    return True


_QUIET: Final = (
    *("leakage", "label_errors", "languages", "near_duplicates", "label_in_input", "mojibake"),
    *("personal_data", "output_format", "control_characters", "imbalance"),
)
"""Checks that refuse nothing in a draft: it does not wait for them."""


def _never(_name: str, _payload: Mapping[str, Any], _build: object) -> Any:
    # Local files are not fetched.
    raise AssertionError(_name)


def reasons(plan: DraftPlan) -> Iterator[tuple[str, str, str]]:
    """Yield what was guessed, and why."""
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
    yield _splits(plan)
    # The first is `leakage`, which every draft has.
    for check, (action, why) in list(plan.checks.items())[1:]:
        yield f"checks.{check}", action, why
    length, _ = plan.max_length()
    from_what = "the most that a draft asks for" if plan.too_long else "from the longest row"
    yield "max_length", str(length), f"tokens, {from_what}; `recipe data` counts them"


def _splits(plan: DraftPlan) -> tuple[str, str, str]:
    if plan.by_files:
        counts = ", ".join(f"{count:,} {name}" for name, count in plan.by_split.items())
        drawn = (
            "" if "validation" in plan.by_split else f"; {plan.sizes.validation} of train validate"
        )
        return "splits", plan.guess.split or "files", f"the data says it: {counts}{drawn}"
    sizes, rows = plan.sizes, plan.profile.rows
    splits = plan.summary.splits if plan.summary else ()
    trained = sum(one.rows for one in splits if one.name == "train")
    up_to = "" if rows <= COMPARED else "up to "
    left = f"{sizes.validation} for validation, {up_to}{trained:,} left to train on"
    together = f"; those of one `{plan.group.name}` stay together" if plan.group else ""
    if sizes.folds:
        judged = f"each of {rows:,} rows judges once, by a model that has not seen it: {sizes.folds} trainings"
        return "splits", f"{sizes.folds} folds", f"{judged}; {left} in each{together}"
    return "splits", f"holdout {sizes.holdout}", f"of {rows:,} rows; {left}{together}"


def notes(plan: DraftPlan, model: Reference) -> Iterator[str]:
    """Yield what the person should know."""
    rows = plan.profile.rows
    if rows < FOLDED.start and not plan.by_files:
        yield f"{rows:,} rows are few: a good model may well end undecided"
    texts = (
        str(found_at(row, name) or "") for row in plan.profile.kept for name in plan.guess.texts
    )
    if why := unspoken(model, texts):
        yield f"{why}: name one of that language with --base-model"
    yield from _ungrouped(plan)
    yield from _unused_rows(plan)
    yield from _unused_labels(plan)
    yield from _unread_texts(plan)
    yield from _separated(plan)
    yield from _too_long(plan)
    yield from _spellings(plan)
    for label, count, other in plan.misspelled():
        where = counted(count, "row")
        yield f"`{label}` stands in {where}: if it is `{other}` misspelled, say so under data.label.relabel"
    yield from _entities(plan)
    if not plan.kind.is_measured:
        yield f"{plan.guess.kind} is read and checked; a whole run of it is not there yet"
    named = plan.labels() if plan.kind.answer is AnswerForm.LABEL else []
    if named and all(map(WORDLESS.fullmatch, named)):
        words = "numbers" if named[0].strip("-")[:1].isdigit() else "true and false"
        yield f"the labels are {words}: `data.label.relabel` gives them words, which a model knows more about"


def _ungrouped(plan: DraftPlan) -> Iterator[str]:
    """Yield the columns by which rows belong together and are not divided, and what would keep them together."""
    for one in plan.groupings if not plan.by_files else ():
        if one == plan.group:
            continue
        by = spelled_in_flow({"group": one.name})
        filled = f", once its {counted(one.empty, 'empty row')} are filled" if one.empty else ""
        other = f" in place of `{plan.group.name}`" if plan.group else ""
        yield (
            f"{one.repeated:,} rows have the `{one.name}` of an earlier row, and rows of one may resemble each other:"
            f" splits.by: {by}{other} keeps them in one split{filled}"
        )


def _spellings(plan: DraftPlan) -> Iterator[str]:
    """Yield which spellings are taken for one label, how often each stands there, and what merges them."""
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


def _unused_rows(plan: DraftPlan) -> Iterator[str]:
    """Yield how many rows are in no split, and why."""
    if plan.summary and plan.summary.dropped:
        dropped = plan.summary.dropped
        whys = ", ".join(f"{count:,} {why}" for why, count in dropped.items())
        yield f"not used of {plan.profile.rows:,} rows: {whys}"


def _unread_texts(plan: DraftPlan) -> Iterator[str]:
    """Yield which columns of texts the input does not name, where rows are sorted."""
    guess = plan.guess
    if plan.kind.has_labels and guess.texts and not guess.shape and not guess.system:
        left = other_texts(plan.profile, (*guess.texts, guess.label, guess.split))[:3]
        if left:
            names = ", ".join(f"`{name}`" for name in left)
            both = [name for name in plan.profile.columns if name in (*left, *guess.texts)]
            asked = "\\n".join(f"{{{name}}}" for name in both)
            yield f'not read: {names}; task.input: "{asked}" takes them too'


def _separated(plan: DraftPlan) -> Iterator[str]:
    """Yield which column tells texts apart that stand with several labels, and are left out for it."""
    guess, columns = plan.guess, plan.profile.columns
    is_sorted = plan.kind.answer is AnswerForm.LABEL and guess.text in columns
    if not is_sorted or "conflicting_labels" not in plan.checks or len(guess.texts) != 1:
        return
    if name := tells_apart(plan.profile, columns[guess.text], columns[guess.label]):
        yield (
            f"texts have a label for each `{name}`:"
            f' task.input: "{{{name}}}\\n{{{guess.text}}}" tells them apart, and keeps them'
        )


def _too_long(plan: DraftPlan) -> Iterator[str]:
    """Yield how many rows may be longer than the longest that a draft asks for."""
    if plan.too_long:
        rows, length = counted(plan.too_long, "row"), plan.max_length()[0]
        yield (
            f"{rows} may be longer than {length} tokens and would be left out: `recipe data` counts them;"
            " method.max_length takes more where the base model does"
        )


def _unused_labels(plan: DraftPlan) -> Iterator[str]:
    """Yield why a column with the name of a label is none, where the rows are taken for plain text."""
    is_plain = plan.kind.name == "text"
    for column in plan.profile.columns.values() if not plan.kind.has_turns else ():
        if is_plain and column.is_decimal:
            one = next(iter(column.values))
            yield (
                f"`{column.name}` holds numbers with a decimal comma (`{one}`): written with a point, they could be"
                " the label"
            )
        if column.name == plan.guess.text or rank(column.name, LABEL_NAMES) >= len(LABEL_NAMES):
            continue
        if len(column.values) == 1:
            yield f"`{column.name}` says the same in every row, so it is no label"
        elif len(column.values) > 1 and column.filled < len(plan.profile.kept):
            empty = len(plan.profile.kept) - column.filled
            yield f"`{column.name}` is empty in {empty:,} rows; --label {column.name} takes the others"


def _entities(plan: DraftPlan) -> Iterator[str]:
    """Yield how many texts hold entities of HTML, which a model would learn to read and to write."""
    texts = [
        str(found_at(row, name) or "") for row in plan.profile.kept for name in plan.guess.texts
    ]
    held = [found[0] for text in texts if (found := ENTITY.search(text))]
    if held:
        usual = ", ".join(f"`{one}`" for one, _ in Counter(held).most_common(3))
        rows = f"{len(held):,} texts hold" if held[1:] else "1 text holds"
        yield f"{rows} entities of HTML ({usual}): Python's html.unescape turns them into characters"


def draft_message(found: RecipeDraft, *, file: str, target: str, width: int) -> str:
    """Return the whole message, in lines of so many columns where blanks let them be broken."""
    shown = ", ".join(found.columns[:MOST_COLUMNS])
    more = ", …" if len(found.columns) > MOST_COLUMNS else ""
    lines = [f"{file}: {found.rows:,} rows" + (f", columns {shown}{more}" if shown else "")]
    first = max(len(what) for what, _, _ in found.reasons)
    second = min(WIDEST, max(len(_cut(guess)) for _, guess, _ in found.reasons))
    indent = " " * (first + second + 6)
    for what, value, why in found.reasons:
        line = f"  {what:<{first}}  {_cut(value):<{second}}  {why}".rstrip()
        lines += wrapped(line, width=width, indent=indent)
    for note in found.notes:
        lines += wrapped(f"  note: {note}", width=width, indent=" " * len("  note: "))
    if found.written is not None:
        line = f"wrote {os.path.relpath(found.written)} (its rows: {'; '.join(found.whys)})"
        lines += wrapped(line, width=width, indent="  ")
    lines.append(f"wrote {target} ({len(found.text.splitlines())} lines)")
    typed = as_typed(target)
    lines.append(f"next: recipe validate {typed} && recipe data {typed}")
    return "\n".join(lines)


def wrapped(line: str, *, width: int, indent: str) -> list[str]:
    """Return a line as lines of so many columns; words, such as names of files, stay whole."""
    # A column of comments that leaves them no room is not kept to.
    room = indent if len(indent) <= width // 2 else " " * 8
    return textwrap.wrap(
        line, width, subsequent_indent=room, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
