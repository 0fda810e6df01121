"""What is written and shown of a draft: its text of at most 25 lines, what was guessed and why, notes on the rows.

`schemas/draft.json`: `recipe` has {key, of, is, if, why}: a key of the recipe, the fact that is its value or the value
itself, the facts that must hold (each after a `-` must not), and a comment; the first comment of a line counts. `notes`
are sentences for the user, by the names of what is found of the rows. `dropped` and `quiet` are checks of rows: those
that a draft lets leave out what they find, and those that refuse nothing in a draft, which does not wait for them.
"""

import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from engine.data.checks.rows.languages import unspoken
from engine.data.examples.template import found_at
from engine.data.splitting.splits import ORDER
from engine.drafting.column_profile import is_called
from engine.drafting.draft_plan import FOLDED, DraftPlan
from engine.drafting.label_names import label_noun
from engine.drafting.roles import other_texts
from engine.drafting.source_reading import Reading
from engine.files.reading import parse_json
from engine.kinds import Turns
from engine.recipe.model import HubRef, PathRef, Source
from engine.recipe.text.compose import spelled_in_flow
from engine.recipe.text.dump import reference_mapping
from engine.recipe.text.layout_format import WIDTH
from engine.recipe.text.paths import as_typed
from engine.recipe.text.words import unlike
from engine.recipe.validation.schema import schema_text
from engine.render.number_format import counted
from engine.values import fields, put, replace

TABLE: Final[Mapping[str, Any]] = parse_json(schema_text("draft.json"))
MOST_LINES: Final = 25
MOST_SOURCES: Final = 3
"""Sources that get a line each."""
PARAGRAPHS: Final = ("task", "base_model", "data", "splits")
"""Sections before which there is a blank line, where there is room for all of them."""
BLOCKS: Final = ("task", "base_model", "data", "acceptance")
"""Sections with a line for each key; others are one line."""
MOST_NAMED: Final = 4
"""Labels whose spellings are named, and spellings of each."""
MOST_COLUMNS: Final = 8
WIDEST: Final = 44
"""Characters of a guess in a message; names of columns may be longer."""
COMPARED: Final = 100_000
"""Rows up to which a draft compares what trains with the holdout; `recipe data` compares any number."""


def text_of(plan: DraftPlan) -> str:
    facts = _facts(plan)
    tree: dict[str, Any] = {}
    whys: dict[str, str] = {}
    for row in TABLE["recipe"]:
        needs = row.get("if", row.get("of", "")).split()
        if not all(bool(facts.get(one.strip("-"))) != one.startswith("-") for one in needs):
            continue
        section, _, key = row["key"].partition(".")
        if "of" in row or "is" in row:
            put(tree, row["key"], row["is"] if "is" in row else facts[row["of"]])
        line = f"{section}.{key.partition('.')[0]}" if key and section in BLOCKS else section
        whys[line] = whys.get(line) or row.get("why", "").format_map(facts)
    # A line break in the name of a file would end the comment and write a line of the recipe.
    shown = "".join(one if one.isprintable() else "?" for one in plan.name)
    lines = [f"# Drafted from {shown}: every line is a guess; `recipe schema` tells the defaults."]
    for section, value in tree.items():
        lines += [""] if section in PARAGRAPHS else []
        if section not in BLOCKS:
            lines.append(_aside(f"{section}: {spelled_in_flow(value)}", whys[section]))
            continue
        lines.append(_aside(f"{section}:", whys.get(section, "")))
        for key, below in value.items():
            line, why = f"  {key}: {spelled_in_flow(below)}", whys.get(f"{section}.{key}", "")
            lines += _sources(plan, line, below) if key == "sources" else [_aside(line, why)]
    if len(lines) > MOST_LINES:
        lines = list(filter(None, lines))
    return "\n".join(lines) + "\n"


