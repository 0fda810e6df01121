"""Writes the lock of one run: after the data stage, and again when a verdict was formed.

The lock is a record, not an input that a run may change under itself: every plan of a run stands
on the lock as it was when the run began.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.artifacts.results import data_summary, read_json
from engine.data.membership import LEFT_OUT, membership_from_json
from engine.errors import Problem, Severity
from engine.evidence import HoldoutUse, StageRecord, StageStatus
from engine.lock.draw import RECORDED, draw_of, inputs_of
from engine.lock.file import (
    NONE,
    Accepted,
    Lock,
    LockedFirewall,
    LockedSplit,
    Wear,
    lock_path,
    write_lock,
)
from engine.lock.holdout_uses import HoldoutUses, verdict_name
from engine.recipe.model import Recipe
from engine.store import Artifact, Store
from engine.store.records import Runs
from engine.values import fields, replace

WORN_AT = 10
"""Decisions from which a holdout is called worn.

No number is right for every case: what a reused holdout still proves falls with the decisions made
on it and rises with its rows (Dwork et al. 2015, Science 349:636).
"""
JUDGES = ("evaluate", "gate", "seeds", "verify")
"""Stages that ask a trained model the holdout, or form a verdict on it: who reads a score can choose by it."""
MEMBERSHIP = "membership.json"


@dataclass(slots=True, kw_only=True)
class LockWriter:
    """Writes the lock of one run, and collects what the terminal and the report show of it."""

    recipe: Recipe
    store: Store
    before: Lock | None
    """As it stood when the run began."""
    now: Lock | None = None
    """As it stands after the data stage."""
    accepts: bool = False
    """This run was accepted, and `now` holds what it proves."""
    messages: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Warnings for the terminal; their first lines stand in `warnings` too."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def after_data(self, data: Artifact) -> None:
        self.notes += change_notes(self.recipe, self.store, data)
        self.now = lock_of(self.recipe, data, self.before)
        if self._write(self.now):
            name = lock_path(self.recipe.file).name
            self.messages.append(f"holdout recorded in {name}: commit it with the recipe")

    def accept(self, accepted: Accepted) -> None:
        """Have the lock hold what an accepted run proves, in the place of what was proved before; `keep` writes it."""
        if self.now is not None:
            self.now = replace(self.now, accepted=accepted)
            self.accepts = True

    def finish(
        self,
        records: Sequence[StageRecord],
        artifacts: Mapping[str, Artifact],
        *,
        run: str,
        started: str,
        outcome: str,
        repeats: bool = False,
    ) -> HoldoutUse | None:
        """Count this run's decision, if it made one, and return how often the holdout has been used; `keep` writes it.

        A run that `repeats` an accepted one exactly decides nothing that was open.
        """
        if self.now is None or "holdout" not in self.now.splits:
            return None
        digest, wear = self.now.splits["holdout"].digest, self.now.holdout
        counts = HoldoutUses(self.store)
        # the lock may come from another machine, the store may be new: the larger count is the true one
        looks = max(wear.looks, counts.looks(digest))
        verdicts = {
            name: verdict_name(artifacts[name])
            for name in judges(self.recipe)
            # those of others are counted where they were formed
            if name in artifacts and not (artifacts[name].taken_from or artifacts[name].adopted)
        }
        if verdicts:
            look = {"recipe": self.recipe.name, "run": run, "started": started, "outcome": outcome}
            was_unreadable = counts.is_unreadable(digest)
            formed = [one.stage for one in records if one.status is StageStatus.RAN]
            count = counts.add(
                digest, look, known=wear.looks, verdicts=verdicts, formed=formed, repeats=repeats
            )
            looks = max(looks, count)
            if was_unreadable and not counts.is_unreadable(digest):
                self._warn(
                    "X801",
                    f"the record of how often the holdout has decided cannot be read: the count goes on from "
                    f"{wear.looks}, which the lock knows",
                    hint="it is kept in `damaged/` of the store; take it back from a copy if you have one",
                )
        # in the lock too where this run took over what others decided: whoever reads it knows no store
        self.now = replace(self.now, holdout=replace(wear, looks=looks))
        if looks >= WORN_AT:
            self.warnings.append(worn(looks))
        return HoldoutUse(digest=digest, looks=looks, redraws=wear.redraws)

    def keep(self) -> None:
        """Write what was accepted and counted, once the run has its record.

        A lock that names a run which this store does not know is taken for that of another model.
        """
        if self.now is not None and self._write(self.now) and self.accepts:
            name = lock_path(self.recipe.file).name
            self.messages.append(
                f"the accepted run is recorded in {name}: commit it with the recipe"
            )

    def _write(self, lock: Lock) -> bool:
        path = lock_path(self.recipe.file)
        try:
            return write_lock(path, lock)
        except OSError as error:
            # a warning and no error: what took hours to train is not lost for a folder that is read-only
            self._warn(
                "D384",
                f"cannot write `{path.name}` beside the recipe ({error.strerror or error}):"
                " the holdout is not recorded",
                hint="let the recipe's folder be written, and run the same command again",
            )
            return False

    def _warn(self, code: str, message: str, *, hint: str) -> None:
        """Keep a warning for the report and for the terminal: once, though the lock is written up to three times."""
        problem = Problem(code=code, message=message, hint=hint, severity=Severity.WARNING)
        if problem not in self.problems:
            self.problems.append(problem)
            self.warnings.append(problem.headline())


def lock_of(recipe: Recipe, data: Artifact, before: Lock | None) -> Lock:
    """The lock that records what a data artifact holds, with the wear of the one before carried on."""
    summary, members = data_summary(data), _written(data)
    proof, names = summary.firewall, [one.name for one in fields(LockedFirewall)]
    splits = {
        split.name: LockedSplit(
            rows=split.rows,
            digest=split.digest,
            members=members.get(split.name),
            left_out=members.get(f"{split.name}{LEFT_OUT}"),
        )
        for split in summary.splits
    }
    lock = Lock(
        recipe=recipe.name,
        draw=draw_of(recipe),
        inputs=inputs_of(data.payload),
        drawn_with=data.payload.get(RECORDED),
        splits=splits,
        unused=members.get(NONE),
        firewall=LockedFirewall(**{name: getattr(proof, name) for name in names})
        if proof
        else None,
    )
    if before is None:
        return lock
    return replace(lock, holdout=_carried(before, lock), accepted=before.accepted)


def judges(recipe: Recipe) -> tuple[str, ...]:
    # a baseline that passes ends the run: that was decided on the holdout, too
    stops = recipe.stop_if_baseline_passes and bool(recipe.baselines)
    return ("baseline", *JUDGES) if stops else JUDGES


def worn(looks: int) -> str:
    return (
        f"this holdout has decided {looks} times: every choice made on it fits the recipe a little "
        "more to these rows, so the scores are too good by an unknown amount (Dwork et al. 2015); "
        "draw a fresh one before you ship: collect new rows, or change `splits.seed`"
    )


def change_notes(recipe: Recipe, store: Store, data: Artifact) -> list[str]:
    """Return what became of the holdout of the recipe's previous run, where this one has another; else nothing."""
    runs = (record.get("stages", {}) for _, record in Runs(store.root).ours(recipe.name))
    keys = (str(stages.get("data", {}).get("key", "")) or "-" for stages in runs)
    old = next(filter(None, map(store.get, keys)), None)
    if old is None or old.key == data.key:
        return []
    before, after = (
        next((one.digest for one in data_summary(made).splits if one.name == "holdout"), None)
        for made in (old, data)
    )
    if after is None or before is None or before == after:
        return []
    known, now = (membership_from_json(_written(made)).members for made in (old, data))
    trained, held = known.get("train"), now.get("holdout", frozenset())
    if trained is None:
        seen = "too many training rows to tell whether some of its rows were among them"
    else:
        seen = f"{len(trained & held)} of its {len(held)} rows were training rows then"
    return [f"the holdout is another one than in the previous run: {seen}"]


def _carried(before: Lock, now: Lock) -> Wear:
    """Return what was done with the holdout before; half of its rows in the new one still count."""
    old, new = before.splits.get("holdout"), now.splits.get("holdout")
    if old is None or new is None or old.digest == new.digest:
        return before.holdout
    had, has = (_held(lock) for lock in (before, now))
    looks = before.holdout.looks if 2 * len(had & has) >= len(has) else 0
    return Wear(looks=looks, redraws=before.holdout.redraws + (before.draw != now.draw))


def _held(lock: Lock) -> frozenset[bytes]:
    try:
        return membership_from_json(lock.members()).members.get("holdout", frozenset())
    except ValueError:  # a lock whose draw is given up may be unreadable: nothing is carried on
        return frozenset()


def _written(data: Artifact) -> dict[str, str]:
    """The members as the data stage wrote them; empty for one that older versions left."""
    if not (data.path / MEMBERSHIP).is_file():
        return {}
    found: dict[str, str] = read_json(data, MEMBERSHIP)
    return found
