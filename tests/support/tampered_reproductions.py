"""Runs that repeat a lock which somebody changed, or something beside it, as a table.

Two answers a case: what a run whose stages were all computed anew comes to, and what `--frozen` says: the code of
its refusal, or its exit code. Of what stands beside the lock, whole commands are run.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.cli.main import main
from engine.errors import EngineError, ExitCode
from engine.evidence import Repeat, StageRecord, StageStatus
from engine.lock.file import Accepted, lock_path
from engine.lock.policy import LockOptions, LockPolicy, lock_policy
from engine.lock.reproduction import RepeatedRun, reproduction_of
from engine.recipe import load_recipe
from engine.render.progress_display import SilentProgress
from engine.store import Store
from engine.values import from_json, replace
from support.false_locks import FALSE, LOCK, Facts, first_answer_other, put
from support.run_once import accepted_once
from support.runs import report, run_folders
from support.tampering import Tampering

NOT, NOISE, EXACT, REUSED = (
    one.value for one in (Repeat.NOT, Repeat.WITHIN_NOISE, Repeat.EXACT, Repeat.REUSED)
)
FROZEN = LockOptions(frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """The accepted run beside its own lock, as if each stage had been computed anew."""

    project: Path
    """Never changed."""
    bare: Path
    """A copy without a store, whose lock each case writes anew."""
    run: RepeatedRun

    def facts(self) -> Facts:
        found: Facts = json.loads((self.project / LOCK).read_text("utf-8"))["accepted"]
        return found


Case = Tampering[Repetition]


def material(folder: Path) -> Repetition:
    """Take the accepted run of all tests; nothing is computed again."""
    project = accepted_once().folder
    bare = folder / "bare"
    shutil.copytree(project, bare, symlinks=True, ignore=shutil.ignore_patterns(".recipe"))
    return Repetition(project=project, bare=bare, run=repeated_run(project))


def repeated_run(project: Path) -> RepeatedRun:
    """Return the run of a project beside its lock."""
    (folder,) = run_folders(project / ".recipe")
    stages = json.loads((folder / "run.json").read_text("utf-8"))["stages"]
    store = Store(project / ".recipe")
    made = {name: store.get(stage["key"]) for name, stage in stages.items()}
    lock = json.loads((project / LOCK).read_text("utf-8"))
    records = [
        StageRecord(stage=name, status=StageStatus.RAN, key="", reason="", seconds=0.0)
        for name in stages
    ]
    return RepeatedRun(
        recipe=load_recipe(project / "recipe.yaml")[0],
        accepted=from_json(Accepted, lock["accepted"]),
        artifacts={name: artifact for name, artifact in made.items() if artifact},
        records=records,
        outcome="accepted",
        error=None,
    )


def plain(facts: Facts, material: Repetition) -> str:
    """What a run comes to beside these facts; `another recipe` and codes of locks that cannot be read included."""
    policy = _policy(facts, material, LockOptions())
    if isinstance(policy, str):
        return policy
    if policy.changed or policy.accepted is None:
        return Repeat.OTHER_RECIPE.value
    return reproduction_of(replace(material.run, accepted=policy.accepted)).verdict.value


def frozen(facts: Facts, material: Repetition) -> str:
    """The code by which `--frozen` refuses these facts, or its exit code."""
    policy = _policy(facts, material, FROZEN)
    if isinstance(policy, str):
        return policy
    assert policy.accepted is not None
    found = reproduction_of(replace(material.run, accepted=policy.accepted))
    checking = policy.input_check(Store(material.project / ".recipe"))
    assert checking is not None
    try:
        for stage in material.run.artifacts:
            checking.after(stage, material.run.artifacts, SilentProgress())
    except EngineError as error:
        return error.problems[0].code
    return f"exit {int(policy.exit_code(ExitCode.ACCEPTED, found))}"


def _policy(facts: Facts, material: Repetition, options: LockOptions) -> LockPolicy | str:
    recipe = load_recipe(material.bare / "recipe.yaml")[0]
    lock = json.loads((material.project / LOCK).read_text("utf-8"))
    lock_path(recipe.file).write_text(json.dumps({**lock, "accepted": facts}), encoding="utf-8")
    try:
        return lock_policy(recipe, options)
    except EngineError as error:
        return error.problems[0].code


MORE: dict[str, Callable[[Facts], Any]] = {
    "a band that every value meets": put(
        "metrics/macro_f1", lambda old: {**old, "low": 0.01, "high": 1.0}
    ),
    "seeds that make any value noise": lambda facts: facts.update(
        seeds=[
            {"seed": 8, "agreement": 0.0, "metrics": {"macro_f1": 0.0}},
            {"seed": 9, "agreement": 0.0, "metrics": {"macro_f1": 1.0}},
        ],
        spread={"macro_f1": {"mean": 0.458333, "deviation": 0.505181}},
    ),
    "the digest of a source": put("sources/0/sha256", "0" * 64),
    "no digest of a source": put("sources/0/sha256", None),
    "no sources": put("sources", []),
    "a day to come": put("finished", "2999-01-01T00:00:00+00:00"),
    "no day": put("finished", "yesterday"),
    "no stages": put("stages", ...),
    "a stage less": put("stages/train", ...),
    "one version less": put("versions/torch", ...),
    "a version empty": put("versions/torch", ""),
    "no predictions": put("predictions", {}),
    "predictions of the holdout": put("predictions/holdout", "0" * 64),
    "no splits": put("splits", {}),
    "no metrics": put("metrics", {}),
    "no verdicts": put("verdicts", {}),
    "another way of answers": put("answers/way", "nats"),
    "the digest of the recipe": put("recipe/digest", "0" * 64),
    "the digest of a section": put("recipe/sections/acceptance", "0" * 64),
    "a digest in capitals": put("files/model-Q4_K_M.gguf", lambda old: old.upper()),
    "a file more": put("files/more.bin", "0" * 64),
    "a file of the adapter more": put("adapter/adapter~more.bin", "0" * 64),
    "threads of nothing": put("threads", 0),
    "a teacher that was not": put(
        "teacher", {"reference": {"path": "x"}, "sources": [], "rows": 9, "trained": "0" * 64}
    ),
    "a trainer that was not": put("trainer", {"torch": "9.9.9"}),
    "not accepted": lambda facts: facts.clear(),
    "a stage more": put("stages/audit", 1),
    "a verdict more": put("verdicts/audit", "pass"),
    "a verdict in capitals": put("verdicts/gate", "Pass"),
    "a key of a source more": put("sources/0/certified", "yes"),
    "a source twice": lambda facts: facts["sources"].append(dict(facts["sources"][0])),
    "a source by another name": put("sources/0/name", "other.csv"),
    "a version more": put("versions/extra", "1.0"),
    "a fact of the machine more": put("hardware/extra", "x"),
    "one fingerprint": put("fingerprints", first_answer_other),
    "half of the fingerprints": put("fingerprints", lambda old: old[: len(old) // 8 * 4]),
    "a file of the base model more": put("base_model/files/extra.json", "0" * 64),
    "a file of the base model less": lambda facts: facts["base_model"]["files"].popitem(),
    "a split more": put("splits/test", "0" * 64),
    "a metric that looks alike": put(
        "metrics/m\u0430cro_f1", {"value": 0.9, "low": 0.8, "high": 1.0, "n": 40}
    ),
    "a metric that looks alike in the place": lambda facts: facts["metrics"].update(
        {"m\u0430cro_f1": facts["metrics"].pop("macro_f1")}
    ),
    "a value two millionths better": put("metrics/macro_f1/value", lambda old: old + 2e-6),
    "no value": put("metrics/macro_f1/value", None),
    "rows read": put("rows", lambda old: old - 1),
    "a precision with a blank": put("precision", "fp32 "),
    "a file of predictions more": put("predictions/audit", "0" * 64),
    "synthetic rows that were not": put(
        "synthetic",
        {
            "reference": {"path": "x"},
            "judge": {},
            "rows": 9,
            "digest": "0" * 64,
            "trained": "0" * 64,
        },
    ),
    "no sections of the recipe": put("recipe/sections", {}),
    # the same moment, and an earlier one: a day proves nothing
    "the day in another zone": put("finished", lambda old: old.replace("+00:00", "Z")),
    "the clock of another zone": put("finished", lambda old: old.replace("+00:00", "+14:00")),
}
"""What nobody's accepted run would write, beside the false facts of `support.false_locks`."""
UNREADABLE = dict.fromkeys(("no day", "not accepted"), "D382")
OTHER = dict.fromkeys(
    ("the digest of the recipe", "the digest of a section", "no sections of the recipe"),
    "another recipe",
)
OF_NO_MATTER = ("the day in another zone", "the clock of another zone")
BESIDE = (
    "threads", "hardware", "processes", "version", "one version less", "a version empty", "no versions", "no hardware",
    "no base model", "no fingerprints", "revision of a stage", "the digest of a source", "no stages",
    "a stage less", "no digest of a source", "a trainer that was not", "seeds that make any value noise",
    "a version more", "a fact of the machine more",
)  # fmt: skip
"""The very model was made, and a fact beside it is another one or missing: it is named, and nothing is exact."""
PLAIN = {
    **dict.fromkeys(BESIDE, NOISE),
    **UNREADABLE,
    **OTHER,
    **dict.fromkeys(OF_NO_MATTER, EXACT),
}
AT_THE_END = (
    "better value", "better value and interval", "higher end", "lower end", "rows of a metric",
    "a metric taken out", "a metric made up", "no verify", "source", "precision", "base model", "reference",
    "an answer", "no answers", "predictions", "merged predictions", "adapter", "a file", "no file",
    "a band that every value meets", "predictions of the holdout", "another way of answers", "a file more",
    "a file of the adapter more", "a teacher that was not", "a stage more", "a key of a source more",
    "a source twice", "a source by another name", "a file of the base model more",
    "a file of the base model less", "a metric that looks alike", "a value two millionths better",
    "a precision with a blank", "a file of predictions more", "synthetic rows that were not",
)  # fmt: skip
"""What only the finished run can know."""
FROZEN_SAYS = {
    **dict.fromkeys(AT_THE_END, "exit 1"),
    **dict.fromkeys(
        ("holdout", "train", "the digest of a source", "one fingerprint", "a split more"), "D387"
    ),
    # another machine of the same kind may repeat a lock; the report names the fact
    **dict.fromkeys(
        ("threads", "hardware", "processes", "a fact of the machine more", *OF_NO_MATTER), "exit 0"
    ),
    **UNREADABLE,
}


