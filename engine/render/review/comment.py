"""One comment for a pull request: a table of all changed recipes, then a part for each."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.evidence.review import Checked, Comment, Effect, Gate
from engine.recipe.outside import CODES as OUTSIDE
from engine.render.blocks import capital
from engine.render.markdown import code, plain, prose, table
from engine.render.number_format import counted
from engine.render.problems import in_order, problems_json
from engine.render.review.rows import (
    GATES,
    ChangedRow,
    finding_json,
    finding_row,
    gate_rows,
    gate_table,
    rest_markdown,
    review_json,
    uncompared_markdown,
)
from engine.render.styled_text import printable
from engine.values import replace

MARKER: Final = "<!-- recipe ci -->"
"""The first line, by which a bot finds its comment again."""
SCHEMA: Final = "ci.v1"
MOST: Final = 60_000
"""Characters: hosts refuse comments of more than 65,536."""
MOST_PROBLEMS: Final = 20
MOST_WORDS: Final = 3
"""Recipes alike whose own numbers stand in a finding."""
_NOTHING = "nothing to compare with"
_GONE: Final = ("deleted", "no longer a recipe", "not looked at")
"""States in which there is no version to validate."""
_STATES: Final = {
    "not valid": "{} not valid",
    Gate.WEAKER.value: "the gate got weaker in {}",
    "gone": "{} gone, and with it what judges its model",
    Gate.UNKNOWN.value: "not known in {} whether the gate got weaker",
    Gate.REDRAWN.value: "the holdout is redrawn in {}",
    Gate.WAIVED.value: "the gate got weaker as waived in {}",
}
_RED: Final = ("not valid", Gate.WEAKER.value, "gone")
UNSURE: Final = "not everything could be compared"


def comment_markdown(comment: Comment) -> str:
    """The whole comment; parts that would make it too long are left out, and counted."""
    # The gravest come first: what is not valid, then what got weaker, then the rest, each by path.
    ordered = sorted(
        comment.checked,
        key=lambda checked: (checked.is_valid, tuple(Gate).index(checked.gate), checked.path),
    )
    parts = [MARKER, f"## {_title(comment)}", *_reaches(comment)]
    if ordered:
        columns = ["recipe", "what happened", "valid", "the gate", "runs again"]
        parts.append(table(columns, map(_summary_row, ordered)))
    parts += [prose(f"{capital(note)}.") for note in comment.notes]
    foot = f"<sub>Compared with {code(comment.base)} ({code(comment.commit[:12])}) by `recipe ci`.</sub>"
    # Recipes of which the same is found, of one cause such as a parent, are one part.
    alike: dict[tuple[object, ...], list[Checked]] = {}
    for one in ordered:
        alike.setdefault(_cause(one), []).append(one)
    size, left = sum(map(len, parts)) + len(foot), 0
    for together in alike.values():
        part = "\n\n".join(_part(together))
        if size + len(part) > MOST:
            left += len(together)
            continue
        parts.append(part)
        size += len(part) + 2
    if left:
        parts.append(f"The comment would be too long: {left} more are in the table only.")
    return "\n\n".join([*parts, foot]) + "\n"


def _reaches(comment: Comment) -> Iterator[str]:
    """What recipes name outside their projects and did not before: above all else, for a bound cannot undo it."""
    rows = [(one.path, what) for one in comment.checked for what in one.reaches]
    if not rows:
        return
    # Words that send something come before those that read.
    rows.sort(key=lambda row: (row[1].startswith("read "), row))
    yield "**⚠️ New outside the project.** A run does this only where its user allows it (`recipe trust`)."
    more = len(rows) - MOST_PROBLEMS
    listed = table(
        ["recipe", "what it would do"], [[*map(code, row)] for row in rows[:MOST_PROBLEMS]]
    )
    yield f"{listed}\n\n{more} more: `recipe validate` names them all." if more > 0 else listed


def _cause(checked: Checked) -> tuple[object, ...]:
    """What was done to a recipe and found of it, whatever the numbers of its rows and of its plan are."""
    rows = tuple(replace(row, says="") for row in _rows(checked))
    problems = _problems(checked.problems) if checked.problems else ""
    review = checked.review
    changes = (*review.changes, *review.notes) if review else checked.plan
    more = (checked.why, checked.notes, checked.uncompared, checked.waived, checked.reaches)
    return (checked.status, bool(checked.was), review is None, rows, problems, changes, *more)


def _title(comment: Comment) -> str:
    """The first line: how many recipes changed and were compared; green only where no gate got weaker then."""
    count = len(comment.checked)
    compared = sum(checked.review is not None for checked in comment.checked)
    unsure = bool(comment.unknown) or any(checked.uncompared for checked in comment.checked)
    if not count:
        return f"🟡 No recipe changed; {UNSURE}" if unsure else "⚪ No recipe changed"
    gates = Counter(_state(checked) for checked in comment.checked)
    parts = [sentence.format(gates[state]) for state, sentence in _STATES.items() if gates[state]]
    parts += [UNSURE] if unsure else []
    reaching = sum(bool(checked.reaches) for checked in comment.checked)
    parts += [f"{reaching} newly reach{'es' if reaching == 1 else ''} outside the project"] * bool(
        reaching
    )
    # Of one recipe, the sentence about it says so.
    needs_none = compared == count or (count == 1 and parts)
    of_it = "" if needs_none else f", {compared or 'none'} compared"
    mark = "🟢" if compared else "⚪"
    mark = "🔴" if any(gates[state] for state in _RED) else "🟡" if parts else mark
    well = "valid, and no gate got weaker" if compared else "valid"
    return f"{mark} {counted(count, 'recipe')} changed{of_it}: {' · '.join(parts) or well}"


def _state(checked: Checked) -> str:
    if not checked.is_valid:
        return "not valid"
    return "gone" if checked.status in _GONE and checked.gate is Gate.WEAKER else checked.gate.value


def _summary_row(checked: Checked) -> list[str]:
    gate, again = _NOTHING, "everything"
    if checked.review is not None or checked.findings:
        shown = GATES[checked.gate]
        weaker = sum(row.effect == Effect.WEAKER.value for row in _rows(checked))
        more = " · not all compared" if checked.uncompared else ""
        words = f"{shown.title.removeprefix('The gate ')}{f' ({weaker})' if weaker else ''}"
        gate = f"{shown.mark} {words}{more}"
    errors = sum(problem.severity is Severity.ERROR for problem in checked.problems)
    valid = "yes" if checked.is_valid else f"🔴 {counted(errors, 'error')}"
    if checked.status in _GONE:
        valid, again = "", ""
    elif not checked.is_valid:
        gate, again = "", ""
    elif checked.review is not None and "data" not in checked.review.reruns[:1]:
        again = ", ".join(checked.review.reruns) or "nothing"
    return [code(checked.path), checked.status, valid, gate, again]


def _rows(checked: Checked) -> list[ChangedRow]:
    compared = gate_rows(checked.review) if checked.review else ()
    return [*map(finding_row, checked.findings), *compared]


def _part(together: Sequence[Checked]) -> Iterator[str]:
    """The part of recipes alike; the gate stands open, the rest, of the first, is folded."""
    checked = together[0]
    if len(together) > 1:
        yield f"### {len(together)} recipes alike"
        yield ", ".join(code(one.path) for one in together)
    else:
        yield f"### {code(checked.path)}{f' (was {code(checked.was)})' if checked.was else ''}"
    if checked.status == "deleted":
        yield "The recipe was deleted: nothing judges its model any more."
    if checked.why:
        yield f"Its file is as before; what changed is {', '.join(map(prose, checked.why))}."
    yield from (f"_{prose(capital(note))}._" for note in checked.notes)
    if checked.problems:
        yield _problems(checked.problems)
    rows, gate = _joined_rows(together), GATES[checked.gate]
    if rows or checked.review is not None:
        yield f"**{gate.mark} {gate.title}**"
    if rows:
        yield gate_table(rows)
    if checked.uncompared:
        yield uncompared_markdown(checked.uncompared)
    rests = [rest_markdown(one.review, level=4) if one.review else "" for one in together]
    yield from _folded("What else changes, and what runs again", together, rests)
    for what, why in checked.waived:
        yield f"Waived: {code(what)}. {prose(why)}"
    # of a recipe that was compared, only what a run would not have done before
    plans = [
        "\n".join(f"- {prose(line)}" for line in one.plan if line not in one.plan_before)
        for one in together
    ]
    yield from _folded(f"The plan{' changes' if checked.plan_before else ''}", together, plans)


def _folded(title: str, together: Sequence[Checked], texts: Sequence[str]) -> Iterator[str]:
    """The text of the first recipe, and that it is the first one's where those of the others are not the same."""
    if texts[0]:
        if len(set(texts)) > 1:
            path = html.escape(printable(together[0].path))
            title += f", in <code>{path}</code>: numbers of the others differ"
        yield f"<details><summary>{title}</summary>\n\n{texts[0].strip()}\n\n</details>"


