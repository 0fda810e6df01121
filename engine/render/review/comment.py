"""One comment for a pull request: a table of all changed recipes, then a part for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.evidence.review import Checked, Comment, Effect, Gate
from engine.recipe.outside import CODES as OUTSIDE
from engine.render.blocks import capital
from engine.render.markdown import code, plain, prose, table
from engine.render.number_format import counted
from engine.render.problems import in_order, problems_json
from engine.render.review.json import finding_json, review_json
from engine.render.review.markdown import gate_table, rest_markdown, uncompared_markdown
from engine.render.review.rows import GATES, ChangedRow, finding_row, gate_rows

MARKER: Final = "<!-- recipe ci -->"
"""The first line, by which a bot finds its comment again."""
SCHEMA: Final = "ci.v1"
MOST: Final = 60_000
"""Characters: hosts refuse comments of more than 65,536."""
MOST_PROBLEMS: Final = 20
_NOTHING = "nothing to compare with"
_GONE: Final = ("deleted", "no longer a recipe", "not looked at")
"""States in which there is no version to validate."""
_STATES: Final = {
    "not valid": "{} not valid",
    Gate.WEAKER.value: "the gate got weaker in {}",
    "gone": "{} gone, and with it what judges its model",
    Gate.UNKNOWN.value: "not known in {} whether the gate got weaker",
    Gate.WAIVED.value: "the gate got weaker as waived in {}",
}
_RED: Final = ("not valid", Gate.WEAKER.value, "gone")
UNSURE: Final = "not everything could be compared"


def comment_markdown(comment: Comment) -> str:
    """The whole comment; parts that would make it too long are left out, and counted."""
    head = [MARKER, f"## {_title(comment)}"]
    if comment.checked:
        head.append(_summary(comment))
    head += [prose(f"{capital(note)}.") for note in comment.notes]
    foot = f"<sub>Compared with {code(comment.base)} ({code(comment.commit[:12])}) by `recipe ci`.</sub>"
    parts, size, left = list(head), sum(map(len, head)) + len(foot), 0
    # The gravest come first, so that what is left out for its length is the least of it.
    for together in _alike(_alarms_first(comment)):
        part = "\n\n".join((_heading(together), *_part(together[0])))
        if size + len(part) > MOST:
            left += len(together)
            continue
        parts.append(part)
        size += len(part) + 2
    if left:
        parts.append(f"The comment would be too long: {left} more are in the table only.")
    return "\n\n".join([*parts, foot]) + "\n"


def _alike(checked: Sequence[Checked]) -> Iterator[list[Checked]]:
    """Yield the recipes of which the same is found together: one cause, such as a parent, is one part."""
    parts: dict[tuple[str, ...], list[Checked]] = {}
    for one in checked:
        parts.setdefault(tuple(_part(one)), []).append(one)
    yield from parts.values()


def _heading(together: Sequence[Checked]) -> str:
    first, *more = together
    was = f" (was {code(first.was)})" if first.was else ""
    if not more:
        return f"### {code(first.path)}{was}"
    return f"### {len(together)} recipes alike\n\n{', '.join(code(one.path) for one in together)}"


def _title(comment: Comment) -> str:
    """The first line: how many recipes changed and were compared; green only where no gate got weaker then."""
    count, compared = len(comment.checked), sum(map(_is_compared, comment.checked))
    unsure = bool(comment.unknown) or any(checked.uncompared for checked in comment.checked)
    if not count:
        return f"🟡 No recipe changed; {UNSURE}" if unsure else "⚪ No recipe changed"
    gates = Counter(_state(checked) for checked in comment.checked)
    parts = [sentence.format(gates[state]) for state, sentence in _STATES.items() if gates[state]]
    parts += [UNSURE] if unsure else []
    # Of one recipe, the sentence about it says so.
    is_said = compared == count or (count == 1 and parts)
    of_it = "" if is_said else f", {compared or 'none'} compared"
    mark = "🟢" if compared else "⚪"
    mark = "🔴" if any(gates[state] for state in _RED) else "🟡" if parts else mark
    well = "valid, and no gate got weaker" if compared else "valid"
    return f"{mark} {counted(count, 'recipe')} changed{of_it}: {' · '.join(parts) or well}"


def _is_compared(checked: Checked) -> bool:
    return checked.review is not None


def _state(checked: Checked) -> str:
    """What the first line counts a recipe as."""
    if not checked.is_valid:
        return "not valid"
    return "gone" if checked.status in _GONE and checked.gate is Gate.WEAKER else checked.gate.value


def _summary(comment: Comment) -> str:
    columns = ["recipe", "what happened", "valid", "the gate", "runs again"]
    return table(columns, [_summary_row(checked) for checked in _alarms_first(comment)])


def _alarms_first(comment: Comment) -> list[Checked]:
    """What is not valid, then what got weaker, then the rest; each by path."""
    return sorted(
        comment.checked,
        key=lambda checked: (checked.is_valid, tuple(Gate).index(checked.gate), checked.path),
    )


def _summary_row(checked: Checked) -> list[str]:
    gate, again = _gate_cell(checked), "everything"
    errors = sum(problem.severity is Severity.ERROR for problem in checked.problems)
    valid = "yes" if checked.is_valid else f"🔴 {counted(errors, 'error')}"
    if checked.status in _GONE:
        valid, again = "", ""
    elif not checked.is_valid:
        gate, again = "", ""
    elif checked.review is not None:
        again = _again(checked.review.reruns)
    return [code(checked.path), checked.status, valid, gate, again]


def _again(stages: tuple[str, ...]) -> str:
    if not stages:
        return "nothing"
    return "everything" if stages[0] == "data" else ", ".join(stages)


def _gate_cell(checked: Checked) -> str:
    if checked.review is None and not checked.findings:
        return _NOTHING
    gate = GATES[checked.gate]
    weaker = sum(row.effect == Effect.WEAKER.value for row in _rows(checked))
    more = " · not all compared" if checked.uncompared else ""
    words = f"{gate.title.removeprefix('The gate ')}{f' ({weaker})' if weaker else ''}"
    return f"{gate.mark} {words}{more}"


def _rows(checked: Checked) -> list[ChangedRow]:
    """What is found of the gate without a comparison and with it."""
    compared = gate_rows(checked.review) if checked.review else ()
    return [*map(finding_row, checked.findings), *compared]


def _part(checked: Checked) -> Iterator[str]:
    """The part of one recipe below its heading; the gate stands open, the rest is folded."""
    if checked.status == "deleted":
        yield "The recipe was deleted: nothing judges its model any more."
    if checked.why:
        yield f"Its file is as before; what changed is {', '.join(map(prose, checked.why))}."
    yield from (f"_{prose(capital(note))}._" for note in checked.notes)
    if checked.problems:
        yield _problems(checked.problems)
    yield from _of_gate(checked)
    if checked.review is not None and (rest := rest_markdown(checked.review, level=4)):
        yield _folded("What else changes, and what runs again", rest)
    for what, why in checked.waived:
        yield f"Waived: {code(what)}. {prose(why)}"
    if checked.plan:
        yield _folded("The plan", "\n".join(f"- {prose(sentence)}" for sentence in checked.plan))


def _of_gate(checked: Checked) -> Iterator[str]:
    """What became of the gate, and what could not be compared."""
    rows = _rows(checked)
    if rows or checked.review is not None:
        gate = GATES[checked.gate]
        yield f"**{gate.mark} {gate.title}**"
    if rows:
        yield gate_table(rows)
    if checked.uncompared:
        yield uncompared_markdown(checked.uncompared)


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text.strip()}\n\n</details>"


def _problems(problems: tuple[Problem, ...]) -> str:
    # What a recipe would read and ask outside its project stands first: it is what a reviewer must see.
    ordered = sorted(in_order(problems), key=lambda problem: problem.code not in OUTSIDE)
    rows = []
    for problem in ordered[:MOST_PROBLEMS]:
        names, texts = (problem.code, problem.path), (problem.message, problem.hint or "")
        rows.append([_place(problem), *map(code, names), *map(prose, texts)])
    shown = table(["where", "code", "key", "what is wrong", "what to do"], rows)
    more = len(ordered) - MOST_PROBLEMS
    return f"{shown}\n\n{more} more: `recipe validate` tells them all." if more > 0 else shown


def _place(problem: Problem) -> str:
    warning = "⚠️" if problem.severity is Severity.WARNING else ""
    spot = problem.place and replace(problem.place, column=None).spot
    return f"{warning} {plain(spot)}".lstrip() if spot else warning


def comment_json(comment: Comment) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema": SCHEMA,
        "base": comment.base,
        "commit": comment.commit,
        "recipes": [
            {
                "path": checked.path,
                "status": checked.status,
                "was": checked.was,
                "why": list(checked.why),
                "valid": checked.is_valid,
                "problems": problems_json(checked.problems)["problems"],
                "plan": list(checked.plan),
                "notes": list(checked.notes),
                "diff": review_json(checked.review) if checked.review else None,
                "gate": {
                    "verdict": checked.gate.value,
                    "findings": [finding_json(finding) for finding in checked.findings],
                },
                "uncompared": list(checked.uncompared),
                "waived": [{"what": what, "why": why} for what, why in checked.waived],
            }
            for checked in comment.checked
        ],
        "notes": list(comment.notes),
        "unknown": comment.unknown,
    }


def failure_markdown(problems: tuple[Problem, ...]) -> str:
    """The comment where nothing could be compared: it takes the place of an earlier checked that was green."""
    return "\n\n".join([MARKER, "## 🔴 Nothing was compared", _problems(problems)]) + "\n"
