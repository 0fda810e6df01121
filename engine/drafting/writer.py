"""What is written and shown of a draft: its text of at most 25 lines, what was guessed and why, notes on the rows.

`schemas/draft.json`: `recipe` has {key, of, is, if, why}: a key of the recipe, the fact that is its value or the value
itself, the facts that must hold (each after a `-` must not), and a comment; the first comment of a line counts. `notes`
are sentences for the user, by the names of what is found of the rows. `dropped` and `quiet` are checks of rows: those
that a draft lets leave out what they find, and those that refuse nothing in a draft, which does not wait for them.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.data.checks.rows.languages import unspoken
from engine.data.examples.template import found_at
from engine.data.splitting.splits import ORDER
from engine.drafting.label_names import label_noun
from engine.drafting.layout_table import PATTERNS
from engine.drafting.plan import FOLDED, DraftPlan
from engine.drafting.profile import is_called
from engine.drafting.reading import Reading
from engine.drafting.roles import other_texts
from engine.files.reading import parse_json
from engine.kinds import AnswerForm, Turns
from engine.recipe.model import HubRef, PathRef, Reference
from engine.recipe.text.dump import reference_mapping, spelled_in_flow
from engine.recipe.text.layout.format import WIDTH
from engine.recipe.text.words import unlike
from engine.recipe.validation.schema import schema_text
from engine.render.number_format import counted
from engine.values import Value, put, replace, to_json

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
COMPARED: Final = 100_000
"""Rows up to which a draft compares what trains with the holdout; `recipe data` compares any number."""


class Writer(Value):
    plan: DraftPlan
    name: str
    """What the recipe is drafted from: the name of a file or a folder."""
    target: Path
    model: Reference

    def text(self) -> str:
        # A line break in the name of a file would end the comment and write a line of the recipe.
        shown = "".join(one if one.isprintable() else "?" for one in self.name)
        head = f"# Drafted from {shown}: every line is a guess; `recipe schema` tells the defaults."
        lines = [head, *self._lines()]
        if len(lines) > MOST_LINES:
            lines = list(filter(None, lines))
        return "\n".join(lines) + "\n"

    def _lines(self) -> Iterator[str]:
        facts = self._facts()
        tree: dict[str, Any] = {}
        whys: dict[str, str] = {}
        for row in TABLE["recipe"]:
            needs = row.get("if", row.get("of", "")).split()
            if not all(bool(facts[one.strip("-")]) != one.startswith("-") for one in needs):
                continue
            section, _, key = row["key"].partition(".")
            if "of" in row or "is" in row:
                put(tree, row["key"], row["is"] if "is" in row else facts[row["of"]])
            line = f"{section}.{key.partition('.')[0]}" if key and section in BLOCKS else section
            whys[line] = whys.get(line) or row.get("why", "").format_map(facts)
        for section, value in tree.items():
            if section in PARAGRAPHS:
                yield ""
            if section not in BLOCKS:
                yield _aside(f"{section}: {spelled_in_flow(value)}", whys[section])
                continue
            yield _aside(f"{section}:", whys.get(section, ""))
            for key, below in value.items():
                line = _aside(
                    f"  {key}: {spelled_in_flow(below)}", whys.get(f"{section}.{key}", "")
                )
                yield from self._sources(below) if key == "sources" else [line]

    def _facts(self) -> dict[str, Any]:
        plan, guess, kind, labels = self.plan, self.plan.guess, self.plan.kind, self.plan.labels
        name = re.sub(r"[^a-z0-9_-]+", "-", (self.name.split(".")[0] or "draft").lower())
        instruction, why_instruction = plan.question
        model, checks, metrics = self.model, plan.all_checks(), plan.metrics()
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        is_object = kind.answer is AnswerForm.OBJECT
        schema = {"type": "object", "properties": properties(plan), "additionalProperties": False}
        spans, turns, answers = guess.spans, guess.turns, kind.columns_key == "answer"
        actions = {check: action for check, (action, _) in checks.items()}
        is_default = guess.shape or guess.texts == ("text",)
        return {
            "name": (name.strip("-_") or "draft")[:64],
            "description": kind.draft.description.replace("{word}", label_noun(guess)),
            "kind": guess.kind,
            "instruction": instruction,
            "why_instruction": why_instruction,
            "system": guess.system,
            "input": "" if is_default else "\n".join(f"{{{one}}}" for one in guess.texts),
            "labels": labels.names,
            "schema": schema if is_object else {},
            "model": reference_mapping(model),
            "small": not isinstance(model, HubRef | PathRef),
            "sources": [self._source(reading) for reading in plan.readings],
            "label": guess.label if kind.has_labels else "",
            "relabel": labels.relabel,
            "bins": labels.scale,
            "separator": guess.separator.strip(",") if kind.has_labels else "",
            "spans": spans and {**spans.keys(), "of": guess.text},
            "object": guess.label if guess.properties else "",
            "fields": {} if spans or guess.properties else {name: name for name in plan.fields},
            "answer": guess.label if answers and not guess.shape else "",
            "messages": turns and to_json(turns),
            "pair": dict(zip(("prompt", "chosen", "rejected"), guess.pair, strict=False)),
            "checks": actions,
            "check": next((why for _, why in checks.values()), "") if len(checks) < 2 else "",
            "warned": "warn" in actions.values(),
            "given": plan.by_files,
            "split": guess.split,
            "usual_group": kind.group,
            "group": "" if plan.by_files else kind.group or (plan.group.name if plan.group else ""),
            "validation": plan.validation,
            "holdout": plan.sizes.holdout,
            "folds": plan.sizes.folds,
            "max_length": plan.max_length(),
            # The other losses learn from pairs, and the usual one of them is the default.
            "thumbs": guess.shape == "kto",
            "metrics": metrics,
            "lower": any("max" in ends for ends in metrics.values()),
            "over": {kind.draft.metric: {"min_gain": 0.05}}
            if kind.turns is Turns.PREFERENCE
            else {},
        }

    def _sources(self, sources: list[dict[str, Any]]) -> Iterator[str]:
        whys = [one.why if one.says_format or one.header else "" for one in self.plan.readings]
        line = f"  sources: {spelled_in_flow(sources)}"
        if len(sources) > MOST_SOURCES or (len(sources) == 1 and len(line) <= WIDTH):
            yield _aside(line, whys[0])
            return
        yield "  sources:"
        for source, why in zip(sources, whys, strict=True):
            yield _aside(f"    - {spelled_in_flow(source)}", why)

    def _source(self, reading: Reading) -> dict[str, Any]:
        found = {
            "path": _relative(reading.path, self.target),
            "format": reading.format if reading.says_format else "",
            "delimiter": reading.delimiter,
            "quoting": reading.quoting if reading.quoting != "auto" else "",
            "columns": {name: _relative(p, self.target) for name, p in reading.beside.items()},
            "header": list(reading.header),
            "encoding": reading.encoding if reading.encoding != "utf-8" else "",
            "records": reading.records,
            "into": reading.into if self.plan.by_files else "",
        }
        return {key: value for key, value in found.items() if value}


def properties(plan: DraftPlan) -> dict[str, Any]:
    """Return the schema of each field of an answer."""
    guess, text = plan.guess, {"type": "string"}
    if guess.spans is not None:
        lists = {"type": "array", "items": text}
        return {name: lists if name in guess.spans.several else text for name in guess.spans.names}
    found = dict(guess.properties)
    for name in plan.fields if not found else ():
        column = plan.profile.columns[name]
        # Numbers with leading zeros are codes, and stay texts.
        whole = all(re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values)
        kind = "integer" if column.is_number and whole else "string"
        found[name] = {} if column.lists else {"type": kind}
    return found


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, 36 - len(line))}# {comment}"
    return written if comment and len(written) <= 125 else line


def _relative(file: Path, target: Path) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any platform.
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()


def reasons(plan: DraftPlan) -> Iterator[tuple[str, str, str]]:
    """Yield (what, guess, why)."""
    guess, first = plan.guess, plan.readings[0]
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
    yield "max_length", str(plan.max_length()), f"tokens, {from_what}; `recipe data` counts them"


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


def notes(plan: DraftPlan, model: Reference) -> Iterator[str]:
    for name, *facts in (*_of_rows(plan, model), *_of_columns(plan), *_of_labels(plan)):
        yield TABLE["notes"][name].format(*facts)


def _of_rows(plan: DraftPlan, model: Reference) -> Iterator[tuple[Any, ...]]:
    rows, guess = plan.profile.rows, plan.guess
    texts = [str(found_at(row, name) or "") for row in plan.profile.kept for name in guess.texts]
    if rows < FOLDED.start and not plan.by_files:
        yield "few", rows
    if why := unspoken(model, iter(texts)):
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
        yield "too long", counted(plan.too_long, "row"), plan.max_length()
    if held := [found[0] for text in texts if (found := PATTERNS["entity of HTML"].search(text))]:
        usual_ones = ", ".join(f"`{one}`" for one, _ in Counter(held).most_common(3))
        yield "entities", f"{len(held):,} texts hold" if held[1:] else "1 text holds", usual_ones


def _of_columns(plan: DraftPlan) -> Iterator[tuple[Any, ...]]:
    """Yield why columns are not the label, and which texts are not read."""
    guess, columns = plan.guess, plan.profile.columns
    for column in columns.values() if not plan.kind.has_turns else ():
        empty = len(plan.profile.kept) - column.filled
        if column.name in (guess.text, guess.label) or not is_called(column.name, "label"):
            continue
        if len(column.values) == 1:
            yield "constant", column.name
        elif column.values and empty:
            yield "empty", column.name, empty
    if plan.kind.has_labels and guess.texts and not guess.shape and not guess.system:
        left = other_texts(plan.profile, (*guess.texts, guess.label, guess.split))[:3]
        asked = "\\n".join(f"{{{name}}}" for name in columns if name in (*left, *guess.texts))
        if left:
            yield "unread", ", ".join(f"`{name}`" for name in left), asked


def _of_labels(plan: DraftPlan) -> Iterator[tuple[Any, ...]]:
    """Yield which spellings are taken for one label and what merges them, and which labels may be misspelled."""
    labels = plan.labels
    spelled = sorted(labels.spelled.items(), key=lambda one: -one[1].total())
    for label, counts in spelled[:MOST_NAMED]:
        usual = counts.most_common(MOST_NAMED)
        shown = ", ".join(f"`{one}`{unlike(one, label)} {count:,}" for one, count in usual)
        more = f" and {len(counts) - MOST_NAMED} more" if len(counts) > MOST_NAMED else ""
        yield "spelled", label, shown, more
    if spelled:
        left = len(spelled) - MOST_NAMED
        yield "merged", f", and those of {counted(left, 'more label')}" if left > 0 else ""
    for label, count, other in labels.misspelled:
        yield "misspelled", label, counted(count, "row"), other
    named = labels.names if plan.kind.answer is AnswerForm.LABEL else []
    if named and all(map(PATTERNS["wordless"].fullmatch, named)):
        yield "wordless", "numbers" if named[0].strip("-")[:1].isdigit() else "true and false"
