"""The text of a draft: every line a guess, beside those that are not plain why, and never more than 25 lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.drafting.plan import DraftPlan, bins, labels, relabelled
from engine.drafting.prompt import instruction, max_length, metrics, why_instruction
from engine.drafting.reading import Reading
from engine.kinds import KINDS, AnswerForm
from engine.recipe.model import HubRef, PathRef, Reference
from engine.recipe.text.dump import reference_mapping, spelled, spelled_in_flow
from engine.recipe.text.layout.format import WIDTH

MOST_LINES: Final = 25
WISHED: Final = 20
"""Lines that leave one blank between all sections."""
ENOUGH: Final = 22
"""Lines that leave some."""
FOLDED: Final = ("header", "answer", "source", "properties", "checks", "only_source")
"""What is written closer, in this order, so that blank lines have room."""
FOLDED_LAST: Final = ("labels", "schema", "sources")
"""What is written on a long line only where nothing else is left."""
REGAINED: Final = ("only_source", "checks", "properties", "source", "answer")
"""What gets its lines back where that leaves some blank ones."""

ASIDE: Final = 36
"""Column of the comments beside lines."""
WIDEST: Final = 125
"""Columns beyond which no comment stands."""
LONGEST_NAME: Final = 40
"""Characters of the file's name in the first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes the plan of a draft as the recipe that it stands for."""

    plan: DraftPlan
    file: Path
    target: Path
    model: Reference

    def text(self) -> str:
        """The recipe, in at most 25 lines: closer than `recipe fmt` lays one out, where that needs it."""
        room = widest_budget(lambda room: sum(map(len, self._sections(room))))
        return "\n".join(_spaced(list(self._sections(room)))) + "\n"

    def _sections(self, room: LineBudget) -> Iterator[list[str]]:
        yield list(self._header(room))
        yield list(self._head())
        yield list(self._task(room))
        yield list(self._base_model())
        yield list(self._data(room))
        yield [*self._splits(), self._method(), *self._acceptance()]

    def _method(self) -> str:
        length, _ = max_length(self.plan)
        settings = f"{{kind: lora, epochs: 3, max_length: {length}}}"
        return _aside(f"method: {settings}", "tokens, from the longest row")

    def _header(self, room: LineBudget) -> Iterator[str]:
        # A line break in the name of a file would end the comment and write a line of the recipe.
        name = "".join(one if one.isprintable() else "?" for one in self.file.name)
        name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        if room.header:
            yield f"# Drafted from {name}: every line is a guess, to be checked and changed. What is"
            yield "# not written has a default; `recipe schema method.rank` explains any key."
        else:
            yield f"# Drafted from {name}: every line is a guess; `recipe schema` tells the defaults."

    def _head(self) -> Iterator[str]:
        stem = self.file.name.split(".")[0] or "draft"
        name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_") or "draft"
        yield "recipe: v1"
        yield f"name: {spelled(name[:64])}"
        yield f"description: {spelled(self._description())}"

    def _description(self) -> str:
        guess = self.plan.guess
        return KINDS[guess.kind].draft.description.replace("{label}", guess.label)

    def _task(self, room: LineBudget) -> Iterator[str]:
        guess = self.plan.guess
        yield "task:"
        yield f"  kind: {guess.kind}"
        asked = instruction(self.plan)
        if asked:
            yield _aside(f"  instruction: {spelled(asked)}", why_instruction(self.plan))
        if guess.text and not guess.shape and guess.text != "text":
            yield f"  input: {_line('{' + guess.text + '}')}"
        if KINDS[guess.kind].has_labels:
            yield from _labels(labels(self.plan), room)
        if KINDS[guess.kind].answer is AnswerForm.OBJECT:
            yield from _schema(dict(self._properties()), room)

    def _properties(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        guess = self.plan.guess
        if guess.spans is not None:
            for name in guess.spans.names:
                yield name, {"type": "string"}
            return
        for name in guess.fields:
            column = self.plan.profile.columns[name]
            # Numbers with leading zeros are codes, and stay texts.
            whole = column.is_number and all(
                re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values
            )
            yield name, {} if column.lists else {"type": "integer" if whole else "string"}

    def _base_model(self) -> Iterator[str]:
        model = self.model
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        is_own = isinstance(self.model, HubRef | PathRef)
        yield _aside(
            "base_model:", "" if is_own else "small enough for a CPU; any other: --base-model"
        )
        for key, value in reference_mapping(model).items():
            yield f"  {key}: {_line(value)}"

    def _data(self, room: LineBudget) -> Iterator[str]:
        guess = self.plan.guess
        yield "data:"
        yield from self._sources(room)
        if KINDS[guess.kind].has_labels:
            yield from _branch("label", self._label(), room, self._why_label())
        elif KINDS[guess.kind].answer is AnswerForm.OBJECT:
            yield from _branch("answer", *self._answer(room))
        elif guess.turns is not None:
            turns = guess.turns
            found = {"column": turns.column, "role": turns.role, "content": turns.content}
            yield from _branch("messages", {**found, "roles": dict(turns.roles)}, room)
        elif KINDS[guess.kind].columns_key == "answer" and not guess.shape:
            yield from _branch("answer", {"column": guess.label}, room)
        yield from self._checks(room)

    def _sources(self, room: LineBudget) -> Iterator[str]:
        sources = [self._source(reading) for reading in self.plan.readings]
        whys = [
            reading.why if reading.says_format or reading.header else ""
            for reading in self.plan.readings
        ]
        whole = f"  sources: {spelled_in_flow(sources)}"
        if not room.sources or (not room.only_source and len(sources) == 1 and len(whole) <= WIDTH):
            yield _aside(whole, whys[0])
            return
        yield "  sources:"
        for source, why in zip(sources, whys, strict=True):
            if not room.source and len(source) > 1:
                yield _aside(f"    - {spelled_in_flow(source)}", why)
                continue
            for key, value in source.items():
                margin = "    - " if key == "path" else "      "
                beside = why if key == ("header" if "header" in source else "format") else ""
                yield _aside(f"{margin}{key}: {_line(value)}", beside)

    def _source(self, reading: Reading) -> dict[str, Any]:
        found = {
            "path": _relative(self.file, self.target),
            "format": reading.format if reading.says_format else "",
            "header": list(reading.header),
            "encoding": reading.encoding if reading.encoding != "utf-8" else "",
            "records": reading.records,
            "into": reading.into if self.plan.by_files else "",
        }
        return {key: value for key, value in found.items() if value}

    def _label(self) -> dict[str, Any]:
        guess = self.plan.guess
        found: dict[str, Any] = {"column": guess.label}
        if relabel := relabelled(self.plan):
            found["relabel"] = relabel
        if scale := bins(self.plan):
            found["bins"] = {label: {end: bound} for label, end, bound in scale}
        if guess.separator and guess.separator != ",":
            found["separator"] = guess.separator
        return found

    def _why_label(self) -> str:
        if bins(self.plan):
            return "the outer thirds: rows between are left out"
        return "labels that are spelled in several ways" if relabelled(self.plan) else ""

    def _answer(self, room: LineBudget) -> tuple[Mapping[str, Any], LineBudget, str]:
        guess = self.plan.guess
        if guess.spans is None:
            fields = {"fields": {name: name for name in guess.fields}}
            return fields, room, "field of the answer: column"
        spans = guess.spans
        found = {"column": spans.column, "name": spans.name, "start": spans.start, "end": spans.end}
        return {"spans": {**found, "of": guess.text}}, room, "marked stretches of the text"

    def _checks(self, room: LineBudget) -> Iterator[str]:
        checks = dict(self.plan.checks)
        if not max_length(self.plan)[1]:
            checks["truncation"] = ("drop", "the longest rows may not fit max_length")
        if len(checks) > 1 and room.checks:
            yield "  checks:"
            for check, (action, why) in checks.items():
                yield _aside(f"    {check}: {action}", why)
        elif checks:
            why = next(iter(checks.values()))[1]
            actions = {check: action for check, (action, _) in checks.items()}
            both = "warn" in actions.values()
            several = f"drop leaves such rows out{', warn only tells of them' if both else ''}"
            yield _aside(
                f"  checks: {spelled_in_flow(actions)}", several if len(checks) > 1 else why
            )

    def _splits(self) -> Iterator[str]:
        plan = self.plan
        if plan.by_files:
            steered = "validation" in plan.profile.by_split
            rest = "" if steered else f", validation: {plan.sizes.validation}"
            yield _aside(f"splits: {{by: files{rest}}}", "the file says which rows are for what")
            return
        by = "stratified" if KINDS[plan.guess.kind].has_labels else "random"
        sizes = f"train: all, validation: {plan.sizes.validation}, holdout: {plan.sizes.holdout}"
        yield _aside(f"splits: {{by: {by}, {sizes}}}", "the holdout only judges")

    def _acceptance(self) -> Iterator[str]:
        found = metrics(self.plan)
        if not found:
            return
        lower = "lower is better: " if "max:" in found else ""
        yield "acceptance:"
        yield _aside(f"  metrics: {found}", f"{lower}what is good enough for you?")


def _spaced(sections: Sequence[list[str]]) -> Iterator[str]:
    """Yield all lines, with as many blank ones as there is room for; the last sections first."""
    left = MOST_LINES - sum(map(len, sections))
    for place, section in enumerate(sections):
        if place and len(sections) - place <= left:
            yield ""
        yield from section


def _labels(names: list[str], room: LineBudget) -> Iterator[str]:
    """Yield the list, over several lines where it is long and they are there."""
    line = "  labels: ["
    for name in names:
        text = spelled_in_flow(name)
        if line.endswith("["):
            line += text
        elif room.labels and len(line) + len(text) + len(", ],") > WIDTH:
            yield f"{line},"
            line = f"    {text}"
        else:
            line += f", {text}"
    yield f"{line}]"


def _schema(properties: Mapping[str, Any], room: LineBudget) -> Iterator[str]:
    if not room.schema:
        whole = {"type": "object", "properties": properties, "additionalProperties": False}
        yield f"  schema: {spelled_in_flow(whole)}"
        return
    yield "  schema:"
    yield "    type: object"
    if room.properties:
        yield "    properties:"
        for name, schema in properties.items():
            yield f"      {_line(name)}: {spelled_in_flow(schema)}"
    else:
        yield f"    properties: {spelled_in_flow(properties)}"
    yield "    additionalProperties: false"


def _branch(key: str, value: Mapping[str, Any], room: LineBudget, why: str = "") -> Iterator[str]:
    """Yield a key of `data` with what is below it, over lines or in braces."""
    if not room.answer or not any(isinstance(below, Mapping) for below in value.values()):
        yield _aside(f"  {key}: {spelled_in_flow(value)}", why)
        return
    yield f"  {key}:"
    for name, below in value.items():
        if not isinstance(below, Mapping):
            yield f"    {name}: {_line(below)}"
            continue
        yield _aside(f"    {name}:", why)
        for inner, last in below.items():
            yield f"      {_line(inner)}: {_line(last)}"


def _line(value: object) -> str:
    """Return a value on one line."""
    if isinstance(value, list | Mapping):
        return spelled_in_flow(value)
    text = spelled(value)
    return spelled_in_flow(value) if "\n" in text else text


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, ASIDE - len(line))}# {comment}"
    return written if comment and len(written) <= WIDEST else line


def _relative(file: Path, target: Path) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any
    # platform.
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBudget:
    """What has lines of its own; what has not is written in braces or brackets on one."""

    header: bool = True
    """The comment at the head: two lines or one."""
    answer: bool = True
    """Parts of `label`, `answer` and `messages`."""
    source: bool = True
    """Keys of a source."""
    properties: bool = True
    """Properties of the schema of an answer."""
    checks: bool = True
    only_source: bool = True
    """A source on a line below `sources`, where it is the only one and one line holds both."""
    labels: bool = True
    """Several lines for a list of labels that is too long for one."""
    schema: bool = True
    """Parts of the schema of an answer."""
    sources: bool = True
    """A line for each of several sources."""


def widest_budget(count: Callable[[LineBudget], int]) -> LineBudget:
    """Return the room of which most is used: `count` tells the lines, without blank ones, of each."""
    room = LineBudget()
    for most, names in ((WISHED, FOLDED), (MOST_LINES, FOLDED_LAST)):
        for name in names:
            if count(room) > most:
                room = replace(room, **{name: False})
    for name in REGAINED:
        wider = replace(room, **{name: True})
        if count(wider) <= ENOUGH:
            room = wider
    return room
