"""What is published: files of the model in the forms asked for, the card, the evidence, and the sums of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.bundle.archive import ENDING
from engine.bundle.build import as_they_leave, make_bundle, report_of
from engine.bundle.contents import REPORT, RESOLVED
from engine.bundle.signing import key_place
from engine.errors import RecipeError
from engine.evidence import Report
from engine.lock.file import read_lock
from engine.publish import card as model_signature
from engine.publish.card import SUFFIX, PublishedFile, bill_of, published_card
from engine.runs.row_drift import counts_text, holdout_counts
from engine.store import Store, sha256_of
from engine.store.runs import (
    ACCEPTED,
    BUNDLED_LOCK,
    read_file,
    require_exported,
    require_ours,
)
from engine.values import Value

FORMS: Final = ("gguf", "merged", "adapter")
CARD: Final = "README.md"
SUMS: Final = "SHA256SUMS"
COUNTS: Final = "holdout-counts.json"
FORMAT_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "gguf": ("gguf", "ollama", "calibration"),
    "merged": ("safetensors",),
}
"""Formats of a report's files, by form; the adapter is in no export."""


class Publication(Value):
    """All that is published of a run."""

    run: Path
    report: Report
    forms: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    """The card first, then by name."""
    key: str
    """sha256 of the key that signed the bundle; empty where there is none."""
    later: tuple[str, ...]
    """Files that are made only when it is published, so that a look makes no key."""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def file(self, suffix: str) -> PublishedFile | None:
        return next((one for one in self.files if one.name.endswith(suffix)), None)


class PublishOptions(Value):
    """What the user asks to publish."""

    forms: tuple[str, ...] = ()
    """Of `FORMS`; empty for the GGUF file, or the merged model where the run made no such file."""
    key: Path | None = None
    """The private key that signs the bundle; None for the user's own."""
    makes_key: bool = True
    """Make the user's own key where there is none yet."""
    signing_key: Path | None = None
    """The elliptic key (PEM) that signs all files together; None for no such signature."""
    has_evidence: bool = True
    """Card, report and bundle beside the model."""


def gather(run: Path, store: Store, options: PublishOptions, work: Path) -> Publication:
    """Return what a run publishes; what is written for it stands in the folder `work`.

    Raises:
        RecipeError: R421 the run was not accepted, R422 it has no model in a form asked for, and as `make_bundle`.
        StoreError: E751 the run was not made here; E758 a file is not the one that the run left.

    """
    require_ours(run, "it is not published as yours")
    report = report_of(run)
    if report.outcome != ACCEPTED:
        raise RecipeError.one(
            "R421",
            f"`{run.parent.name}/{run.name}` was not accepted: it ended `{report.outcome}`",
            hint="publish an accepted run; `recipe predict --unaccepted` queries this one on this machine",
        )
    found: dict[str, dict[str, Path]] = {
        form: {file.name: run / file.name for file in report.files if file.format in formats}
        for form, formats in FORMAT_OF.items()
    }
    require_exported(run, [name for files in found.values() for name in files])
    lock = read_lock(run / BUNDLED_LOCK) if (run / BUNDLED_LOCK).is_file() else None
    digests = lock.accepted.adapter if lock and lock.accepted else {}
    found["adapter"] = {
        name: run / name
        for name, digest in digests.items()
        if name.startswith("adapter/")
        and (run / name).is_file()
        and sha256_of(run / name) == digest
    }
    known = found
    forms = options.forms or (("gguf",) if known["gguf"] else ("merged",))
    made = _Gathered(report=report, files=[*_model_files(run, known, forms)])
    if options.has_evidence and "gguf" in forms:
        made.files += _holdout_counts(run, store, work)
    if options.has_evidence:
        _add_evidence(made, run, forms, options, work)
    return Publication(
        run=run,
        report=made.report,
        forms=forms,
        key=made.key,
        later=made.later,
        files=tuple(sorted(made.files, key=lambda file: (file.name != CARD, file.name))),
    )


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What has been found so far."""

    report: Report
    files: list[PublishedFile]
    key: str = ""
    later: tuple[str, ...] = ()


def _add_evidence(
    made: _Gathered, run: Path, forms: tuple[str, ...], options: PublishOptions, work: Path
) -> None:
    """Add card, report and bundle; then the sums of all."""
    report = made.report
    name = f"{report.recipe_name}{ENDING}"
    if options.makes_key or options.key or key_place().exists():
        bundle = make_bundle(run, work / name, key=options.key)
        made.key = bundle.key
        made.files.append(PublishedFile.of(name, bundle.file))
    else:
        made.later = (CARD, name, SUMS)  # the card names the key
    evidence = {RESOLVED: read_file(run, RESOLVED), REPORT: read_file(run, REPORT)}
    made.report, pages = as_they_leave(report, evidence, with_row_texts=False)
    made.files += [_written(work, name, pages[name]) for name in (REPORT, "report.html")]
    lock = read_lock(run / BUNDLED_LOCK) if (run / BUNDLED_LOCK).is_file() else None
    locked = lock.accepted if lock else None
    bill = bill_of(made.report, made.files, locked, run=run.name, form=forms[0])
    made.files.append(_written(work, f"{report.recipe_name}{SUFFIX}", bill))
    if made.later:
        return
    signed = [model_signature.FILE] if options.signing_key else []
    names = [*(file.name for file in made.files), *signed]
    card = published_card(made.report, forms=forms, names=names, key=made.key)
    made.files.append(_written(work, CARD, card.encode()))
    made.files.append(_written(work, SUMS, sums_of(made.files).encode()))
    if options.signing_key:
        target = work / model_signature.FILE
        model_signature.sign_files(made.files, options.signing_key, target)
        made.files.append(PublishedFile.of(model_signature.FILE, target))


def _holdout_counts(run: Path, store: Store, work: Path) -> Iterator[PublishedFile]:
    """Yield the counts of the holdout, which `recipe drift` compares new rows with; none where the store lost them."""
    try:
        counts = holdout_counts(run, store)
    # It is evidence of the side: a model leaves without it.
    except RecipeError:
        return
    yield _written(work, COUNTS, counts_text(counts).encode())


def sums_of(files: Sequence[PublishedFile]) -> str:
    """Return digests and names as `sha256sum -c` reads them."""
    lines = sorted((file.name, file.sha256) for file in files)
    return "".join(f"{digest}  {name}\n" for name, digest in lines)


def _written(work: Path, name: str, content: bytes) -> PublishedFile:
    path = work / name
    path.write_bytes(content)
    return PublishedFile.of(name, path)


Known = Mapping[str, Mapping[str, Path]]
"""By form: files by their names in the run folder."""


def _model_files(run: Path, known: Known, forms: Sequence[str]) -> Iterator[PublishedFile]:
    """Yield the files of the forms. RecipeError R422 for a form that the run has not."""
    for form in forms:
        if not known[form]:
            others = ", ".join(one for one in FORMS if known[one]) or "none"
            hint = "`gguf` is of export.formats, `merged` is `safetensors` there; a full training has no adapter"
            raise RecipeError.one(
                "R422",
                f"`{run.parent.name}/{run.name}` has no model in the form `{form}`: {others}",
                hint=hint,
            )
        for name, path in sorted(known[form].items()):
            yield PublishedFile.of(_name(form, name, forms), path)


def _name(form: str, name: str, forms: Sequence[str]) -> str:
    """Return the name in the place: transformers reads a model at the top, where one form can stand."""
    if form == "adapter" and "merged" in forms:
        return name
    return name.partition("/")[2] if form in ("merged", "adapter") else name
