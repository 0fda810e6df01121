"""The text of a draft: each line a guess, a comment next to those that are not plain, at most 25 lines."""

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
MOST_SOURCES: Final = 3
"""Sources that get a line each."""
PARAGRAPHS: Final = ("task", "base_model", "data", "splits")
"""Keys before which there is a blank line, where there is room for all of them."""
LONGEST_NAME: Final = 40
"""Characters of the file's name in the first line."""
Section = dict[str, Any]
Line = tuple[str, Any, str]
"""A key of the recipe, of a section by its path; its value, None for the head of a section; and why."""


class Writer(Value):
    plan: DraftPlan
    name: str
    """What the recipe is drafted from: the name of a file or a folder."""
    target: Path
    model: Reference

    def text(self) -> str:
        # A line break in the name of a file would end the comment and write a line of the recipe.
        shown = "".join(one if one.isprintable() else "?" for one in self.name)
        shown = shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
        lines = [
            f"# Drafted from {shown}: every line is a guess; `recipe schema` tells the defaults."
        ]
        for path, value, why in self._lines():
            section, _, key = path.partition(".")
            margin, name = ("  ", key) if key else ("", section)
            if not key and section in PARAGRAPHS:
                lines.append("")
            if key == "sources":
                lines += self._sources(value)
            elif value is None:
                lines.append(_aside(f"{section}:", why))
            elif value not in ("", {}):
                lines.append(_aside(f"{margin}{name}: {_line(value)}", why))
        if len(lines) > MOST_LINES:
            lines = list(filter(None, lines))
        return "\n".join(lines) + "\n"

    def _lines(self) -> Iterator[Line]:
        plan, guess, kind = self.plan, self.plan.guess, self.plan.kind
        name = re.sub(r"[^a-z0-9_-]+", "-", (self.name.split(".")[0] or "draft").lower())
        yield "recipe", "v1", ""
        yield "name", (name.strip("-_") or "draft")[:64], ""
        yield "description", kind.draft.description.replace("{word}", plan.word), ""
        yield "task", None, ""
        yield "task.kind", guess.kind, ""
        yield "task.instruction", plan.instruction(), plan.why_instruction()
        yield "task.system", guess.system, ""
        if guess.text and not guess.shape and guess.texts != ("text",):
            yield "task.input", "\n".join(f"{{{name}}}" for name in guess.texts), ""
        if kind.has_labels:
            yield "task.labels", plan.labels(), ""
        if kind.answer is AnswerForm.OBJECT:
            schema = {"type": "object", "properties": dict(self._properties())}
            yield "task.schema", {**schema, "additionalProperties": False}, ""
        model = self.model
        is_own = isinstance(model, HubRef | PathRef)
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        yield (
            "base_model",
            None,
            "" if is_own else "small enough for a CPU; any other: --base-model",
        )
        for key, value in reference_mapping(model).items():
            yield f"base_model.{key}", value, ""
        yield "data", None, ""
        yield "data.sources", [self._source(reading) for reading in plan.readings], ""
        yield from self._answer()
        checks = plan.all_checks()
        actions = {check: action for check, (action, _) in checks.items()}
        why = next((why for _, why in checks.values()), "")
        if len(checks) > 1:
            is_warned = "warn" in actions.values()
            why = f"drop leaves such rows out{', warn only tells of them' if is_warned else ''}"
        yield "data.checks", actions, why
        yield "splits", *self._splits()
        # The other losses learn from pairs, and the usual one of them is the default.
        kto = {"preference": {"loss": "kto"}} if guess.shape == "kto" else {}
        method = {"kind": "lora", "max_length": plan.max_length(), **kto}
        yield "method", method, "tokens, from the longest row"
        if metrics := plan.metrics():
            is_higher = any("min" in ends for ends in metrics.values())
            better = "" if is_higher else "lower is better: "
            yield "acceptance", None, ""
            yield "acceptance.metrics", metrics, f"{better}what is good enough for you?"
            if kind.turns is Turns.PREFERENCE:
                why = "over the untouched model and the longer answer"
                yield "acceptance.over_baselines", {kind.draft.metric: {"min_gain": 0.05}}, why

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

    def _answer(self) -> Iterator[Line]:
        """Yield the key of `data` that says where the answer is; none where the shape of the rows does."""
        plan, guess, kind = self.plan, self.plan.guess, self.plan.kind
        if kind.has_labels:
            relabel, scale = plan.relabelled(), plan.bins()
            bins = {name: {end: bound} for name, end, bound in scale}
            separator = guess.separator if guess.separator != "," else ""
            keys = {"relabel": relabel, "bins": bins, "separator": separator}
            label = {"column": guess.label} | {key: one for key, one in keys.items() if one}
            why = "labels that are spelled in several ways" if relabel else ""
            if relabel and all(
                normalize("NFC", x) == normalize("NFC", y) for x, y in relabel.items()
            ):
                why = "written in two forms of Unicode, which look the same: as NFC and as NFD"
            yield (
                "data.label",
                label,
                "the outer thirds: rows between are left out" if scale else why,
            )
        elif guess.spans is not None:
            spans = {key: getattr(guess.spans, key) for key in ("column", "name", "start", "end")}
            spans["of"] = guess.text
            yield "data.answer", {"spans": spans}, "marked stretches of the text"
        elif guess.properties:
            yield "data.answer", {"column": guess.label}, "a JSON object"
        elif kind.answer is AnswerForm.OBJECT:
            fields = {name: name for name in guess.fields}
            yield "data.answer", {"fields": fields}, "field of the answer: column"
        elif guess.turns is not None:
            turns = {key: getattr(guess.turns, key) for key in ("column", "role", "content")}
            yield "data.messages", {**turns, "roles": dict(guess.turns.roles)}, ""
        elif guess.pair:
            names = ("prompt", "chosen", "rejected")
            yield "data.pair", dict(zip(names, guess.pair, strict=True)), ""
        elif kind.columns_key == "answer" and not guess.shape:
            yield "data.answer", {"column": guess.label}, ""

    def _sources(self, sources: list[Section]) -> Iterator[str]:
        whys = [one.why if one.says_format or one.header else "" for one in self.plan.readings]
        line = f"  sources: {spelled_in_flow(sources)}"
        if len(sources) > MOST_SOURCES or (len(sources) == 1 and len(line) <= WIDTH):
            yield _aside(line, whys[0])
            return
        yield "  sources:"
        for source, why in zip(sources, whys, strict=True):
            yield _aside(f"    - {spelled_in_flow(source)}", why)

    def _source(self, reading: Reading) -> Section:
        found: Section = {
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

    def _splits(self) -> tuple[Section, str]:
        plan, sizes = self.plan, self.plan.sizes
        if plan.by_files:
            rest = {} if "validation" in plan.by_split else {"validation": sizes.validation}
            way = {"column": plan.guess.split} if plan.guess.split else "files"
            return {"by": way, **rest}, "the data says which rows are for what"
        why = "the holdout only judges"
        by: Section = {"by": "stratified" if plan.kind.has_labels else "random"}
        evaluated = {"holdout": sizes.holdout}
        if sizes.folds:
            evaluated, why = (
                {"folds": sizes.folds},
                f"each row judges once: {sizes.folds} trainings",
            )
        if group := plan.kind.group or (plan.group.name if plan.group else ""):
            # A kind whose rows belong together divides by its group by itself.
            by = {} if plan.kind.group else {"by": {"group": group}}
            why = f"rows of one {group} stay together"
        return {**by, "train": "all", "validation": sizes.validation, **evaluated}, why


def _line(value: object) -> str:
    text = "" if isinstance(value, list | Mapping) else spelled(value)
    return text if text and "\n" not in text else spelled_in_flow(value)


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, 36 - len(line))}# {comment}"
    return written if comment and len(written) <= 125 else line


def _relative(file: Path, target: Path) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any platform.
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()
