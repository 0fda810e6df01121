"""One comment for a pull request: a table of all changed recipes, then a part for each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.evidence.review import Checked, Comment, Effect, Finding, Gate
from engine.recipe.outside import CODES as OUTSIDE
from engine.render.blocks import capital
from engine.render.markdown import code, plain, prose, table
from engine.render.number_format import counted
from engine.render.problems import in_order, problems_json
from engine.render.review.rows import (
    GATES,
    finding_json,
    finding_rows,
    gate_markdown,
    rest_markdown,
    review_json,
)
from engine.values import replace, to_json

_SHOWN: Final = ("path", "status", "was", "why", "plan", "notes", "uncompared", "reaches")
"""Fields of a checked recipe that stand in the JSON as they are."""
MARKER: Final = "<!-- recipe ci -->"
"""The first line, by which a bot finds its comment again."""
SCHEMA: Final = "ci.v1"
MOST: Final = 60_000
"""Characters: hosts refuse comments of more than 65,536."""
MOST_ROWS: Final = 20
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
    # Recipes of which the same is found, word for word, are one part.
    alike: dict[str, list[Checked]] = {}
    for one in ordered:
        alike.setdefault("\n\n".join(_part(one)), []).append(one)
    size, left = sum(map(len, parts)), 0
    for text, together in alike.items():
        paths = [
            code(one.path) + (f" (was {code(one.was)})" if one.was else "") for one in together
        ]
        head = paths[0] if len(paths) == 1 else f"{len(paths)} recipes alike\n\n{', '.join(paths)}"
        part = f"### {head}\n\n{text}"
        if size + len(part) > MOST:
            left += len(together)
        else:
            parts.append(part)
            size += len(part) + 2
    if left:
        parts.append(f"The comment would be too long: {left} more are in the table only.")
    against = f"{code(comment.base)} ({code(comment.commit[:12])})"
    parts.append(f"<sub>Compared with {against} by `recipe ci`.</sub>")
    return "\n\n".join(parts) + "\n"


def _first(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the first rows, and how many more there are."""
    more = len(rows) - MOST_ROWS
    shown = table(columns, rows[:MOST_ROWS])
    return f"{shown}\n\n{more} more: `recipe validate` names them all." if more > 0 else shown


def _reaches(comment: Comment) -> Iterator[str]:
    """The new reach of recipes outside their projects: it stands above all else, for a bound cannot undo it."""
    rows = [(one.path, what) for one in comment.checked for what in one.reaches]
    if rows:
        # Words that send something come before those that read.
        rows.sort(key=lambda row: (row[1].startswith("read "), row))
        yield "**⚠️ New outside the project.** A run does this only where its user allows it (`recipe trust`)."
        yield _first(["recipe", "what it would do"], [[*map(code, row)] for row in rows])


def _title(comment: Comment) -> str:
    """The first line: how many recipes changed and were compared; green only where no gate got weaker then."""
    count = len(comment.checked)
    compared = sum(checked.review is not None for checked in comment.checked)
    unsure = bool(comment.unknown) or any(checked.uncompared for checked in comment.checked)
    if not count:
        return f"🟡 No recipe changed; {UNSURE}" if unsure else "⚪ No recipe changed"
    states = Counter(map(_state, comment.checked))
    parts = [sentence.format(states[name]) for name, sentence in _STATES.items() if states[name]]
    if unsure:
        parts.append(UNSURE)
    if reaching := sum(bool(checked.reaches) for checked in comment.checked):
        verb = "reaches" if reaching == 1 else "reach"
        parts.append(f"{reaching} newly {verb} outside the project")
    # Of one recipe, the sentence about it says so.
    needs_none = compared == count or (count == 1 and parts)
    of_it = "" if needs_none else f", {compared or 'none'} compared"
    mark, well = ("🟢", "valid, and no gate got weaker") if compared else ("⚪", "valid")
    if parts:
        mark = "🔴" if any(states[name] for name in _RED) else "🟡"
    return f"{mark} {counted(count, 'recipe')} changed{of_it}: {' · '.join(parts) or well}"