def _locks() -> Iterator[Case]:
    def got(
        change: Callable[[Facts], Any],
        ask: Callable[[Facts, Repetition], str],
        found: Repetition,
        _: Path,
    ) -> str:
        facts = found.facts()
        change(facts)
        return ask(facts, found)

    changes = {name: change for name, (change, _) in FALSE.items()} | MORE
    for what, change in changes.items():
        yield Case(
            group="lock",
            what=what,
            expected=PLAIN.get(what, NOT),
            got=partial(got, change, plain),
        )
    for what, change in changes.items():
        yield Case(
            group="lock, --frozen",
            what=what,
            expected=FROZEN_SAYS.get(what, "D389"),
            got=partial(got, change, frozen),
        )


def run_in_a_copy(
    change: Callable[[Path], Any], words: tuple[str, ...], found: Repetition, folder: Path
) -> str:
    """Run the whole command in a copy of the project, and return what its report says and its exit code."""
    project = folder / "project"
    shutil.copytree(found.project, project, symlinks=True)
    change(project)
    store = project / ".recipe"
    before = len(run_folders(store))
    code = main(["run", str(project / "recipe.yaml"), "--store", str(store), "-q", *words])
    if len(run_folders(store)) == before:
        return f"exit {code}"
    repeated = report(store)["reproduction"]
    return f"{repeated['verdict'] if repeated else 'nothing compared'}, exit {code}"


