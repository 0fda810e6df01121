"""Writes the lock of one run: after the data stage, and again after a verdict.

Every plan of a run is made with the lock as it was when the run began.
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

No number is right for every case: the value of a reused holdout falls with the decisions made on it and rises with its
rows (Dwork et al. 2015, Science 349:636).
"""
JUDGES = ("evaluate", "gate", "seeds", "verify")
"""Stages that evaluate a trained model on the holdout, or form a verdict on it: people can choose by either."""


@dataclass(slots=True, kw_only=True)
class LockWriter:
    """Writes the lock of one run, and collects messages for the terminal and the report."""

    recipe: Recipe
    store: Store
    before: Lock | None
    """The lock when the run began."""
    now: Lock | None = None
    """The lock after the data stage."""
    accepts: bool = False
    """Whether this run was accepted, with its facts in `now`."""
    messages: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Warnings for the terminal; their first lines are also in `warnings`."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def after_data(self, data: Artifact) -> None:
        self.notes += change_notes(self.recipe, self.store, data)
        self.now = lock_of(self.recipe, data, self.before)
        if self._write(self.now):
            name = lock_path(self.recipe.file).name
            self.messages.append(f"holdout recorded in {name}: commit it with the recipe")

    def accept(self, accepted: Accepted) -> None:
        """Replace the accepted run of the lock; `keep` writes it."""
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

        A run that `repeats` an accepted one exactly is no new decision.
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
            # results of other machines are counted there
            if name in artifacts and not artifacts[name].taken_from
        }
        if verdicts:
            look = {"recipe": self.recipe.name, "run": run, "started": started, "outcome": outcome}
            was_unreadable = counts.is_unreadable(digest)
            formed = [record.stage for record in records if record.status is StageStatus.RAN]
            count = counts.add(
                digest, look, known=wear.looks, verdicts=verdicts, formed=formed, repeats=repeats
            )
            looks = max(looks, count)
            if was_unreadable and not counts.is_unreadable(digest):
                self._warn(
                    "X801",
                    "the record of the decisions on the holdout cannot be read: the count continues from "
                    f"{wear.looks}, the number in the lock",
                    hint="the record is kept in `damaged/` of the store; replace it by a copy if you have one",
                )
        # decisions of other machines too: a reader of the lock has no store
        self.now = replace(self.now, holdout=replace(wear, looks=looks))
        if looks >= WORN_AT:
            self.warnings.append(worn(looks))
        return HoldoutUse(digest=digest, looks=looks, redraws=wear.redraws)

    def keep(self) -> None:
        """Write what was accepted and counted, once the run has its record in the store.

        The lock would otherwise be taken for that of another model.
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
                f"cannot write `{path.name}` into the recipe's folder ({error.strerror or error}):"
                " the holdout is not recorded",
                hint="make the recipe's folder writable, and run the same command again",
            )
            return False

    def _warn(self, code: str, message: str, *, hint: str) -> None:
        """Keep a warning once, though the lock is written up to three times."""
        problem = Problem(code=code, message=message, hint=hint, severity=Severity.WARNING)
        if problem not in self.problems:
            self.problems.append(problem)
            self.warnings.append(problem.headline())


def lock_of(recipe: Recipe, data: Artifact, before: Lock | None) -> Lock:
    """Return the lock that records a data artifact, with wear and accepted run of the lock `before`."""
    summary, members = data_summary(data), _members(data)
    proof, firewall = summary.firewall, None
    if proof is not None:
        names = [one.name for one in fields(LockedFirewall)]
        firewall = LockedFirewall(**{name: getattr(proof, name) for name in names})
    lock = Lock(
        recipe=recipe.name,
        draw=draw_of(recipe),
        inputs=inputs_of(data.payload),
        drawn_with=data.payload.get(RECORDED),
        splits={
            split.name: LockedSplit(
                rows=split.rows,
                digest=split.digest,
                members=members.get(split.name),
                left_out=members.get(f"{split.name}{LEFT_OUT}"),
            )
            for split in summary.splits
        },
        unused=members.get(NONE),
        firewall=firewall,
    )
    if before is None:
        return lock
    return replace(lock, holdout=_wear(before, lock), accepted=before.accepted)


def judges(recipe: Recipe) -> tuple[str, ...]:
    # a baseline that passes ends the run: a decision on the holdout, too
    stops = recipe.stop_if_baseline_passes and bool(recipe.baselines)
    return ("baseline", *JUDGES) if stops else JUDGES


def worn(looks: int) -> str:
    return (
        f"this holdout has decided {looks} times: every choice made on it fits the recipe a little "
        "more to these rows, so the scores are too good by an unknown amount (Dwork et al. 2015); "
        "draw a fresh one before you ship: collect new rows, or change `splits.seed`"
    )


def change_notes(recipe: Recipe, store: Store, data: Artifact) -> list[str]:
    """Return a note where the recipe's previous run had another holdout; else nothing."""
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
    known, now = (membership_from_json(_members(made)).members for made in (old, data))
    trained, held = known.get("train"), now.get("holdout", frozenset())
    if trained is None:
        seen = "too many training rows to tell whether some of its rows were among them"
    else:
        seen = f"{len(trained & held)} of its {len(held)} rows were training rows then"
    return [f"the holdout is another one than in the previous run: {seen}"]


def _wear(before: Lock, now: Lock) -> Wear:
    """Return the decisions and redraws of the new holdout: it is worn by those on an old one with half of its rows."""
    old, new = before.splits.get("holdout"), now.splits.get("holdout")
    if old is None or new is None or old.digest == new.digest:
        return before.holdout
    none: frozenset[bytes] = frozenset()
    has = membership_from_json(now.members()).members.get("holdout", none)
    try:
        had = membership_from_json(before.members()).members.get("holdout", none)
    except ValueError:  # a lock whose draw is given up may be unreadable
        had = none
    looks = before.holdout.looks if 2 * len(had & has) >= len(has) else 0
    return Wear(looks=looks, redraws=before.holdout.redraws + (before.draw != now.draw))


def _members(data: Artifact) -> dict[str, str]:
    found: dict[str, str] = read_json(data, "membership.json")
    return found
