"""A challenge in words: for the terminal, and as a page."""

from __future__ import annotations

from engine.evidence import Challenge, ChallengeLine, Interval, Standing
from engine.render.number_format import DASH, interval, number, p_value

_UNTOUCHED = "untouched"


def sentence(found: Challenge) -> str:
    """Return what came of it in one sentence."""
    how = "trained as the recipe says" if found.trained else _UNTOUCHED
    by = "" if found.trained else f" ({found.candidate})"
    who = f"{found.base_model}, {how}{by},"
    against = f"the accepted model on {found.rows} holdout rows"
    if found.standing is Standing.BETTER:
        return f"{who} is already better than {against}"
    if found.standing is Standing.AS_GOOD:
        return f"{who} is already as good as {against}"
    if found.standing is Standing.WORSE:
        return f"{who} is worse than {against}"
    rows = [line.rows for line in _spoken_of(found) if line.rows is not None]
    would = f"; about {max(rows):,} rows would tell (an estimate)" if rows else ""
    return f"whether {who} is as good as {against} cannot be told{would}"


def challenge_text(found: Challenge, *, file: str, written: str) -> str:
    """Return the whole of it for a terminal; `written` is where the report stands."""
    rows = [("metric", "newcomer", "accepted", "difference", "Holm", "")]
    rows += [_cells(line) for line in found.lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  "
        + "  ".join(
            cell.ljust(width) if column in (0, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    edit = [f"  {line}" for line in found.edit.rstrip().splitlines()]
    return "\n".join(
        [
            f"{sentence(found)}.",
            "",
            *table,
            "",
            *(f"  {cost}" for cost in found.costs),
            *(f"  {note}" for note in found.notes),
            "",
            f"To adopt it, write in {file}, then `recipe run {file}`:",
            *edit,
            "",
            f"report: {written}",
        ]
    )


def challenge_markdown(found: Challenge) -> str:
    """Return the page that stays in the run folder."""
    lines = [
        f"# {found.recipe_name}, challenged by {found.base_model}",
        "",
        f"{sentence(found)}.",
        "",
        f"Accepted model: run `{found.run}`, {found.accepted}.",
        f"Holdout: {found.rows} rows, sha256 `{found.holdout}`.",
        f"Started {found.started}, {found.seconds} s.",
        "",
        "| metric | newcomer | accepted | difference | p, by Holm | |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(line))} |" for line in found.lines),
        "",
        "More is better for the newcomer in every difference.",
        "",
        *(f"- {cost}" for cost in found.costs),
        *(f"- {note}" for note in found.notes),
        "",
        "To adopt it:",
        "",
        "```yaml",
        *found.edit.rstrip().splitlines(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _spoken_of(found: Challenge) -> list[ChallengeLine]:
    return [line for line in found.lines if line.comparison.name == found.candidate]


def _cells(line: ChallengeLine) -> tuple[str, str, str, str, str, str]:
    comparison = line.comparison
    return (
        f"{comparison.name} {comparison.metric}",
        _number(line.newcomer),
        _number(line.accepted),
        _difference(comparison.difference, comparison.interval),
        p_value(comparison.p_adjusted) if comparison.p_adjusted is not None else DASH,
        _standing(line),
    )


def _standing(line: ChallengeLine) -> str:
    if line.standing is Standing.AS_GOOD:
        return f"as good (at most {number(line.margin)} worse)"
    if line.standing is Standing.UNKNOWN:
        rows = f"; about {line.rows:,} rows would tell" if line.rows else ""
        reason = f": {line.comparison.note}" if line.comparison.note else ""
        return f"cannot be told{reason}{rows}"
    return line.standing.value


def _number(value: float | None) -> str:
    return DASH if value is None else number(value)


def _difference(value: float | None, around: Interval | None) -> str:
    if value is None:
        return DASH
    return f"{number(value, signed=True)} {interval(around, signed=True)}".rstrip()
