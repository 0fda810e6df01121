"""The review of two versions of a recipe, as values; renderers read nothing else."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from engine.errors import Problem, Severity
from engine.values import Value, field


class Effect(StrEnum):
    """The effect of a change on the evidence."""

    WEAKER = "weaker"
    UNKNOWN = "not known"
    """It was not compared, so it may be weaker."""
    REDRAWN = "redrawn"
    """Other rows judge, by another seed or as rows were added: no bound is lower and no row that judged is lost."""
    STRONGER = "stronger"


class Gate(StrEnum):
    """The change of the gate as a whole."""

    WEAKER = "weaker"
    UNKNOWN = "not known"
    REDRAWN = "redrawn"
    WAIVED = "weaker, as waived"
    STAYS = "stays"
    STRONGER = "stronger"


class Area(StrEnum):
    GATE = "gate"
    TASK = "task"
    DATA = "data"
    MODEL = "model"
    EXPORT = "export"
    REPORT = "report"
    LOCK = "lock"
    NOTHING = "nothing"


class Finding(Value):
    """One way in which the evidence got weaker or stronger."""

    code: str
    """W101 and on: see engine/codes/review.md."""
    path: str
    """The key that was changed; items of lists by name, such as `baselines.few_shot.shots`."""
    effect: Effect
    before: str = ""
    """The value in the resolved recipe; empty for none."""
    after: str = ""
    says: str = ""
    """The meaning of the change, where the two values do not show it; no full stop."""
    waiver: str = ""
    """The reason, where the new recipe waives it."""

    @property
    def alarms(self) -> bool:
        """Whether the evidence got weaker or is of other rows, or may be, and nobody waived it."""
        return self.effect is not Effect.STRONGER and not self.waiver


def gate_of(findings: Iterable[Finding]) -> Gate:
    """Return what became of a gate: one weakening that nobody waived is enough for an alarm."""
    listed = tuple(findings)
    alarms = {finding.effect for finding in listed if finding.alarms}
    if alarms:
        # Of an effect and of what it does to the gate, the name is the same; the gravest decides.
        return Gate(next(effect for effect in Effect if effect in alarms))
    if any(finding.effect is not Effect.STRONGER for finding in listed):
        return Gate.WAIVED
    return Gate.STRONGER if listed else Gate.STAYS


class Change(Value):
    """One key that says something else now, and that is not among the findings."""

    path: str
    area: Area
    before: str = ""
    after: str = ""
    says: str = ""


class Review(Value):
    name: str
    """The recipe's name."""
    old: str
    """The name of the old version: a file, or a file at a revision."""
    new: str
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]
    reruns: tuple[str, ...]
    """Stages whose key is another one; `report`, which always runs, stands last where any does."""
    notes: tuple[str, ...]
    """Further remarks."""

    uncompared: tuple[str, ...] = ()
    """Judging files whose bytes may have changed: neither a local copy nor a pin says which they are."""
    places: Mapping[str, str] = field(default_factory=dict)
    """The file, data set or package of each source, by its key, where no other source has the same."""

    @property
    def gate(self) -> Gate:
        return gate_of(self.findings)

    @property
    def is_empty(self) -> bool:
        return not (self.findings or self.changes or self.reruns)


class Checked(Value):
    """One changed recipe of a repository: validated, planned and compared."""

    path: str
    """The path from the repository's root."""
    status: str
    """`new`, `changed`, `renamed` or `deleted`."""
    was: str
    """Renamed: the old path."""
    why: tuple[str, ...]
    """Changes outside the file itself."""
    problems: tuple[Problem, ...] = ()
    plan: tuple[str, ...] = ()
    """The plan of a run, in sentences; empty where the recipe is not valid."""
    plan_before: tuple[str, ...] = ()
    """The plan of a run of the old version."""
    notes: tuple[str, ...] = ()
    review: Review | None = None
    """None where there is nothing to compare with."""
    waived: tuple[tuple[str, str], ...] = ()
    """Waivers, with reasons, of a recipe that is compared with nothing."""
    findings: tuple[Finding, ...] = ()
    """Findings without a comparison: that it is gone, or could not be compared."""
    reaches: tuple[str, ...] = ()
    """Places outside its project that the old version did not reach, such as `send rows to HOST`."""

    @property
    def gate(self) -> Gate:
        return gate_of((*self.findings, *(self.review.findings if self.review else ())))

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Judging files that were not compared."""
        return self.review.uncompared if self.review else ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong with it."""
        return not any(problem.severity is Severity.ERROR for problem in self.problems)


class Comment(Value):
    """The review of all changed recipes of a repository: one comment on a pull request."""

    base: str
    """The version that was compared with, as people name it."""
    commit: str
    checked: tuple[Checked, ...]
    notes: tuple[str, ...]
    unknown: str = ""
    """Why the place where the work began is not known; empty where it is."""

    @property
    def fails(self) -> bool:
        """Whether a gate got weaker, or may have, and nobody waived it."""
        gates = {one.gate for one in self.checked}
        return bool(self.unknown) or not gates.isdisjoint((Gate.WEAKER, Gate.UNKNOWN))
