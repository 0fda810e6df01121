"""The text of a draft: every line a guess, beside those that are not plain why, and never more than 25 lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

from engine.drafting.plan import DraftPlan
from engine.drafting.reading import Reading
from engine.kinds import AnswerForm, Turns
from engine.recipe.model import HubRef, PathRef, Reference
from engine.recipe.text.dump import reference_mapping, spelled, spelled_in_flow
from engine.recipe.text.layout.format import WIDTH
from engine.values import Value, replace

MOST_LINES: Final = 25
Folded = frozenset[str]
FOLDED: Final = ("answer", "source", "properties", "checks", "only_source")
"""What is written closer, in this order, so that blank lines have room: in braces on one line.

The parts of `label`, `answer` and `messages`; the keys of a source; the properties of an answer's schema; the checks; a
source beside `sources`, where it is the only one and one line holds both.
"""
LONGEST_NAME: Final = 40
"""Characters of the file's name in the first line."""


class Writer(Value):
    plan: DraftPlan
    name: str
    """What the recipe is drafted from: the name of a file or a folder."""
    target: Path
    model: Reference

    def text(self) -> str:
        """Return the recipe, in at most 25 lines: closer than `recipe fmt` lays one out, where that needs it."""

        def count(folded: Folded) -> int:
            return sum(map(len, self._sections(folded)))

        folded: Folded = frozenset()
        # 20 lines leave one blank between all sections; long lines are written only where nothing else is left.
        for most, names in ((20, FOLDED), (MOST_LINES, ("labels", "schema", "sources"))):
            for name in names:
                folded |= {name} if count(folded) > most else folded
        # What gets its lines back where that leaves some blank ones.
        for name in reversed(FOLDED):
            folded = folded - {name} if count(folded - {name}) <= 22 else folded
        sections = list(self._sections(folded))
        left = MOST_LINES - count(folded)
        lines: list[str] = []
        for place, section in enumerate(sections):
            # Blank lines as far as there is room, before the last sections first.
            lines += [""] if place and len(sections) - place <= left else []
            lines += section
        return "\n".join(lines) + "\n"

    def _sections(self, folded: Folded) -> Iterator[list[str]]:
        # A line break in the name of a file would end the comment and write a line of the recipe.
        shown = "".join(one if one.isprintable() else "?" for one in self.name)
        shown = shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
        yield [
            f"# Drafted from {shown}: every line is a guess; `recipe schema` tells the defaults."
        ]
        name = re.sub(r"[^a-z0-9_-]+", "-", (self.name.split(".")[0] or "draft").lower())
        description = self.plan.kind.draft.description.replace("{word}", self.plan.word)
        yield [
            "recipe: v1",
            f"name: {spelled((name.strip('-_') or 'draft')[:64])}",
            f"description: {spelled(description)}",
        ]
        yield list(self._task(folded))
        model = self.model
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        is_own = isinstance(self.model, HubRef | PathRef)
        why = "" if is_own else "small enough for a CPU; any other: --base-model"
        yield list(_lines("base_model", reference_mapping(model), depth=1, why=why, margin=""))
        yield ["data:", *self._sources(folded), *self._answer(folded), *self._checks(folded)]
        length, _ = self.plan.max_length()
        # The other losses learn from pairs, and the usual one of them is the default.
        loss = ", preference: {loss: kto}" if self.plan.guess.shape == "kto" else ""
        settings = f"{{kind: lora, max_length: {length}{loss}}}"
        method = _aside(f"method: {settings}", "tokens, from the longest row")
        yield [self._splits(), method, *self._acceptance()]

    def _task(self, folded: Folded) -> Iterator[str]:
        guess, kind = self.plan.guess, self.plan.kind
        yield "task:"
        yield f"  kind: {guess.kind}"
        if asked := self.plan.instruction():
            yield _aside(f"  instruction: {spelled(asked)}", self.plan.why_instruction())
        if guess.system:
            yield f"  system: {spelled(guess.system)}"
        if guess.text and not guess.shape and guess.texts != ("text",):
            yield f"  input: {_line(chr(10).join('{' + name + '}' for name in guess.texts))}"
        if kind.has_labels:
            yield from _labels(self.plan.labels(), is_wrapped="labels" not in folded)
        if kind.answer is AnswerForm.OBJECT:
            properties = dict(self._properties())
            schema = {"type": "object", "properties": properties, "additionalProperties": False}
            depth = 0 if "schema" in folded else 1 if "properties" in folded else 2
            yield from _lines("schema", schema, depth=depth)

    def _properties(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        guess = self.plan.guess
        if guess.spans is not None:
            for name in guess.spans.names:
                one = {"type": "string"}
                yield name, {"type": "array", "items": one} if name in guess.spans.several else one
            return
        yield from guess.properties
        for name in () if guess.properties else guess.fields:
            column = self.plan.profile.columns[name]
            # Numbers with leading zeros are codes, and stay texts.
            whole = column.is_number and all(
                re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values
            )
            yield name, {} if column.lists else {"type": "integer" if whole else "string"}

    def _answer(self, folded: Folded) -> Iterator[str]:
        """Yield the key of `data` that says where the answer is, and why."""
        guess, kind, why = self.plan.guess, self.plan.kind, ""
        key, value = "answer", dict[str, Any]()
        if kind.has_labels:
            key, (value, why) = "label", self._label()
        elif guess.spans is not None:
            spans = {key: getattr(guess.spans, key) for key in ("column", "name", "start", "end")}
            value, why = {"spans": {**spans, "of": guess.text}}, "marked stretches of the text"
        elif kind.answer is AnswerForm.OBJECT and guess.properties:
            value, why = {"column": guess.label}, "a JSON object"
        elif kind.answer is AnswerForm.OBJECT:
            value, why = {"fields": {n: n for n in guess.fields}}, "field of the answer: column"
        elif guess.turns is not None:
            turns = {key: getattr(guess.turns, key) for key in ("column", "role", "content")}
            key, value = "messages", {**turns, "roles": dict(guess.turns.roles)}
        elif guess.pair:
            names = ("prompt", "chosen", "rejected")
            key, value = "pair", dict(zip(names, guess.pair, strict=True))
        elif kind.columns_key == "answer" and not guess.shape:
            value = {"column": guess.label}
        has_parts = any(isinstance(below, Mapping) for below in value.values())
        if value:
            depth = 2 if has_parts and "answer" not in folded else 0
            yield from _lines(key, value, depth=depth, why=why)

    def _label(self) -> tuple[dict[str, Any], str]:
        guess, why = self.plan.guess, ""
        found: dict[str, Any] = {"column": guess.label}
        if relabel := self.plan.relabelled():
            found["relabel"], why = relabel, "labels that are spelled in several ways"
            if all(normalize("NFC", one) == normalize("NFC", new) for one, new in relabel.items()):
                why = "written in two forms of Unicode, which look the same: as NFC and as NFD"
        if scale := self.plan.bins():
            found["bins"] = {label: {end: bound} for label, end, bound in scale}
            why = "the outer thirds: rows between are left out"
        if guess.separator and guess.separator != ",":
            found["separator"] = guess.separator
        return found, why

    def _sources(self, folded: Folded) -> Iterator[str]:
        readings = self.plan.readings
        sources = [self._source(reading) for reading in readings]
        whys = [one.why if one.says_format or one.header else "" for one in readings]
        line = f"  sources: {spelled_in_flow(sources)}"
        is_short = "only_source" in folded and len(sources) == 1 and len(line) <= WIDTH
        if "sources" in folded or is_short:
            yield _aside(line, whys[0])
            return
        yield "  sources:"
        for source, why in zip(sources, whys, strict=True):
            if "source" in folded and len(source) > 1:
                yield _aside(f"    - {spelled_in_flow(source)}", why)
                continue
            for key, value in source.items():
                margin = "    - " if key == "path" else "      "
                beside = why if key == ("header" if "header" in source else "format") else ""
                yield _aside(f"{margin}{key}: {_line(value)}", beside)

    def _source(self, reading: Reading) -> dict[str, Any]:
        found: dict[str, Any] = {
            "path": _relative(reading.path, self.target),
            "format": reading.format if reading.says_format else "",
            "delimiter": reading.delimiter,
            "quoting": reading.quoting if reading.quoting != "auto" else "",
            "columns": {name: _relative(file, self.target) for name, file in reading.beside},
            "header": list(reading.header),
            "encoding": reading.encoding if reading.encoding != "utf-8" else "",
            "records": reading.records,
            "into": reading.into if self.plan.by_files else "",
        }
        return {key: value for key, value in found.items() if value}

    def _checks(self, folded: Folded) -> Iterator[str]:
        checks = dict(self.plan.checks)
        if not self.plan.max_length()[1]:
            checks["truncation"] = ("drop", "the longest rows may not fit max_length")
        elif self.plan.profile.rows > len(self.plan.row_sizes):
            checks["truncation"] = ("drop", "rows after those looked at may not fit max_length")
        actions = {check: action for check, (action, _) in checks.items()}
        if len(checks) > 1 and "checks" not in folded:
            yield "  checks:"
            for check, (action, reason) in checks.items():
                yield _aside(f"    {check}: {action}", reason)
        elif checks:
            why = next(why for _, why in checks.values())
            if len(checks) > 1:
                warned = ", warn only tells of them" if "warn" in actions.values() else ""
                why = f"drop leaves such rows out{warned}"
            yield _aside(f"  checks: {spelled_in_flow(actions)}", why)

    def _splits(self) -> str:
        plan, guess = self.plan, self.plan.guess
        if plan.by_files:
            rest = "" if "validation" in plan.by_split else f", validation: {plan.sizes.validation}"
            by = f"{{column: {spelled_in_flow(guess.split)}}}" if guess.split else "files"
            return _aside(f"splits: {{by: {by}{rest}}}", "the data says which rows are for what")
        folds, why = plan.sizes.folds, "the holdout only judges"
        judging = f"holdout: {plan.sizes.holdout}"
        if folds:
            judging, why = f"folds: {folds}", f"each row judges once: {folds} trainings"
        by = "by: stratified, " if plan.kind.has_labels else "by: random, "
        if group := plan.kind.group or (plan.group.name if plan.group else ""):
            by = "" if plan.kind.group else f"by: {spelled_in_flow({'group': group})}, "
            why = f"rows of one {group} stay together"
        sizes = f"train: all, validation: {plan.sizes.validation}, {judging}"
        return _aside(f"splits: {{{by}{sizes}}}", why)

    def _acceptance(self) -> Iterator[str]:
        bounds = [
            f"{metric}: {{{end}: {format(bound, '.2f' if end == 'min' else 'g')}}}"
            for metric, ends in self.plan.metrics().items()
            for end, bound in ends.items()
        ]
        if bounds:
            lower = "lower is better: " if "{max:" in bounds[0] else ""
            yield "acceptance:"
            metrics = f"  metrics: {{{', '.join(bounds)}}}"
            yield _aside(metrics, f"{lower}what is good enough for you?")
        if bounds and self.plan.kind.turns is Turns.PREFERENCE:
            gain = f"  over_baselines: {{{self.plan.kind.draft.metric}: {{min_gain: 0.05}}}}"
            yield _aside(gain, "over the untouched model and the longer answer")


def _labels(names: list[str], *, is_wrapped: bool) -> Iterator[str]:
    line = "  labels: ["
    for name in names:
        text = spelled_in_flow(name)
        if line.endswith("["):
            line += text
        elif is_wrapped and len(line) + len(text) + len(", ],") > WIDTH:
            yield f"{line},"
            line = f"    {text}"
        else:
            line += f", {text}"
    yield f"{line}]"


def _lines(
    key: str, value: object, *, depth: int, why: str = "", margin: str = "  "
) -> Iterator[str]:
    """Yield a key with what is below it: so many levels over lines, the others in braces.

    The comment stands beside the lowest key that is written over lines.
    """
    if not depth or not isinstance(value, Mapping):
        yield _aside(f"{margin}{key}: {_line(value)}", why)
        return
    is_lowest = not any(isinstance(below, Mapping) for below in value.values())
    yield _aside(f"{margin}{key}:", why if is_lowest else "")
    for name, below in value.items():
        beside = why if isinstance(below, Mapping) else ""
        yield from _lines(_line(name), below, depth=depth - 1, why=beside, margin=f"{margin}  ")


def _line(value: object) -> str:
    text = "" if isinstance(value, list | Mapping) else spelled(value)
    return text if text and "\n" not in text else spelled_in_flow(value)


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, 36 - len(line))}# {comment}"
    return written if comment and len(written) <= 125 else line


def _relative(file: Path, target: Path) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any platform.
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()
