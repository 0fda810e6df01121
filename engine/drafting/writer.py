"""The text of a draft: every line a guess, beside those that are not plain why."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.drafting.plan import Plan, bins, labels, relabelled
from engine.drafting.sizes import FEW_ROWS, max_length_for, reachable, threshold_for
from engine.drafting.turns import Turns
from engine.recipe.layout import formatted
from engine.recipe.model import HubRef, PathRef, Reference
from engine.recipe.source import parse_source
from engine.recipe.written import reference_mapping, spelled

ASIDE: Final = 36
"""Column of the comments beside lines."""
MANY_CLASSES: Final = 12
LABELLED: Final = ("classification", "multilabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes the plan of a draft as the recipe that it stands for."""

    plan: Plan
    file: Path
    target: Path
    model: Reference

    def text(self) -> str:
        """The recipe, laid out as `recipe fmt` does."""
        lines = "\n".join(self._lines()) + "\n"
        return formatted(lines, parse_source(lines.encode(), self.target))

    def _lines(self) -> Iterator[str]:
        name = re.sub(r"[^a-z0-9_-]+", "-", self._stem().lower()).strip("-_") or "draft"
        yield f"# Drafted from {self.file.name}: every line is a guess, to be checked and changed. What is not"
        yield "# written has a default; `recipe schema method.rank` explains any key."
        yield ""
        yield "recipe: v1"
        yield f"name: {spelled(name[:64])}"
        yield f"description: {spelled(self._description())}"
        yield ""
        yield from self._task()
        yield ""
        yield from self._base_model()
        yield ""
        yield from self._data()
        yield ""
        yield from self._splits()
        yield ""
        yield from self._method()
        yield ""
        yield from self._acceptance()

    def _stem(self) -> str:
        return self.file.name.split(".")[0] or "draft"

    def _description(self) -> str:
        guess_ = self.plan.guess
        return {
            "classification": f"Tell the {guess_.label} of a text.",
            "multilabel": f"Tell the {guess_.label} of a text.",
            "extraction": "Take a text apart into its fields.",
            "generation": "Answer as the examples do.",
            "chat": "Answer as the conversations do.",
            "preference": "Prefer the answers that people chose.",
        }.get(guess_.kind, "Write as the examples are written.")

    def _task(self) -> Iterator[str]:
        guess_ = self.plan.guess
        yield "task:"
        yield f"  kind: {guess_.kind}"
        instruction = self._instruction()
        if instruction:
            yield _aside(f"  instruction: {spelled(instruction)}", "what the model is asked")
        if guess_.text and not guess_.shape and guess_.text != "text":
            yield f"  input: {spelled('{' + guess_.text + '}')}"
        if guess_.kind in ("classification", "multilabel"):
            yield f"  labels: [{', '.join(_in_list(label) for label in labels(self.plan))}]"
        if guess_.kind == "extraction":
            yield "  schema:"
            yield "    type: object"
            yield "    properties:"
            for key, schema in self._properties():
                yield f"      {spelled(key)}: {schema}"
            yield "    additionalProperties: false"

    def _instruction(self) -> str:
        guess_ = self.plan.guess
        if guess_.kind == "classification":
            return f"Which {self._word()} is it: {{labels}}?"
        if guess_.kind == "multilabel":
            return f"Which of these {self._word()} apply: {{labels}}?"
        return "Take the text apart into its fields." if guess_.kind == "extraction" else ""

    def _word(self) -> str:
        last = self.plan.guess.label.rsplit(".", 1)[-1]
        return last.replace("_", " ") if re.fullmatch(r"[A-Za-z_ ]{2,30}", last) else "label"

    def _properties(self) -> Iterator[tuple[str, str]]:
        guess_ = self.plan.guess
        if guess_.spans is not None:
            for name in guess_.spans.names:
                yield name, "{type: string}"
            return
        for name in guess_.fields:
            column = self.plan.profile.columns[name]
            whole = column.is_number and all(
                re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values
            )
            if column.lists:
                yield name, "{}"
            else:
                yield name, "{type: integer}" if whole else "{type: string}"

    def _base_model(self) -> Iterator[str]:
        model = self.model
        if isinstance(model, PathRef) and not Path(model.written).is_absolute():
            model = replace(model, written=_relative(model.path, self.target))
        keys = list(reference_mapping(model).items())
        yield (
            _aside("base_model:", "small enough for a CPU; any other: --base-model")
            if not isinstance(self.model, HubRef | PathRef)
            else "base_model:"
        )
        for key, value in keys:
            yield f"  {key}: {spelled(value)}"

    def _data(self) -> Iterator[str]:
        guess_ = self.plan.guess
        yield "data:"
        yield "  sources:"
        yield from self._sources()
        if guess_.kind in ("classification", "multilabel"):
            yield from self._label()
        elif guess_.kind == "extraction":
            yield from self._answer()
        elif guess_.turns is not None:
            yield from self._messages(guess_.turns)
        elif guess_.kind == "generation" and not guess_.shape:
            yield "  answer:"
            yield f"    column: {spelled(guess_.label)}"
        yield from self._checks()

    def _sources(self) -> Iterator[str]:
        path = _relative(self.file, self.target)
        for reading in self.plan.readings:
            yield f"    - path: {spelled(path)}"
            if reading.says_format:
                yield _aside(f"      format: {reading.format}", reading.why)
            if reading.header:
                names = ", ".join(_in_list(name) for name in reading.header)
                yield _aside(f"      header: [{names}]", "names of your choice: the file has none")
            if reading.encoding != "utf-8":
                yield f"      encoding: {reading.encoding}"
            if reading.records:
                yield f"      records: {spelled(reading.records)}"
            if self.plan.by_files:
                yield f"      into: {reading.into}"

    @staticmethod
    def _messages(turns: Turns) -> Iterator[str]:
        yield "  messages:"
        for key in ("column", "role", "content"):
            yield f"    {key}: {spelled(getattr(turns, key))}"
        yield "    roles:"
        for name, role in turns.roles:
            yield f"      {spelled(name)}: {role}"

    def _label(self) -> Iterator[str]:
        guess_ = self.plan.guess
        yield "  label:"
        yield f"    column: {spelled(guess_.label)}"
        if guess_.separator and guess_.separator != ",":
            yield f"    separator: {spelled(guess_.separator)}"
        scale, relabel = bins(self.plan), relabelled(self.plan)
        if scale:
            yield _aside(
                "    bins:", "the lowest and the highest third; what lies between is left out"
            )
            for label, end, bound in scale:
                yield f"      {label}: {{{end}: {bound:g}}}"
        if relabel:
            yield _aside("    relabel:", "spelled in several ways")
            for value, label in relabel.items():
                yield f"      {spelled(value)}: {spelled(label)}"

    def _answer(self) -> Iterator[str]:
        guess_ = self.plan.guess
        yield "  answer:"
        if guess_.spans is None:
            yield _aside("    fields:", "field of the answer: column")
            for name in guess_.fields:
                yield f"      {spelled(name)}: {spelled(name)}"
            return
        spans = guess_.spans
        yield "    spans:"
        for key, value in (
            ("column", spans.column), ("name", spans.name), ("start", spans.start),
            ("end", spans.end), ("of", guess_.text),
        ):  # fmt: skip
            yield f"      {key}: {spelled(value)}"

    def _checks(self) -> Iterator[str]:
        checks = dict(self.plan.checks)
        if not self._max_length()[1]:
            checks["truncation"] = ("drop", "the longest rows may not fit max_length")
        if not checks:
            return
        yield "  checks:"
        for check, (action, why) in checks.items():
            yield _aside(f"    {check}: {action}", why)

    def _splits(self) -> Iterator[str]:
        plan = self.plan
        yield "splits:"
        if plan.by_files:
            yield _aside("  by: files", "the file says which rows are for what")
            if "validation" not in plan.profile.by_split:
                yield f"  validation: {plan.sizes.validation}"
            return
        by = "stratified" if plan.guess.kind in ("classification", "multilabel") else "random"
        yield f"  by: {by}"
        yield _aside("  train: all", "all that is left")
        yield f"  validation: {plan.sizes.validation}"
        yield _aside(f"  holdout: {plan.sizes.holdout}", "judges the model; never trained on")

    def _method(self) -> Iterator[str]:
        yield "method:"
        yield "  kind: lora"
        yield "  epochs: 3"
        yield f"  max_length: {self._max_length()[0]}"

    def _max_length(self) -> tuple[int, bool]:
        return max_length_for(max((self._bytes(row) for row in self.plan.profile.kept), default=0))

    def _bytes(self, row: Mapping[str, Any]) -> int:
        guess_ = self.plan.guess
        asked = (
            len(self._instruction()) if guess_.kind not in ("classification", "multilabel") else 0
        )
        if guess_.shape or guess_.kind == "extraction":
            return asked + len(str(row).encode("utf-8", "replace"))
        whole = sum(
            len(str(_at(row, name) or "").encode("utf-8", "replace"))
            for name in (guess_.text, guess_.label)
            if name
        )
        return whole + asked

    def _acceptance(self) -> Iterator[str]:
        guess_ = self.plan.guess
        rows = self.plan.profile.by_split.get("holdout", self.plan.sizes.holdout)
        metric, bound = _METRICS[guess_.kind], threshold_for(guess_.kind, self._count_labels())
        if guess_.kind == "preference":
            return
        yield "acceptance:"
        yield "  metrics:"
        if guess_.kind in ("chat", "text"):
            yield _aside(
                f"    {metric}: {{max: {bound:g}}}", "lower is better: what is good enough for you?"
            )
            return
        yield _aside(f"    {metric}: {{min: {bound:.2f}}}", "what is good enough for you?")
        if guess_.kind == "classification":
            yield f"    valid_output: {{min: {reachable(0.95, rows):.2f}}}"

    def _count_labels(self) -> int:
        return (
            len(labels(self.plan))
            if self.plan.guess.kind in ("classification", "multilabel")
            else 0
        )

    def reasons(self) -> Iterator[tuple[str, str, str]]:
        """Yield what was guessed, and why."""
        plan, guess_ = self.plan, self.plan.guess
        for reading in plan.readings[:1]:
            if reading.says_format or reading.header:
                yield "format", reading.format, reading.why
        yield "kind", guess_.kind, guess_.why_kind
        if guess_.text and not guess_.shape:
            yield "text", guess_.text, guess_.why_text
        if guess_.label and not guess_.shape:
            what = {"generation": "answer", "extraction": "fields"}.get(guess_.kind, "label")
            yield what, guess_.label, guess_.why_label
        if plan.by_files:
            counts = ", ".join(f"{count:,} {name}" for name, count in plan.profile.by_split.items())
            yield "splits", "files", f"the file holds {counts}"
        else:
            sizes = plan.sizes
            left = plan.profile.rows - sizes.validation - sizes.holdout
            yield (
                "splits",
                f"holdout {sizes.holdout}",
                f"of {plan.profile.rows:,} rows; {sizes.validation} for validation, about {left:,} left to train on",
            )
        for check, (action, why) in list(plan.checks.items())[1:]:
            yield f"checks.{check}", action, why
        length, _ = self._max_length()
        yield "max_length", str(length), "tokens, from the longest row; `recipe data` counts them"

    def notes(self) -> Iterator[str]:
        """Yield what the person should know."""
        rows = self.plan.profile.rows
        if rows < FEW_ROWS and not self.plan.by_files:
            held = self.plan.sizes.holdout
            yield f"{rows:,} rows are few: a holdout of {held} decides little"
            yield "`splits.folds` in its place judges every row once"
        if self.plan.guess.kind == "preference":
            yield "preference is read and checked; a whole run of it is not there yet"
        named = labels(self.plan) if self.plan.guess.kind == "classification" else []
        if named and all(label.lstrip("-").isdigit() for label in named):
            yield "the labels are numbers: `data.label.relabel` gives them words, which a model knows more about"


_METRICS: Final = {
    "classification": "macro_f1",
    "multilabel": "micro_f1",
    "extraction": "field_f1",
    "generation": "rouge_l",
    "chat": "perplexity",
    "text": "perplexity",
    "preference": "",
}


def _aside(line: str, comment: str) -> str:
    return f"{line}{' ' * max(2, ASIDE - len(line))}# {comment}" if comment else line


def _in_list(text: str) -> str:
    """Return a text as it may stand in a flow list."""
    plain = spelled(text)
    return plain if plain.startswith('"') or not re.search(r"[,\[\]{}]", plain) else f'"{text}"'


def _relative(file: Path, target: Path) -> str:
    return Path(os.path.relpath(file.absolute(), target.absolute().parent)).as_posix()


def _short(number: float) -> float:
    return float(f"{number:.3g}")


def _at(row: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - a value of a row
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, Sequence) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
