"""The last accepted model of a recipe: which one it is, and its answers on the holdout.

Another model than the one at hand: a run that was accepted before and would train the same again is not its own
rival. It is known from the runs of the store, or from the lock beside the recipe, which may be of another machine.
Its answers are part of the gate's key, so that a verdict is reached anew where another model has been accepted since.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from engine.lock.coherence import (
    OF_PROBABILITIES,
    contradicted_by_answers,
    contradictions,
    match_answers,
)
from engine.lock.file import Accepted
from engine.metrics.comparing import Earlier
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.metrics import primary
from engine.recipe.model import Recipe
from engine.store import Artifact, Store, make_key
from engine.store.records import AcceptedRun
from engine.values import Value

PAYLOAD = "previous"
"""The entry of the gate's key payload that names the answers."""
GONE = "the store no longer holds its answers"
LOCK = "the lock"
HOLDOUT = "predictions.holdout.jsonl"
CONTRADICTORY = "the lock contradicts itself"


class Previous(Value):
    run: AcceptedRun | None
    """None where only the lock knows of it."""
    answers: Artifact | None
    """The artifact that holds them; None where the store no longer does, or never did."""
    file: str
    locked: Accepted | None = None
    """What the lock says of it, where its answers are those of the lock."""
    holdout: str = ""
    """sha256 of the rows of this run's holdout, to compare with the lock's; empty while they are not drawn."""
    exported: Artifact | None = None
    """The artifact of its exported forms' answers; None where the store no longer has it."""

    def identity(self) -> dict[str, Any]:
        if self.locked is not None:
            parts = ("finished", "metrics", "answers", "splits", "verdicts")
            facts = {name: getattr(self.locked, name) for name in parts}
            return {"file": self.file, "lock": make_key(facts).digest}
        answers = self.answers.digest() if self.answers else None
        return {"file": self.file, "answers": answers}

    def earlier(self, rows: Sequence[Prediction], *, recipe: Recipe, form: str = "") -> Earlier:
        """Return its answers, if they are to the same rows: those of its exported form, where that is known."""
        if self.locked is not None:
            return _of_lock(self, self.locked, rows, recipe)
        accepted = self.run.started.partition("T")[0] if self.run else ""
        found, file, source = self.answers, self.file, ""
        name = f"predictions.{form}.jsonl"
        if form and self.exported is not None and (self.exported.path / name).is_file():
            found, file, source = self.exported, name, "its exported file"
        if found is None or not (found.path / file).is_file():
            return Earlier(accepted=accepted, why_not=GONE)
        answers = read_predictions(found.file(file))
        targets, known = (
            {
                row.id: (row.target, row.references, row.rejected_bytes, row.desirable)
                for row in side
            }
            for side in (rows, answers)
        )
        why_not = ""
        if known != targets:
            shared = sum(targets.get(key) == target for key, target in known.items())
            why_not = f"it was judged on another holdout, {shared} of whose {len(known)} rows are in this one"
        return Earlier(
            answers=() if why_not else answers, accepted=accepted, why_not=why_not, source=source
        )


def find_previous(
    recipe: Recipe,
    store: Store,
    accepted: Sequence[AcceptedRun],
    *,
    train: str,
    locked: Accepted | None = None,
    holdout: str = "",
) -> Previous | None:
    """Return the newest accepted model that was not trained under the key `train`.

    `locked` is the accepted run of the lock. Where a run of this store is that one, the store knows more of it;
    where none is, the newer of both counts.
    """
    stage, file = answers_of(recipe)
    # a run with the same training key is the same model, which is not its own rival
    run = next((run for run in accepted if run.keys.get("train") != train), None)
    found = None
    if run is not None:
        answers, exported = (store.get(run.keys.get(one) or "-") for one in (stage, "verify"))
        found = Previous(run=run, answers=answers, file=file, exported=exported)
    if locked is None:
        return found
    # the run of this store that wrote the accepted part of the lock; none for another machine's. A later run can
    # have reused these predictions, but cannot have written the lock
    finished, digest = datetime.fromisoformat(locked.finished), locked.predictions.get("holdout")
    origin = next(
        (
            one
            for one in accepted
            if datetime.fromisoformat(one.started) <= finished
            and (made := store.get(one.keys.get("evaluate") or "-")) is not None
            and (HOLDOUT, digest) in [(entry.name, entry.sha256) for entry in made.files]
        ),
        None,
    )
    # this store has accepted a newer model than the lock's
    if origin is None and run is not None and finished < datetime.fromisoformat(run.started):
        return found
    # The store knows the lock's run, and so any model accepted since. The lock is asked only
    # where the store has lost the answers of that very run.
    if origin is not None and (origin is not run or (found and found.answers)):
        return found
    return Previous(run=None, answers=None, file=file, locked=locked, holdout=holdout)


def answers_of(recipe: Recipe) -> tuple[str, str]:
    """Return the stage and file of the answers that judge a model: with folds those of all of them."""
    if recipe.splits.folds:
        return "resample", "predictions.folds.jsonl"
    return "evaluate", HOLDOUT


def _of_lock(
    previous: Previous, locked: Accepted, tuned: Sequence[Prediction], recipe: Recipe
) -> Earlier:
    """Return the answers of the lock. What contradicts itself, or cannot be paired, decides nothing."""
    accepted = locked.finished.partition("T")[0]
    before = None if recipe.splits.folds else match_answers(locked.answers, tuned, recipe.task)
    differing = contradicted_by_answers(locked, before, recipe) if before else {}
    why_not = ""
    if wrong := "; ".join(contradictions(locked)):
        why_not = f"{CONTRADICTORY}: {wrong}"
    elif recipe.splits.folds:
        why_not = "the lock holds answers to its holdout only, and with folds every row is judged"
    # as many rows are not yet the same rows: the lock's answers have no ids that would show it
    elif before is None or locked.splits.get("holdout") != previous.holdout:
        why_not = "its lock is of another holdout than this run's"
    elif not before.unknown and (wrong := "; ".join(filter(None, differing.values()))):
        why_not = f"{CONTRADICTORY}: {wrong}"
    if why_not or before is None:
        return Earlier(accepted=accepted, why_not=why_not, source=LOCK)
    # The metrics that cannot be compared row by row, and why.
    asked = [drop.metric for drop in recipe.acceptance.over_previous]
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    why = "the lock holds answers and no probabilities"
    found = {name: why for name in asked if name in OF_PROBABILITIES}
    if before.unknown:
        of = f"{before.unknown} of {len(before.rows)} answers"
        why = f"{of} cannot be recovered from the hashes that the lock keeps, so rows cannot be paired"
        # where a metric comes out as the lock states it, the missing answers do not matter to it
        found |= {name: why for name in (*asked, main) if differing.get(name, why)}
    return Earlier(
        answers=before.rows,
        accepted=accepted,
        why_not_by=found,
        source=LOCK,
    )
