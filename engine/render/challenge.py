"""A challenge: for the terminal, and as a page."""

from engine.evidence import Challenge, ChallengeLine, ChallengeOutcome
from engine.recipe.text.paths import as_typed
from engine.render import blocks
from engine.render.number_format import DASH, duration, interval, known, number, p_value

_COLUMNS = "metric | >newcomer | >accepted | >difference | >p, by Holm | "


def sentence(result: Challenge) -> str:
    how = "trained as the recipe says" if result.trained else f"untouched ({result.candidate})"
    who = f"{result.base_model}, {how},"
    against = f"the accepted model on {result.rows} holdout rows"
    words = {
        ChallengeOutcome.BETTER: "already better than",
        ChallengeOutcome.AS_GOOD: "already as good as",
        ChallengeOutcome.WORSE: "worse than",
    }
    if result.standing in words:
        return f"{who} is {words[result.standing]} {against}"
    lines = (line for line in result.lines if line.comparison.name == result.candidate)
    rows = [line.rows for line in lines if line.rows is not None]
    enough = f"; about {max(rows):,} rows would tell (an estimate)" if rows else ""
    return f"whether {who} is as good as {against} cannot be decided{enough}"


def challenge_text(result: Challenge, *, file: str, written: str, width: int = 100) -> str:
    """Return the whole of it for a terminal; `written` is where the report stands."""
    from engine.render import terminal

    edit = "\n".join(f"  {line}" for line in result.edit.rstrip().splitlines())
    gap, remarks = terminal.text(""), map(terminal.text, (*result.costs, *result.notes))
    parts = [
        terminal.text(f"{sentence(result)}."),
        gap,
        *terminal.renderables(_table(result)),
        gap,
        *remarks,
        gap,
        terminal.text(f"To adopt it, write in {file}, then `recipe run {as_typed(file)}`:"),
    ]
    shown = terminal.terminal_text(parts, width=width, colour=False)
    return f"{shown}{edit}\n\nreport: {written}"


def challenge_markdown(result: Challenge) -> str:
    from engine.render import markdown

    facts = (
        ("accepted model", f"run {result.run}, {result.accepted}"),
        ("holdout", f"{result.rows} rows, sha256 {result.holdout}"),
        ("started", f"{result.started}, {duration(result.seconds)}"),
    )
    remarks = (*result.costs, *result.notes)
    parts = [
        f"# {markdown.plain(result.recipe_name)}, challenged by {markdown.plain(result.base_model)}",
        markdown.plain(f"{sentence(result)}."),
        markdown.markdown(blocks.Facts(facts)),
        markdown.markdown(_table(result)),
        "More is better for the newcomer in every difference.",
        "\n".join(f"- {markdown.prose(line)}" for line in remarks),
        "To adopt it:",
        markdown.fenced(result.edit.rstrip(), "yaml"),
    ]
    return markdown.joined(parts) + "\n"


def _table(result: Challenge) -> blocks.Table:
    return blocks.table("The newcomer and the accepted model", _COLUMNS, map(_row, result.lines))


def _row(line: ChallengeLine) -> list[blocks.Cell]:
    comparison = line.comparison
    difference = number(comparison.difference, signed=True)
    around = interval(comparison.interval, signed=True)
    return [
        f"{comparison.name} {comparison.metric}",
        known(line.newcomer),
        known(line.accepted),
        DASH if comparison.difference is None else blocks.Estimate(difference, around),
        known(comparison.p_adjusted, p_value),
        _standing(line),
    ]


def _standing(line: ChallengeLine) -> str:
    if line.standing is ChallengeOutcome.AS_GOOD:
        return f"as good (at most {number(line.margin)} worse)"
    if line.standing is ChallengeOutcome.UNKNOWN:
        rows = f"; about {line.rows:,} rows would tell" if line.rows else ""
        reason = f": {line.comparison.note}" if line.comparison.note else ""
        return f"cannot be decided{reason}{rows}"
    return line.standing.value