def _state(checked: Checked) -> str:
    if not checked.is_valid:
        return "not valid"
    return "gone" if checked.status in _GONE and checked.gate is Gate.WEAKER else checked.gate.value


def _summary_row(checked: Checked) -> list[str]:
    gate, again, valid = "nothing to compare with", "everything", "yes"
    if checked.review is not None or checked.findings:
        shown, rows = GATES[checked.gate], finding_rows(_findings(checked))
        weaker = sum(row.effect == Effect.WEAKER.value for row in rows)
        count = f" ({weaker})" if weaker else ""
        more = " · not all compared" if checked.uncompared else ""
        gate = f"{shown.mark} {shown.title.removeprefix('The gate ')}{count}{more}"
    if not checked.is_valid:
        errors = sum(problem.severity is Severity.ERROR for problem in checked.problems)
        valid, gate, again = f"🔴 {counted(errors, 'error')}", "", ""
    elif checked.status in _GONE:
        valid, again = "", ""
    elif checked.review is not None and "data" not in checked.review.reruns[:1]:
        again = ", ".join(checked.review.reruns) or "nothing"
    return [code(checked.path), checked.status, valid, gate, again]


def _findings(checked: Checked) -> tuple[Finding, ...]:
    return (*checked.findings, *(checked.review.findings if checked.review else ()))


def _part(checked: Checked) -> Iterator[str]:
    """The part about one recipe; the gate stands open, the rest is folded."""
    if checked.status == "deleted":
        yield "The recipe was deleted: nothing judges its model any more."
    if checked.why:
        yield f"Its file is as before; what changed is {', '.join(map(prose, checked.why))}."
    yield from (f"_{prose(capital(note))}._" for note in checked.notes)
    if checked.problems:
        yield _problems(checked.problems)
    findings, gate = _findings(checked), GATES[checked.gate]
    if findings or checked.review is not None:
        yield f"**{gate.mark} {gate.title}**"
    yield from gate_markdown(findings, checked.review)
    rest = rest_markdown(checked.review) if checked.review else ""
    # of a recipe that was compared, only what a run would not have done before
    plan = "\n".join(f"- {prose(line)}" for line in checked.plan if line not in checked.plan_before)
    if rest:
        yield _folded("What else changes, and what runs again", rest)
    for what, why in checked.waived:
        yield f"Waived: {code(what)}. {prose(why)}"
    if plan:
        yield _folded(f"The plan{' changes' if checked.plan_before else ''}", plan)


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text.strip()}\n\n</details>"


def _problems(problems: tuple[Problem, ...]) -> str:
    # What a recipe would read and ask outside its project stands first: it is what a reviewer must see.
    ordered = sorted(in_order(problems), key=lambda problem: problem.code not in OUTSIDE)
    rows = []
    for problem in ordered:
        spot = problem.place and replace(problem.place, column=None).spot
        warning = "⚠️ " if problem.severity is Severity.WARNING else ""
        place = f"{warning}{plain(spot) if spot else ''}".rstrip()
        texts = map(prose, (problem.message, problem.hint or ""))
        rows.append([place, code(problem.code), code(problem.path), *texts])
    return _first(["where", "code", "key", "what is wrong", "what to do"], rows)


def comment_json(comment: Comment) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "base": comment.base,
        "commit": comment.commit,
        "recipes": [
            {
                **{name: to_json(getattr(checked, name)) for name in _SHOWN},
                "valid": checked.is_valid,
                "problems": problems_json(checked.problems)["problems"],
                "diff": review_json(checked.review) if checked.review else None,
                "gate": {
                    "verdict": checked.gate.value,
                    "findings": [finding_json(finding) for finding in checked.findings],
                },
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