def _joined_rows(together: Sequence[Checked]) -> list[ChangedRow]:
    """The findings of recipes alike; where their words differ, some of them by recipe."""
    found = []
    for rows in zip(*map(_rows, together), strict=True):
        words = {row.says: one.path for one, row in reversed([*zip(together, rows, strict=True)])}
        if len(words) > 1:
            shown = [f"{path}: {says}" for says, path in reversed(words.items())][:MOST_WORDS]
            more = f"; and {len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
            found.append(replace(rows[0], says="; ".join(shown) + more))
        else:
            found.append(rows[0])
    return found


def _problems(problems: tuple[Problem, ...]) -> str:
    # What a recipe would read and ask outside its project stands first: it is what a reviewer must see.
    ordered = sorted(in_order(problems), key=lambda problem: problem.code not in OUTSIDE)
    rows = []
    for problem in ordered[:MOST_PROBLEMS]:
        names, texts = (problem.code, problem.path), (problem.message, problem.hint or "")
        spot = problem.place and replace(problem.place, column=None).spot
        warning = "⚠️ " if problem.severity is Severity.WARNING else ""
        place = f"{warning}{plain(spot) if spot else ''}".rstrip()
        rows.append([place, *map(code, names), *map(prose, texts)])
    shown = table(["where", "code", "key", "what is wrong", "what to do"], rows)
    more = len(ordered) - MOST_PROBLEMS
    return f"{shown}\n\n{more} more: `recipe validate` tells them all." if more > 0 else shown


def comment_json(comment: Comment) -> dict[str, Any]:
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
                "reaches": list(checked.reaches),
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