def _facts(plan: DraftPlan) -> dict[str, Any]:
    guess, kind, labels, checks = plan.guess, plan.kind, plan.labels, plan.checks
    name = re.sub(r"[^a-z0-9_-]+", "-", (plan.name.split(".")[0] or "draft").lower())
    model, metrics = plan.model, plan.metrics()
    if isinstance(model, PathRef) and not Path(model.written).is_absolute():
        model = replace(model, written=_relative(model.path, plan))
    is_usual = guess.shape or guess.texts == ("text",)
    has_answer = kind.columns_key == "answer" and not guess.shape
    gain = {kind.draft.metric: {"min_gain": 0.05}} if kind.turns is Turns.PREFERENCE else {}
    return guess.keys | {
        "name": (name.strip("-_") or "draft")[:64],
        "description": kind.draft.description.replace("{word}", label_noun(guess)),
        "kind": guess.kind,
        "instruction": plan.question,
        "system": guess.system,
        "input": "" if is_usual else "\n".join(f"{{{one}}}" for one in guess.texts),
        "labels": labels.names,
        "model": reference_mapping(model),
        "small": not isinstance(model, HubRef | PathRef),
        "sources": [_source(reading, plan) for reading in plan.gathered.readings],
        "label": guess.label if kind.has_labels else "",
        "relabel": labels.relabel,
        "bins": labels.scale,
        "separator": guess.separator.strip(",") if kind.has_labels else "",
        "answer": guess.label if has_answer else "",
        "checks": {check: action for check, (action, _) in checks.items()},
        "check": next((why for _, why in checks.values()), "") if len(checks) < 2 else "",
        "warned": any(action == "warn" for action, _ in checks.values()),
        "given": plan.by_files,
        "split": guess.split,
        "usual_group": kind.group,
        "group": "" if plan.by_files else kind.group or (plan.group.name if plan.group else ""),
        "validation": plan.validation,
        "holdout": plan.sizes.holdout,
        "folds": plan.sizes.folds,
        "max_length": plan.max_length,
        # The other losses learn from pairs, and the usual one of them is the default.
        "thumbs": guess.shape == "kto",
        "metrics": metrics,
        "lower": any("max" in ends for ends in metrics.values()),
        "over": gain,
    }


def _source(reading: Reading, plan: DraftPlan) -> dict[str, Any]:
    usual = {one.name: one.default for one in fields(Source)}
    own = ("delimiter", "quoting", "header", "encoding", "records", "into")
    found = {key: getattr(reading, key) for key in own}
    found = {key: value for key, value in found.items() if value and value != usual[key]}
    if not plan.by_files:
        found.pop("into", None)
    beside = {name: _relative(path, plan) for name, path in reading.beside.items()}
    return (
        {"path": _relative(reading.path, plan)}
        | ({"format": reading.format} if reading.says_format else {})
        | ({"columns": beside} if beside else {})
        | found
    )


def _sources(plan: DraftPlan, line: str, sources: list[dict[str, Any]]) -> list[str]:
    whys = [one.why if one.says_format or one.header else "" for one in plan.gathered.readings]
    if len(sources) > MOST_SOURCES or (len(sources) == 1 and len(line) <= WIDTH):
        return [_aside(line, whys[0])]
    each = (f"    - {spelled_in_flow(source)}" for source in sources)
    return ["  sources:", *map(_aside, each, whys)]


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, 36 - len(line))}# {comment}"
    return written if comment and len(written) <= 125 else line


def _relative(file: Path, plan: DraftPlan) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any platform.
    return Path(os.path.relpath(file.absolute(), plan.target.absolute().parent)).as_posix()


def _reasons(plan: DraftPlan) -> Iterator[tuple[str, str, str]]:
    """Yield (what, guess, why)."""
    guess, first = plan.guess, plan.gathered.readings[0]
    if first.says_format or first.header:
        yield "format", first.format, first.why
    yield "kind", guess.kind, guess.why_kind
    if guess.text and not guess.shape:
        yield "text", ", ".join(guess.texts), guess.why_text
    if guess.system:
        yield "system", " ".join(guess.system.split()), "every row begins with it"
    if guess.label and not guess.shape:
        spelled = len(plan.labels.relabel)
        others = "is another spelling" if spelled == 1 else "are other spellings"
        more = f"; {spelled} of them {others}" if spelled else ""
        yield plan.kind.draft.target, guess.label, f"{guess.why_label}{more}"
    yield "splits", *_splits(plan)
    # The first is `leakage`, which every draft has.
    for check, (action, why) in list(plan.checks.items())[1:]:
        yield f"checks.{check}", action, why
    from_what = "the most that a draft asks for" if plan.too_long else "from the longest row"
    yield "max_length", str(plan.max_length), f"tokens, {from_what}; `recipe data` counts them"


def _splits(plan: DraftPlan) -> tuple[str, str]:
    sizes, rows = plan.sizes, plan.profile.rows
    used = {one.name: one.rows for one in plan.summary.splits} if plan.summary else {}
    up_to = "" if rows <= COMPARED else "up to "
    if plan.by_files:
        counts = ", ".join(f"{used[name]:,} {name}" for name in reversed(ORDER) if used.get(name))
        drawn = "; validation is drawn from train" if plan.validation else ""
        return plan.guess.split or "files", f"the data says it: {up_to}{counts}{drawn}"
    trained = used.get("train", 0)
    left = f"{sizes.validation} for validation, {up_to}{trained:,} left to train on"
    together = f"; those of one `{plan.group.name}` stay together" if plan.group else ""
    if not sizes.folds:
        return f"holdout {sizes.holdout}", f"of {rows:,} rows; {left}{together}"
    judged = f"each of {rows:,} rows judges once, by a model that has not seen it: {sizes.folds} trainings"
    return f"{sizes.folds} folds", f"{judged}; {left} in each{together}"