def with_facts(change: Callable[[Facts], Any], project: Path) -> None:
    whole = json.loads((project / LOCK).read_text("utf-8"))
    change(whole["accepted"])
    (project / LOCK).write_text(json.dumps(whole), encoding="utf-8")


def other_rows(project: Path) -> None:
    path = project / "rows.csv"
    text = path.read_text("utf-8")
    changed = text.replace("good", "fine", 1)
    assert len(changed) == len(text) and changed != text  # noqa: PT018 - one fact: the size says nothing
    path.write_text(changed, encoding="utf-8", newline="")


def without_a_store(project: Path) -> None:
    shutil.rmtree(project / ".recipe")
    other_rows(project)


def labels_exchanged(project: Path) -> None:
    path = project / "rows.csv"
    head, *rows = csv.reader(path.read_text("utf-8").splitlines())
    at = next(at for at, row in enumerate(rows) if row[1] != rows[0][1])
    rows[0][1], rows[at][1] = rows[at][1], rows[0][1]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])


def other_base(name: str, project: Path) -> None:
    base = (project / "base").resolve()
    (project / "base").unlink()
    shutil.copytree(base, project / "base")
    path = project / "base" / name
    path.write_bytes(path.read_bytes().replace(b"{", b'{"added": 1, ', 1))


