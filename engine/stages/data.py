"""Data: read the sources, label, check and divide the rows; keep the holdout from training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.results import READ, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.membership import Fingerprints, may_replace, membership_to_json
from engine.data.reading.sources import fetch_all, read_all, source_slices, sources_read
from engine.progress import mention
from engine.recipe.model import Recipe
from engine.values import replace, to_json

if TYPE_CHECKING:
    from engine.data.checks.findings import Findings

REVISION = 4
NEEDS: tuple[str, ...] = ()
USES = ("sources",)

HOLDOUT = "holdout"
FINDINGS = "findings"


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what decides the splits; the bytes of the sources are added to the key by the plan."""
    task, data = recipe.task, recipe.data
    checks = to_json(data.checks)
    del checks["truncation"]  # needs the tokenizer: `engine.training.rendered`
    return {
        "kind": task.kind,
        "input": task.input,
        "labels": task.labels,
        "schema": task.schema,
        "sources": source_slices(data.sources),
        **{name: getattr(data, name) for name in ("shape", "answer", "pair", "sample")},
        # the order in which a mapping is written decides nothing
        "label": data.label.in_order() if data.label else None,
        "messages": data.messages.in_order() if data.messages else None,
        "checks": checks,
        "splits": recipe.splits,
        # only where it can change a split: other keys are those of versions that replaced nothing
        **({"replaces_dropped": True} if may_replace(data, recipe.splits) else {}),
        # likewise: many small groups, with the labels in equal shares
        **({"groups": 2} if recipe.splits.by == "group" else {}),
    }


def run(context: StageContext) -> None:
    """Write the training rows, the summary and the record, and the products `holdout` and `findings`.

    DataError with every problem of every source, or of the rows together.
    """
    from engine.data.prepare import UnfitDataError, prepare  # a plan needs none of it

    recipe = context.recipe
    fetched = fetch_all(recipe.data.sources, context.cached, context.progress)
    marks = Fingerprints()
    prepared = prepare(
        marks.watch(read_all(fetched, context.progress)),
        recipe.task,
        data=recipe.data,
        splits=recipe.splits,
        recorded=context.recorded,
        scratch=context.scratch,
        # problems are raised below, once the rows that they speak of are kept for people to look
        # at
        refuse=False,
        step=lambda what, rows: context.progress.update(rows, rows, "rows", now=what),
    )
    listed = _keep_findings(context, prepared.findings)
    if prepared.problems:
        # The hint of a check's problem names the file that lists all its rows.
        every = f"all rows: {listed}"
        raise UnfitDataError(
            [
                replace(one, hint=f"{one.hint}; {every}" if one.hint else every)
                if listed and one.path.startswith("data.checks.")
                else one
                for one in prepared.problems
            ],
            prepared,
        )
    if listed:
        mention(context.progress, f"every row of every finding: {listed}")
    prepared.train.write(context.workdir / "train.jsonl")
    prepared.validation.write(context.workdir / "validation.jsonl")
    write_json(context.workdir / "summary.json", to_json(prepared.summary), indent=2)
    write_json(
        context.workdir / "membership.json", membership_to_json(prepared.membership), indent=2
    )
    read = {"sources": sources_read(fetched), "rows": marks.rows, "fingerprints": marks.written()}
    write_json(context.workdir / READ, read, indent=2)

    def build(folder: Path) -> None:
        prepared.holdout.write(folder / "holdout.jsonl")

    # a product of its own, which nothing given to training names
    context.cached(HOLDOUT, {"data": context.key}, build)


def _keep_findings(context: StageContext, findings: Findings) -> str:
    """Write the rows of all findings into a product; return its file, `` when there are none.

    A product, because a stage that refuses the data leaves nothing else, and because holdout rows
    are named there: nothing given to training leads to it.
    """
    from engine.data.checks.findings import FILE  # a plan needs none of it

    if not findings.has_rows:
        return ""

    def build(folder: Path) -> None:
        findings.copy_rows(folder / FILE)

    path = context.cached(FINDINGS, {"data": context.key}, build).file(FILE)
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)
