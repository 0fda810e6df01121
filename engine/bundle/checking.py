"""Taking a bundle apart, offline: every byte, every digest, every verdict, and who signed.

Nothing is believed because it is in the bundle. Each claim is one line that holds or does not; the
first that fails does not hide the others, as far as they can still be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.bundle.archive import ArchiveError, Member, read_archive
from engine.bundle.making import EVIDENCE, KEY, MODEL, STATEMENT
from engine.bundle.signing import checked, key_id, public_key
from engine.bundle.statement import PREDICATE_TYPE, TYPE, subjects, verdicts
from engine.errors import EngineError, RecipeError
from engine.evidence import Check, Report, Status
from engine.recipe.digest import recipe_digest
from engine.recipe.source import parse_source
from engine.render.json import read_json
from engine.store.accepted import Accepted, accepted_from_json
from engine.store.runs import ACCEPTED, BUNDLED_LOCK
from engine.store.store import sha256_of

RESOLVED = "recipe.resolved.yaml"
NEAR = 1e-5
"""Numbers of the lock are rounded to six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that a bundle says, and whether it holds."""

    what: str
    problem: str = ""
    """Why it does not hold, precisely; empty where it does."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problem


@dataclass(slots=True, kw_only=True)
class Checking:
    """A bundle that is taken apart: what was found so far."""

    claims: list[Claim] = field(default_factory=list)
    signer: str = ""
    """sha256 of the key that signed; empty where no signature holds."""
    is_known: bool = False
    """The signature is that of the key which the caller named."""
    recipe: str = ""
    subjects: tuple[Mapping[str, Any], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every claim does."""
        return all(claim.holds for claim in self.claims)

    def claim(self, what: str, problems: Iterator[str]) -> bool:
        """Note a claim with everything that is wrong with it."""
        found = "; ".join(problems)
        self.claims.append(Claim(what=what, problem=found))
        return not found


def check_bundle(bundle: Path, *, model: Path | None = None, key: Path | None = None) -> Checking:
    """Take a bundle apart.

    Raises:
        RecipeError: X661 `key` is no public key; X664 a file cannot be read.
        EnvironmentProblem: X660 the libraries that check signatures are missing.

    """
    trusted = _read(key) if key else None
    checking = Checking()
    try:
        members = {member.name: member for member in read_archive(bundle)}
    except ArchiveError as error:
        checking.claim("the file is a bundle, byte for byte", iter([str(error)]))
        return checking
    except OSError as error:
        raise _unreadable(bundle, error) from error
    checking.claim("the file is a bundle, byte for byte", _members(members))
    statement = _signed(checking, members, trusted)
    if statement is None:
        return checking
    _content(checking, members, statement)
    if model is not None:
        _model(checking, model)
    return checking


def _content(
    checking: Checking, members: Mapping[str, Member], statement: Mapping[str, Any]
) -> None:
    """Compare the signed statement with the files of the bundle, and these with each other."""
    predicate = statement["predicate"]
    evidence = {one["name"]: one["digest"]["sha256"] for one in predicate["evidence"]}
    checking.claim("the evidence is what was signed", _evidence(members, evidence))
    included = [name for name in members if name.startswith(f"{MODEL}/")]
    if included:
        checking.claim("the model files are what was signed", _included(checking, members))
    try:
        report = read_json(_text(members, "report.json"))
        accepted = accepted_from_json(json.loads(_text(members, BUNDLED_LOCK))["accepted"])
        resolved = parse_source(_bytes(members, RESOLVED), Path(RESOLVED)).value
    except (KeyError, TypeError, ValueError, EngineError) as error:
        checking.claim("report, lock and recipe can be read", iter([f"{error}"]))
        return
    checking.recipe = report.recipe_name
    checking.claim(
        "report, lock and statement speak of one recipe", _recipe(resolved, accepted, predicate)
    )
    checking.claim("they speak of one model", _one_model(report, accepted, statement))
    checking.claim("the verdicts follow from their numbers", _verdicts(report, accepted, predicate))


def _members(members: Mapping[str, Member]) -> Iterator[str]:
    wanted = {*EVIDENCE, STATEMENT, KEY}
    if missing := sorted(wanted - set(members)):
        yield f"{', '.join(missing)} is missing"
    others = {name for name in members if not name.startswith(f"{MODEL}/")} - wanted
    if others:
        yield f"{', '.join(sorted(others))} does not belong in it"


def _signed(
    checking: Checking, members: Mapping[str, Member], trusted: bytes | None
) -> Mapping[str, Any] | None:
    """Check the signature by the key in the bundle, and that key by the one the caller trusts."""
    found: Mapping[str, Any] | None = None

    def problems() -> Iterator[str]:
        nonlocal found
        try:
            key = public_key(_bytes(members, KEY), KEY)
            signed = checked(_bytes(members, STATEMENT), key)
            found = _statement(signed.payload)
        except RecipeError as error:
            yield error.problems[0].message
            return
        except (KeyError, ValueError) as error:
            yield str(error).strip("'")
            return
        checking.signer = signed.key
        checking.subjects = tuple(found["subject"])

    checking.claim("the statement is signed by the key in the bundle", problems())
    if trusted is not None:
        known = key_id(public_key(trusted, "--key"))
        other = [f"it is signed by {checking.signer or 'no key'}, the key named is {known}"]
        checking.is_known = checking.signer == known
        checking.claim(
            "the key is the one named by --key", iter([] if checking.is_known else other)
        )
    return found


def _statement(payload: bytes) -> Mapping[str, Any]:
    """Return the statement; ValueError for one of another kind."""
    try:
        found = json.loads(payload)
        kinds = (found["_type"], found["predicateType"])
        for one in (*found["subject"], *found["predicate"]["evidence"]):
            one["name"], one["digest"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        message = "what is signed is no in-toto statement"
        raise ValueError(message) from error
    if kinds != (TYPE, PREDICATE_TYPE):
        message = f"what is signed is a `{kinds[1]}`, not a `{PREDICATE_TYPE}`"
        raise ValueError(message)
    statement: Mapping[str, Any] = found
    return statement


def _evidence(members: Mapping[str, Member], signed: Mapping[str, str]) -> Iterator[str]:
    for name in EVIDENCE:
        if name not in signed:
            yield f"`{name}` is not signed"
        elif name in members and members[name].sha256 != signed[name]:
            yield f"`{name}` has the sha256 {members[name].sha256}, signed is {signed[name]}"


def _included(checking: Checking, members: Mapping[str, Member]) -> Iterator[str]:
    signed = {one["name"]: one["digest"]["sha256"] for one in checking.subjects}
    for name, member in members.items():
        if not name.startswith(f"{MODEL}/"):
            continue
        of_model = name.removeprefix(f"{MODEL}/")
        if of_model not in signed:
            yield f"`{name}` is not signed"
        elif signed[of_model] != member.sha256:
            yield f"`{name}` has the sha256 {member.sha256}, signed is {signed[of_model]}"


def _recipe(
    resolved: Mapping[str, Any], accepted: Accepted, predicate: Mapping[str, Any]
) -> Iterator[str]:
    digest = recipe_digest(resolved)
    if digest != accepted.recipe["digest"]:
        yield f"the resolved recipe has the digest {digest}, the lock proves {accepted.recipe['digest']}"
    if predicate["recipe"]["digest"]["sha256"] != accepted.recipe["digest"]:
        yield "the statement names another recipe than the lock"


def _one_model(report: Report, accepted: Accepted, statement: Mapping[str, Any]) -> Iterator[str]:
    if {file.name: file.sha256 for file in report.files} != accepted.files:
        yield "report and lock have other files"
    if statement["subject"] != subjects(accepted):
        yield "statement and lock have other files"
    if report.holdout is None:
        yield "the report has no scores of the holdout"
        return
    for name, locked in accepted.metrics.items():
        shown = next((one for one in report.holdout.metrics if one.name == name), None)
        free = (
            next((one for one in report.free.metrics if one.name == name), None)
            if report.free
            else None
        )
        values = [one.value for one in (shown, free) if one is not None]
        if values and not any(_same(value, locked["value"]) for value in values):
            yield f"{name} is {values[0]} in the report, {locked['value']} in the lock"


def _verdicts(report: Report, accepted: Accepted, predicate: Mapping[str, Any]) -> Iterator[str]:
    if report.outcome != ACCEPTED or predicate["outcome"] != ACCEPTED:
        yield f"the run ended `{report.outcome}`"
    if predicate["verdicts"] != verdicts(report):
        yield "the report has other verdicts than were signed"
    gates = {"gate": report.gate, "verify": report.verify}
    for name, gate in gates.items():
        if gate is None or gate.status is not Status.PASS:
            yield f"{name} did not pass"
            continue
        if accepted.verdicts.get(name) != gate.status.value:
            yield f"{name} is `{accepted.verdicts.get(name)}` in the lock"
        for check in gate.checks:
            if check.status is Status.PASS and not _keeps(check):
                yield f"{name} says that {check.name} passes, its numbers do not"
            elif check.status in (Status.FAIL, Status.INCONCLUSIVE):
                yield f"{name} passed although {check.name} is `{check.status.value}`"


def _keeps(check: Check) -> bool:
    """Tell whether the number that decides keeps the bound."""
    interval = check.interval
    decided: Mapping[str, Callable[[], float | None]] = {
        "lower bound": lambda: interval.low if interval else check.got,
        "upper bound": lambda: interval.high if interval else check.got,
    }
    number = decided.get(check.decided_on, lambda: check.got)()
    if number is None:
        return False
    return (
        number >= check.bound - NEAR if check.direction == "min" else number <= check.bound + NEAR
    )


def _model(checking: Checking, model: Path) -> None:
    """Find a file, or every file of a folder, among those that were signed."""
    signed = {one["digest"]["sha256"]: one["name"] for one in checking.subjects}

    def problems() -> Iterator[str]:
        try:
            files = (
                sorted(p for p in model.rglob("*") if p.is_file()) if model.is_dir() else [model]
            )
            digests = {file: sha256_of(file) for file in files}
        except OSError as error:
            raise _unreadable(model, error) from error
        if not files:
            yield "the folder is empty"
        for file, digest in digests.items():
            if digest not in signed:
                yield f"`{file.name}` (sha256 {digest}) is none of the model's files"

    checking.claim(f"`{model.name}` is a file of this model", problems())


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= NEAR


def _bytes(members: Mapping[str, Member], name: str) -> bytes:
    member = members.get(name)
    if member is None or member.data is None:
        message = f"`{name}` is missing"
        raise ValueError(message)
    return member.data


def _text(members: Mapping[str, Member], name: str) -> str:
    return _bytes(members, name).decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> RecipeError:
    return RecipeError.one("X664", f"cannot read `{path.name}`: {error.strerror or error}")