def untouched(_: Path) -> None:
    """The store of the accepted run is there, and nothing is changed."""


def _commands() -> Iterator[Case]:
    """Whole commands: what is refused is refused at the first stages, and the rest is reused."""
    early = partial(with_facts, put("finished", "1970-01-01T00:00:00+00:00"))
    frozen_, stopped = ("--frozen",), f"{NOT}, exit 3"
    cases: dict[str, tuple[Callable[[Path], Any], tuple[str, ...], str]] = {
        "a warm store": (untouched, (), f"{REUSED}, exit 0"),
        "a warm store, --frozen": (untouched, frozen_, f"{REUSED}, exit 1"),
        "a warm store, the day of the lock set back": (early, (), f"{REUSED}, exit 0"),
        "the same, --frozen": (early, frozen_, f"{REUSED}, exit 1"),
        "another row file of the same size": (other_rows, (), stopped),
        "the same, --frozen, no store": (without_a_store, frozen_, stopped),
        "two labels exchanged": (labels_exchanged, (), stopped),
        "another tokenizer": (partial(other_base, "tokenizer_config.json"), (), stopped),
        "another base model, --frozen": (partial(other_base, "config.json"), frozen_, stopped),
        "no lock, --frozen": (lambda project: (project / LOCK).unlink(), frozen_, "exit 2"),
        "a lock that is no JSON": (lambda project: (project / LOCK).write_text("{"), (), "exit 3"),
    }
    for what, (change, words, expected) in cases.items():
        got = partial(run_in_a_copy, change, words)
        yield Case(group="command", what=what, expected=expected, got=got)


def _controls() -> Iterator[Case]:
    def got(ask: Callable[[Facts, Repetition], str], found: Repetition, _: Path) -> str:
        return ask(found.facts(), found)

    for what, ask, expected in (
        ("untouched", plain, EXACT),
        ("untouched, --frozen", frozen, "exit 0"),
    ):
        yield Case(group="lock", what=what, expected=expected, got=partial(got, ask))


CASES: tuple[Case, ...] = (*_controls(), *_locks(), *_commands())
"""Every case, the untouched lock first."""