def _notes(plan: DraftPlan) -> Iterator[str]:
    for name, *facts in chain(_of_rows(plan), _of_labels(plan)):
        yield TABLE["notes"][name].format(*facts)


def _of_rows(plan: DraftPlan) -> Iterator[tuple[Any, ...]]:
    """Yield what is known of the rows, and why columns are not the label."""
    rows, guess, columns = plan.profile.rows, plan.guess, plan.profile.columns
    texts = [str(found_at(row, name) or "") for row in plan.profile.kept for name in guess.texts]
    if rows < FOLDED.start and not plan.by_files:
        yield "few", rows
    if why := unspoken(plan.model, iter(texts)):
        yield "unspoken", why
    for one in plan.groupings if not plan.by_files else ():
        if one != plan.group:
            by = spelled_in_flow({"group": one.name})
            filled = f", once its {counted(one.empty, 'empty row')} are filled" if one.empty else ""
            other = f" in place of `{plan.group.name}`" if plan.group else ""
            yield "group", one.repeated, one.name, by, other, filled
    if plan.summary and (dropped := plan.summary.dropped):
        yield "dropped", rows, ", ".join(f"{count:,} {why}" for why, count in dropped.items())
    if plan.too_long:
        yield "too long", counted(plan.too_long, "row"), plan.max_length
    for column in columns.values() if not plan.kind.has_turns else ():
        empty = len(plan.profile.kept) - column.filled
        if column.name in (guess.text, guess.label) or not is_called(column.name, "label"):
            continue
        if len(column.values) == 1:
            yield "constant", column.name
        elif column.values and empty:
            yield "empty", column.name, empty


def _of_labels(plan: DraftPlan) -> Iterator[tuple[Any, ...]]:
    """Yield which texts are not read, which spellings are taken for one label, and which may be misspelled."""
    guess, labels = plan.guess, plan.labels
    if plan.kind.has_labels and guess.texts and not guess.shape and not guess.system:
        left = other_texts(plan.profile, (*guess.texts, guess.label, guess.split))[:3]
        asked = "\\n".join(
            f"{{{name}}}" for name in plan.profile.columns if name in (*left, *guess.texts)
        )
        if left:
            yield "unread", ", ".join(f"`{name}`" for name in left), asked
    spelled = sorted(labels.spelled.items(), key=lambda one: -one[1].total())
    for label, counts in spelled[:MOST_NAMED]:
        usual = counts.most_common(MOST_NAMED)
        shown = ", ".join(f"`{one}`{unlike(one, label)} {count:,}" for one, count in usual)
        more = f" and {len(counts) - MOST_NAMED} more" if len(counts) > MOST_NAMED else ""
        yield "spelled", label, shown, more
    if spelled:
        others = len(spelled) - MOST_NAMED
        yield "merged", f", and those of {counted(others, 'more label')}" if others > 0 else ""
    for label, count, other in labels.misspelled:
        yield "misspelled", label, counted(count, "row"), other


def draft_message(plan: DraftPlan, *, file: str, width: int) -> str:
    """Return the whole message, in lines of so many columns where blanks let them be broken."""
    columns, gathered, guesses = [*plan.profile.kept[0]], plan.gathered, [*_reasons(plan)]
    shown = ", ".join(columns[:MOST_COLUMNS]) + (", …" if len(columns) > MOST_COLUMNS else "")
    lines = [f"{file}: {plan.profile.rows:,} rows" + (f", columns {shown}" if shown else "")]
    first = max(len(what) for what, _, _ in guesses)
    second = min(WIDEST, max(len(guess) for _, guess, _ in guesses))
    for what, value, why in guesses:
        cut = value if len(value) <= WIDEST else f"{value[: WIDEST - 1]}…"
        line = f"  {what:<{first}}  {cut:<{second}}  {why}".rstrip()
        lines += wrapped(line, width=width, indent=" " * (first + second + 6))
    for note in (*gathered.notes, *_notes(plan)):
        lines += wrapped(f"  note: {note}", width=width, indent=" " * len("  note: "))
    if gathered.rows:
        path = os.path.relpath(gathered.readings[0].path)
        line = f"wrote {path} (its rows: {'; '.join(gathered.whys)})"
        lines += wrapped(line, width=width, indent="  ")
    typed = as_typed(plan.target)
    lines.append(f"wrote {plan.target} ({len(text_of(plan).splitlines())} lines)")
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
