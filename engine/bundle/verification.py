"""Taking a bundle apart, offline: every byte, every digest, every verdict, and who signed.

Nothing is believed because it is in the bundle. Each claim is one line that holds or does not; the
first that fails does not hide the others, as far as they can still be looked at.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from engine.bundle import facts, gates, written
from engine.bundle.contents import (
    EVIDENCE,
    KEY,
    MODEL,
    STATEMENT,
    Contents,
    ContentsError,
    bytes_of,
    read_contents,
)
from engine.bundle.row_table import ROWS
from engine.bundle.signing import (
    MOST_BYTES,
    PREDICATE_TYPE,
    TYPE,
    checked,
    key_id,
    known_signers,
    public_key,
    to_bytes,
)
from engine.bundle.tar_archive import ArchiveError, Member, read_archive
from engine.errors import RecipeError
from engine.files.digests import sha256_of
from engine.files.reading import parse_json, read_bytes, require_regular
from engine.values import Value, brief_text

_KEY_ID: Final = re.compile(r"[0-9a-fA-F]{64}")
CLAIMS: Final[Mapping[str, Callable[[Contents], Iterator[str]]]] = {
    "report, lock and recipe are written as they should be": written.form_problems,
    "report and lock show what the recipe asks for": facts.recipe_problems,
    "report and lock are of one run": facts.run_problems,
    "scores, comparisons and checks follow from the rows": gates.row_problems,
    "the gates passed": gates.gate_problems,
    "the pages for people say what the report says": written.page_problems,
    "the statement says what report and lock say": written.statement_problems,
}
WITHOUT_ROWS: Final = (gates.gate_problems, written.statement_problems)


class Claim(Value):
    what: str
    problem: str = ""
    """Why it does not hold, precisely; empty where it does."""

    @property
    def holds(self) -> bool:
        return not self.problem


class BundleVerdict(StrEnum):
    VERIFIED = "verified"
    """Every claim holds, and the caller knows the key that signed."""
    CONSISTENT = "consistent, signer unknown"
    """Every claim holds, and anybody may have signed it."""
    SIGNED = "signed, not recomputed, signer unknown"
    """The same of a bundle without rows: its numbers follow from nothing."""
    NOT_VERIFIED = "not verified"


@dataclass(slots=True, kw_only=True)
class Checking:
    claims: list[Claim] = field(default_factory=list)
    signer: str = ""
    """sha256 of the key that signed; empty where no signature holds."""
    is_known: bool = False
    """The signature is that of a key which the caller named, or has made known before."""
    contents: Contents | None = None
    """What the files say; None where they cannot be read."""
    subjects: tuple[Mapping[str, Any], ...] = ()

    @property
    def recipe(self) -> str:
        """The recipe's name; empty where the files cannot be read."""
        return self.contents.recipe.name if self.contents else ""

    @property
    def holds(self) -> bool:
        return all(claim.holds for claim in self.claims)

    @property
    def verdict(self) -> BundleVerdict:
        if not self.holds:
            return BundleVerdict.NOT_VERIFIED
        if self.is_known:
            return BundleVerdict.VERIFIED
        has_rows = self.contents is not None and self.contents.rows is not None
        return BundleVerdict.CONSISTENT if has_rows else BundleVerdict.SIGNED

    def claim(self, what: str, problems: Iterable[str]) -> None:
        self.claims.append(Claim(what=what, problem="; ".join(problems)))


def check_bundle(bundle: Path, *, model: Path | None = None, key: str | None = None) -> Checking:
    """Take a bundle apart; `key` is the sha256 of the key that must have signed, or the file that holds it.

    RecipeError: X661 `key` is no public key; X664 a file cannot be read. EnvironmentProblem: X660 the library
    that checks signatures is missing.
    """
    # read first: a wrong --key is an error of the call, whatever the bundle holds
    trusted = _id_of(key) if key else None
    checking, whole = Checking(), "the file is a bundle, byte for byte"
    try:
        members = {member.name: member for member in read_archive(bundle, is_large=_is_model)}
    except ArchiveError as error:
        checking.claim(whole, [str(error)])
        return checking
    except OSError as error:
        raise _unreadable(bundle, error) from error
    due = {*EVIDENCE, STATEMENT, KEY}
    missing = sorted(due - members.keys())
    # such a file is signed by nobody, and would still be taken for a part of the bundle
    others = sorted(name for name in members.keys() - {*due, ROWS} if not _is_model(name))
    found = [f"{', '.join(missing)} is missing"] if missing else []
    found += [f"{', '.join(others)} does not belong in it"] if others else []
    checking.claim(whole, found)
    # without a statement that was signed there is nothing to hold the files to
    statement = _signed(checking, members, trusted)
    if statement is None:
        return checking
    _content(checking, members, statement)
    if model is not None:
        _model(checking, model)
    # where the caller names a key, that one counts alone
    if trusted is None and checking.signer:
        checking.is_known = checking.signer in known_signers()
    return checking


def _is_model(name: str) -> bool:
    return name.startswith(f"{MODEL}/")


