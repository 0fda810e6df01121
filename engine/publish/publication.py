"""The published files: the model in the requested forms, the card, the evidence, and the checksums of all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.bundle.build import as_they_leave, make_bundle, report_of
from engine.bundle.contents import REPORT, RESOLVED
from engine.bundle.signing import key_place
from engine.bundle.tar_archive import ENDING
from engine.errors import Problem, RecipeError, StoreError
from engine.evidence import Report
from engine.files.writing import new_folder, require_absent
from engine.lock.file import read_lock
from engine.publish import model_card as model_signature
from engine.publish.model_card import SUFFIX, PublishedFile, bill_of, published_card
from engine.runs.row_drift import counts_text, holdout_counts
from engine.store import Store, sha256_of
from engine.store.records import ACCEPTED, BUNDLED_LOCK, read_file, require_exported, require_ours
from engine.values import Value

Note = Callable[[str], None]
"""Shows how far publishing is."""


class Published(Value):
    """A published place, after its files were read back and had the digests that were sent."""

    place: str
    """The place as people open it: a folder, an address, a name."""
    digest: str
    """Digest by which the place names this version: a commit, a manifest; empty where it has none."""
    read_back: int
    """Files, or parts of a file, that were read back and compared."""
    lines: tuple[str, ...] = ()
    """Further information for a person, a line each."""


def require_sent(blocks: Iterable[bytes], place: str, name: str, *, sha256: str, size: int) -> None:
    """Raise StoreError X832 unless the blocks that come back are the file that was sent."""
    found, read = hashlib.sha256(), 0
    for block in blocks:
        found.update(block)
        read += len(block)
        if read > size:  # what is longer is another one, and may have no end
            break
    if found.hexdigest() != sha256:
        raise other_file(place, name, sent=sha256, found=found.hexdigest())


def other_file(place: str, name: str, *, sent: str, found: str) -> StoreError:
    return StoreError(
        Problem(
            code="X832",
            message=f"`{name}` in {place} is not what was sent: sha256 {found[:12]} in the place of {sent[:12]}",
            hint="remove it there and publish again",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A new folder. `check` comes before `publish`."""

    folder: Path

    def words(self) -> str:
        return f"the new folder {self.folder}"

    def check(self) -> None:
        """RecipeError X830 for a folder that exists."""
        require_absent(self.folder, code="X830", option="--name FOLDER")

    def publish(self, publication: Publication, note: Note) -> Published:
        """Write the whole folder or nothing. RecipeError, StoreError X830; StoreError X832."""
        with new_folder(self.folder, code="X830", option="--name FOLDER") as folder:
            for file in publication.files:
                note(file.name)
                target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, target)
                found = sha256_of(target)
                if found != file.sha256:
                    raise other_file(str(self.folder), file.name, sent=file.sha256, found=found)
        return Published(place=str(self.folder), digest="", read_back=len(publication.files))


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


class PublishOptions(Value):
    forms: tuple[str, ...] = ()
    """Some of `FORMS`; empty for the GGUF file, or the merged model where the run made no such file."""
    key: Path | None = None
    """The private key that signs the bundle; None for the user's own."""
    makes_key: bool = True
    """Make the user's own key where there is none yet."""
    signing_key: Path | None = None
    """The elliptic key (PEM) that signs all files together; None for no such signature."""


def gather(run: Path, store: Store, options: PublishOptions, work: Path) -> Publication:
    """Return the publication of a run; files that are made for it are in the folder `work`.

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
    forms = options.forms or (("gguf",) if found["gguf"] else ("merged",))
    files = [*_model_files(run, found, forms)]
    key, later = "", tuple[str, ...]()
    if "gguf" in forms:
        files += _holdout_counts(run, store, work)
    name = f"{report.recipe_name}{ENDING}"
    if options.makes_key or options.key or key_place().exists():
        bundle = make_bundle(run, work / name, key=options.key)
        key = bundle.key
        files.append(PublishedFile.of(name, bundle.file))
    else:
        later = (CARD, name, SUMS)  # the card names the key
    evidence = {RESOLVED: read_file(run, RESOLVED), REPORT: read_file(run, REPORT)}
    report, pages = as_they_leave(report, evidence, with_row_texts=False)
    files += [_written(work, page, pages[page]) for page in (REPORT, "report.html")]
    bill = bill_of(report, files, lock.accepted if lock else None, run=run.name)
    files.append(_written(work, f"{report.recipe_name}{SUFFIX}", bill))
    if not later:
        signed = [model_signature.FILE] if options.signing_key else []
        names = [*(file.name for file in files), *signed]
        card = published_card(report, forms=forms, names=names, key=key)
        files.append(_written(work, CARD, card.encode()))
        # digests and names as `sha256sum -c` reads them
        sums = (f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda one: one.name))
        files.append(_written(work, SUMS, "".join(sums).encode()))
        if options.signing_key:
            target = work / model_signature.FILE
            model_signature.sign_files(files, options.signing_key, target)
            files.append(PublishedFile.of(model_signature.FILE, target))
    files.sort(key=lambda file: (file.name != CARD, file.name))
    return Publication(
        run=run, report=report, forms=forms, key=key, later=later, files=tuple(files)
    )


def _holdout_counts(run: Path, store: Store, work: Path) -> Iterator[PublishedFile]:
    """Yield the counts of the holdout, which `recipe drift` compares new rows with; none where the store lost them."""
    try:
        counts = holdout_counts(run, store)
    # The model is published without it.
    except RecipeError:
        return
    yield _written(work, COUNTS, counts_text(counts).encode())


def _written(work: Path, name: str, content: bytes) -> PublishedFile:
    path = work / name
    path.write_bytes(content)
    return PublishedFile.of(name, path)


def _model_files(
    run: Path, known: Mapping[str, Mapping[str, Path]], forms: Sequence[str]
) -> Iterator[PublishedFile]:
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
        # transformers reads a model at the top, where there is room for one form
        is_at_top = form == "merged" or (form == "adapter" and "merged" not in forms)
        for name, path in sorted(known[form].items()):
            yield PublishedFile.of(name.partition("/")[2] if is_at_top else name, path)
