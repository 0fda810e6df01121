"""The text of a draft: each line a guess, a comment next to those that are not plain, at most 25 lines."""

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
MOST_SOURCES: Final = 3
"""Sources that get a line each."""
OVER_LINES: Final = ("task", "base_model", "data", "acceptance")
"""Sections whose keys get a line each; what is below them is written in braces."""
PARAGRAPHS: Final = ("task", "base_model", "data", "splits")
"""Keys before which there is a blank line, where there is room for all of them."""
LONGEST_NAME: Final = 40
"""Characters of the file's name in the first line."""
Section = dict[str, Any]


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
        whys = self._whys()
        for key, value in self._recipe().items():
            if key in PARAGRAPHS:
                lines.append("")
            if key not in OVER_LINES:
                lines.append(_aside(f"{key}: {_line(value)}", whys.get(key, "")))
                continue
            lines.append(_aside(f"{key}:", whys.get(key, "")))
            for name, below in value.items():
                if name == "sources":
                    lines += self._sources(below)
                else:
                    lines.append(_aside(f"  {name}: {_line(below)}", whys.get(f"{key}.{name}", "")))
        if len(lines) > MOST_LINES:
            lines = list(filter(None, lines))
        return "\n".join(lines) + "\n"

    def _recipe(self) -> Section:
        plan, kind = self.plan, self.plan.kind
        name = re.sub(r"[^a-z0-9_-]+", "-", (self.name.split(".")[0] or "draft").lower())
        model = self.model
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        checks = plan.all_checks()
        method: Section = {"kind": "lora", "max_length": plan.max_length()[0]}
        if plan.guess.shape == "kto":
            # The other losses learn from pairs, and the usual one of them is the default.
            method["preference"] = {"loss": "kto"}
        recipe: Section = {
            "recipe": "v1",
            "name": (name.strip("-_") or "draft")[:64],
            "description": kind.draft.description.replace("{word}", plan.word),
            "task": self._task(),
            "base_model": reference_mapping(model),
            "data": {
                "sources": [self._source(reading) for reading in plan.readings],
                **self._answer(),
                "checks": {check: action for check, (action, _) in checks.items()},
            },
            "splits": self._splits(),
            "method": method,
        }
        if metrics := plan.metrics():
            recipe["acceptance"] = {"metrics": metrics}
            if kind.turns is Turns.PREFERENCE:
                gain = {kind.draft.metric: {"min_gain": 0.05}}
                recipe["acceptance"]["over_baselines"] = gain
        return recipe

    def _task(self) -> Section:
        plan, guess = self.plan, self.plan.guess
        task: Section = {"kind": guess.kind}
        if asked := plan.instruction():
            task["instruction"] = asked
        if guess.system:
            task["system"] = guess.system
        if guess.text and not guess.shape and guess.texts != ("text",):
            task["input"] = "\n".join(f"{{{name}}}" for name in guess.texts)
        if plan.kind.has_labels:
            task["labels"] = plan.labels()
        if plan.kind.answer is AnswerForm.OBJECT:
            properties = dict(self._properties())
            task["schema"] = {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
            }
        return task

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

    def _answer(self) -> Section:
        """Return the key of `data` that says where the answer is; none where the shape of the rows does."""
        guess, kind = self.plan.guess, self.plan.kind
        if kind.has_labels:
            label: Section = {"column": guess.label}
            if relabel := self.plan.relabelled():
                label["relabel"] = relabel
            if scale := self.plan.bins():
                label["bins"] = {name: {end: bound} for name, end, bound in scale}
            if guess.separator and guess.separator != ",":
                label["separator"] = guess.separator
            return {"label": label}
        if guess.spans is not None:
            spans = {key: getattr(guess.spans, key) for key in ("column", "name", "start", "end")}
            return {"answer": {"spans": {**spans, "of": guess.text}}}
        if kind.answer is AnswerForm.OBJECT and not guess.properties:
            return {"answer": {"fields": {name: name for name in guess.fields}}}
        if guess.turns is not None:
            turns = {key: getattr(guess.turns, key) for key in ("column", "role", "content")}
            return {"messages": {**turns, "roles": dict(guess.turns.roles)}}
        if guess.pair:
            names = ("prompt", "chosen", "rejected")
            return {"pair": dict(zip(names, guess.pair, strict=True))}
        is_column = kind.columns_key == "answer" and not guess.shape
        return {"answer": {"column": guess.label}} if is_column or guess.properties else {}

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

    def _splits(self) -> Section:
        plan, sizes = self.plan, self.plan.sizes
        if plan.by_files:
            rest = {} if "validation" in plan.by_split else {"validation": sizes.validation}
            return {"by": {"column": plan.guess.split} if plan.guess.split else "files", **rest}
        by: Section = {"by": "stratified" if plan.kind.has_labels else "random"}
        if plan.kind.group:
            by = {}
        elif plan.group:
            by = {"by": {"group": plan.group.name}}
        evaluated = {"folds": sizes.folds} if sizes.folds else {"holdout": sizes.holdout}
        return {**by, "train": "all", "validation": sizes.validation, **evaluated}

    def _whys(self) -> dict[str, str]:
        """Return the comment next to each line that has one, by its path."""
        plan, guess = self.plan, self.plan.guess
        checks, relabel, folds = plan.all_checks(), plan.relabelled(), plan.sizes.folds
        check = next((why for _, why in checks.values()), "")
        if len(checks) > 1:
            is_warned = any(action == "warn" for action, _ in checks.values())
            check = f"drop leaves such rows out{', warn only tells of them' if is_warned else ''}"
        label = "labels that are spelled in several ways" if relabel else ""
        if all(normalize("NFC", one) == normalize("NFC", new) for one, new in relabel.items()):
            forms = "written in two forms of Unicode, which look the same: as NFC and as NFD"
            label = forms if relabel else ""
        answers = (
            (guess.spans, "marked stretches of the text"),
            (guess.properties, "a JSON object"),
            (guess.fields, "field of the answer: column"),
        )
        answer = next((why for found, why in answers if found), "")
        splits = "the holdout only judges"
        group = plan.kind.group or (plan.group.name if plan.group else "")
        if plan.by_files:
            splits = "the data says which rows are for what"
        elif group:
            splits = f"rows of one {group} stay together"
        elif folds:
            splits = f"each row judges once: {folds} trainings"
        is_own = isinstance(self.model, HubRef | PathRef)
        lower = (
            "" if any("min" in ends for ends in plan.metrics().values()) else "lower is better: "
        )
        return {
            "task.instruction": plan.why_instruction(),
            "base_model": "" if is_own else "small enough for a CPU; any other: --base-model",
            "data.label": "the outer thirds: rows between are left out" if plan.bins() else label,
            "data.answer": answer,
            "data.checks": check,
            "splits": splits,
            "method": "tokens, from the longest row",
            "acceptance.metrics": f"{lower}what is good enough for you?",
            "acceptance.over_baselines": "over the untouched model and the longer answer",
        }


def _line(value: object) -> str:
    text = "" if isinstance(value, list | Mapping) else spelled(value)
    return text if text and "\n" not in text else spelled_in_flow(value)


def _aside(line: str, comment: str) -> str:
    written = f"{line}{' ' * max(2, 36 - len(line))}# {comment}"
    return written if comment and len(written) <= 125 else line


def _relative(file: Path, target: Path) -> str:
    # Relative to the recipe, with slashes: it works wherever the folder is moved, and on any platform.
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()