def _content(
    checking: Checking, members: Mapping[str, Member], statement: Mapping[str, Any]
) -> None:
    """Compare the signed statement with the files of the bundle, and these with each other."""
    signed = {one["name"]: one["digest"]["sha256"] for one in statement["predicate"]["evidence"]}
    names = (*EVIDENCE, *({ROWS} & {*members, *signed}))
    checking.claim("the evidence is what was signed", _unsigned(names, members, signed))
    try:
        found = read_contents(members, statement)
    except ContentsError as error:
        checking.claim("report, lock and recipe can be read", [str(error)])
        return
    checking.contents = found
    if models := list(filter(_is_model, members)):
        sizes = {f"{MODEL}/{file.name}": file.bytes for file in found.report.files}
        digests = {f"{MODEL}/{one['name']}": one["digest"]["sha256"] for one in checking.subjects}
        problems = list(_unsigned(sorted({*models, *sizes}), members, digests))
        problems += [
            f"`{name}` has {members[name].size:,} bytes, the report says {sizes.get(name)}"
            for name in models
            if members[name].size != sizes.get(name)
        ]
        checking.claim("the model files are what was signed", problems)
    for what, compare in claims_of(found):
        checking.claim(what, _problems(compare, found))


def _unsigned(
    names: Iterable[str], members: Mapping[str, Member], signed: Mapping[str, str]
) -> Iterator[str]:
    for name in names:
        member, digest = members.get(name), signed.get(name)
        if digest is None:
            yield f"`{name}` is not signed"
        elif member is None:
            yield f"`{name}` is missing"
        elif member.sha256 != digest:
            yield f"`{name}` has the sha256 {member.sha256}, signed is {digest}"


def claims_of(found: Contents) -> Iterator[tuple[str, Callable[[Contents], Iterator[str]]]]:
    """Yield what is compared of a bundle: each claim with what yields its problems."""
    for what, problems in CLAIMS.items():
        if found.rows is not None or problems in WITHOUT_ROWS:
            yield what, problems


def content_problems(found: Contents) -> Iterator[str]:
    for _, problems in claims_of(found):
        yield from _problems(problems, found)


def _problems(problems: Callable[[Contents], Iterator[str]], found: Contents) -> Iterator[str]:
    """Yield problems; values that no engine writes, and that cannot be computed with, are one too."""
    try:
        yield from problems(found)
    except ContentsError as error:
        yield str(error)
    # the values of others can break any computation; that is a problem of the bundle, not of ours
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        yield f"it holds values that cannot be compared ({brief_text(str(error))})"


def _signed(
    checking: Checking, members: Mapping[str, Member], trusted: str | None
) -> Mapping[str, Any] | None:
    """Check the signature by the key in the bundle, and that key by the one the caller trusts."""
    found: Mapping[str, Any] | None = None
    problem = ""
    try:
        key = public_key(bytes_of(members, KEY), KEY)
        payload, checking.signer = checked(bytes_of(members, STATEMENT), key), key_id(key)
        found = _statement(payload)
        checking.subjects = tuple(found["subject"])
    except RecipeError as error:
        problem = error.problems[0].message
    except (KeyError, ValueError) as error:
        # a KeyError shows its message in quotes
        problem = str(error).strip("'")
    checking.claim("the statement is signed by the key in the bundle", [problem])
    if trusted is not None:
        other = f"it is signed by {checking.signer or 'no key'}, the key named is {trusted}"
        checking.is_known = checking.signer == trusted
        checking.claim("the key is the one named by --key", [] if checking.is_known else [other])
    return found


def _statement(payload: bytes) -> Mapping[str, Any]:
    """Return the statement; ValueError for one of another kind."""
    try:
        found: Mapping[str, Any] = parse_json(payload)
        kinds = (found["_type"], found["predicateType"])
        named = (*found["subject"], *found["predicate"]["evidence"])
        is_named = all(
            isinstance(one["name"], str) and isinstance(one["digest"]["sha256"], str)
            for one in named
        )
        canonical = to_bytes(found)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("what is signed is no in-toto statement") from error
    if not is_named:
        raise ValueError("what is signed is no in-toto statement")
    if kinds != (TYPE, PREDICATE_TYPE):
        what = brief_text(str(kinds[1]))
        raise ValueError(f"what is signed is a `{what}`, not a `{PREDICATE_TYPE}`")
    # JSON with a key that stands twice says different things to different readers
    if canonical != payload:
        raise ValueError("the statement is not written as ours are")
    return found


def _model(checking: Checking, model: Path) -> None:
    """Find a file, or every file of a folder, among those that were signed."""
    signed = {one["digest"]["sha256"] for one in checking.subjects}
    files = checking.contents.report.files if checking.contents else ()
    sizes = {one.sha256: one.bytes for one in files}
    problems = list[str]()
    try:
        # by digest and not by name: people rename what they download
        given = sorted(p for p in model.rglob("*") if p.is_file()) if model.is_dir() else [model]
        for place in given:
            require_regular(place)
            digest, size = sha256_of(place), place.stat().st_size
            if digest not in signed:
                problems.append(f"`{place.name}` (sha256 {digest}) is none of the model's files")
            elif sizes.get(digest, size) != size:
                says = f"the report says {sizes[digest]:,}"
                problems.append(f"`{place.name}` has {size:,} bytes, {says}")
    except OSError as error:
        raise _unreadable(model, error) from error
    claim = f"`{model.name}` is a file of this model"
    checking.claim(claim, problems if given else ["the folder is empty"])


def _id_of(key: str) -> str:
    if _KEY_ID.fullmatch(key):
        return key.lower()
    path = Path(key)
    try:
        return key_id(public_key(read_bytes(path, limit=MOST_BYTES), path.name))
    except OSError as error:
        hint = "--key takes the file of a public key (PEM), or its sha256: 64 hex digits"
        raise _unreadable(path, error, hint) from error


def _unreadable(path: Path, error: OSError, hint: str | None = None) -> RecipeError:
    message = f"cannot read `{path.name}`: {error.strerror or error}"
    return RecipeError.one("X664", message, hint=hint)
