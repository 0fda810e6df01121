"""What `recipe init` was given: one file, several, or folders; which split or class each file is by its name."""

from __future__ import annotations

import re
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from engine.data.splitting.column import PLACES
from engine.drafting.foreign import is_workbook, suffix_of
from engine.drafting.label_names import Names, names_in
from engine.drafting.workbooks import SUFFIXES
from engine.errors import DataError
from engine.files.reading import open_regular
from engine.recipe.text.paths import names_in as entries_of
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.sources.archive import COMPRESSED, BoundedHeader
from engine.sources.streams import DAMAGE, StreamLimits, decompressed, kind_of
from engine.values import Value, replace

LARGEST_ARCHIVE: Final = 1 << 30
"""Bytes of all files of an archive, unpacked."""

TAR: Final = re.compile(r"(?i).+\.(?:tar(?:\.(?:gz|bz2|xz|zst))?|tgz|tbz2?|txz)")
"""Names of tar archives; their first bytes say how they are compressed."""
DOCUMENT: Final = frozenset({"[Content_Types].xml", "mimetype"})
"""Files in archives that are Word's and PowerPoint's documents, or OpenDocument's and e-books."""


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give the paths, with a folder of its files for each archive; the folders are removed at the end.

    DataError D323 where an archive is broken, or its files are too many or too large; D345 for a bomb.
    """
    with ExitStack() as stack:
        yield [_folder_of(path, stack) if _is_archive(path) else path for path in paths]


def _is_archive(path: Path) -> bool:
    if not path.is_file() or is_workbook(path):
        return False
    return TAR.fullmatch(path.name) is not None or kind_of(path) == "zip"


def _folder_of(path: Path, stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recipe-init-")))
    try:
        if TAR.fullmatch(path.name):
            _untar(path, folder)
            return folder
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if not DOCUMENT.isdisjoint(one.filename for one in members):
                raise DataError.one(
                    "D323",
                    f"`{path.name}` is a document of an office program, no archive of data",
                    hint="save its text as .txt or its table as .csv; the name of a workbook ends in .xlsx",
                )
            if len(members) > MOST_FILES or sum(one.file_size for one in members) > LARGEST_ARCHIVE:
                raise _broken(
                    path, f"it holds more than {MOST_FILES:,} files or {LARGEST_ARCHIVE >> 20} MiB"
                )
            size = sum(one.file_size for one in members)
            StreamLimits().check(size, packed=path.stat().st_size, name=path.name)
            for one in members:
                # Never outside of the folder: `extract` leaves out roots and `..`. It reads no more than was declared.
                archive.extract(one, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        *DAMAGE,
    ) as error:
        # RuntimeError: it asks for a password, or is packed in an unknown way.
        raise _broken(path, str(error)) from error
    return folder


def _untar(path: Path, folder: Path) -> None:
    """Write the plain files of a tar archive below a folder, front to back; links and devices are left out."""
    kind = kind_of(path)
    limits = StreamLimits(bytes=LARGEST_ARCHIVE)
    packed = decompressed(path, kind, name=path.name, limits=limits) if kind in COMPRESSED else None
    count = 0
    with (
        packed or open_regular(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader) as archive,
    ):
        for info in archive:
            if not info.isreg() or info.issparse():
                continue
            count += 1
            if count > MOST_FILES or info.size > LARGEST_ARCHIVE:
                raise _broken(
                    path, f"it holds more than {MOST_FILES:,} files or {LARGEST_ARCHIVE >> 20} MiB"
                )
            # The filter refuses names that lead out of the folder.
            archive.extract(info, folder, filter="data")


def _broken(path: Path, why: str) -> DataError:
    return DataError.one(
        "D323",
        f"`{path.name}` cannot be unpacked: {why}",
        hint="unpack it and name the files in it",
    )


SKIPPED: Final = re.compile(
    r"(?i)(readme|licen[cs]e|copying|citation|changelog|sample_?submission|dataset_infos?|dataset_dict|state(?=\.json)|stats|notice)"
    r"\b.*"
)
"""Names of files beside data that are none."""
UNLABELLED: Final = re.compile(
    r"(?i)(?:.*[-_. ])?(?:masked|unlabell?ed|unsup(?:ervised)?|no_?labels?)(?:[-_. ].*)?"
)
"""Names of files and folders whose rows have no answers, or none that is true."""
PACKED: Final = (".gz", ".zst", ".bz2", ".xz")
MORE_PLACES: Final = {
    **dict.fromkeys(("trainset", "trn"), "train"),
    **dict.fromkeys(("validate", "devel", "devset", "valset", "testa", "tune"), "validation"),
    **dict.fromkeys(("evaluation", "eval"), "validation"),
    **dict.fromkeys(("testb", "testset", "heldout", "testing", "tst"), "holdout"),
}
LANGUAGE: Final = re.compile(
    r"(?:ar|bg|cs|da|de|el|en|es|et|fa|fi|fr|he|hi|hr|hu|id|it|ja|ko|lt|lv|nl|no|pl|pt|ro|ru|sk|sl|sv|th|tr|uk|vi|zh"
    r"|src|tgt|source|target)"
)
"""Names of texts and their translations, line by line."""
MOST_FILES: Final = 200_000
FEWEST_LISTED: Final = 4
"""Files from which a table beside them may be the list of them."""
NO_DATA: Final = re.compile(
    r"(?i).*\.(py|ipynb|md|rst|pdf|docx?|html?|png|jpe?g|gif|svg|zip|tar|tgz|sh|toml|cfg|ini|lock|log|bib|tex|db|sqlite"
    r"|pt|bin|safetensors|feat|npy|npz|pkl|pickle|h5)\Z"
)
"""Names of files beside data that no reader could read."""
PAGE: Final = re.compile(r"(?i).*\.(md|rst|markdown)\Z")
TABLES: Final = (
    *(".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".xml"),
    *SUFFIXES,
)


class GivenFile(Value):
    """One file of what was given."""

    path: Path
    into: str = ""
    """The split that its name, or its folder's, says."""
    label: str = ""
    """The class that its name, or its folder's, says."""
    is_document: bool = False
    """Whether the whole file is one row."""

    @property
    def suffix(self) -> str:
        """The ending that tells the format, without that of a compression."""
        return suffix_of(self.path)


class Inputs(Value):
    """The files in the order of their splits."""

    parts: tuple[GivenFile, ...]
    notes: tuple[str, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    """(column, ending of the file) of files that are read line by line beside the first one."""
    names: Names | None = None
    """What the numbers of labels are called, where a file beside the rows says it."""
    table: GivenFile | None = None
    """A table beside texts that are files, which may list them with their labels."""


def _unpacked(name: str) -> str:
    for packed in PACKED:
        name = name.removesuffix(packed)
    return name


def inputs_of(paths: Sequence[Path]) -> Inputs:
    """Return the files of what was named, with the split and the class that names say.

    DataError D320 where nothing is there, or a folder holds no file of data.
    """
    files = list(_files(paths))
    if len(paths) == 1 and not paths[0].is_dir():
        return Inputs(parts=(GivenFile(path=paths[0]),))
    data = [file for file in files if not NO_DATA.match(file.name)]
    # A handbook or a knowledge base: each page is a text.
    are_pages = not data
    files = data or [file for file in files if PAGE.match(file.name)]
    unread = [path.name for path in paths if path not in files and not path.is_dir()]
    files, left = _labelled(files, paths)
    left += (f"left out, no file of rows: {', '.join(unread)}",) if unread else ()
    files, more = _of_rasa(files)
    left += more
    called = {file: names for file in files if (names := names_in(file))}
    if len(called) < len(files):
        files = [file for file in files if file not in called]
    if not files:
        raise DataError.one(
            "D320", f"`{paths[0]}` holds no file of data", hint="name the files themselves"
        )
    parts, more = _settled([GivenFile(path=file, into=_split_of(file, paths)) for file in files])
    found = _pages(parts) if are_pages else _of_parts(parts)
    # Files of another format may have named the only other split.
    parts, again = _settled(list(found.parts))
    order = {"train": 0, "": 1, "validation": 2, "holdout": 3}
    parts.sort(key=lambda part: (order[part.into], str(part.path)))
    names = next(iter(called.values()), None)
    return replace(
        found, parts=tuple(parts), notes=(*left, *more, *found.notes, *again), names=names
    )


def _of_rasa(files: list[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Keep the files of a project of Rasa that hold examples; its domain, rules and stories are no rows."""
    yamls = [file for file in files if file.suffix.lower() in (".yml", ".yaml")]
    kept = [file for file in yamls if re.search(r"(?m)^nlu:", _text(file))] if yamls[1:] else []
    left = [file.name for file in yamls if file not in kept]
    if not kept or not left:
        return files, ()
    return kept, (f"left out, without examples of Rasa: {', '.join(left)}",)


def _labelled(files: list[Path], paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Leave out files whose names, or whose folders', say that their rows have no answers."""

    def says_none(file: Path) -> bool:
        root = next((p for p in paths if p.is_dir() and file.is_relative_to(p)), file.parent)
        return any(UNLABELLED.fullmatch(part) for part in file.relative_to(root).parts)

    kept = [file for file in files if not says_none(file)]
    left = [file.name for file in files if says_none(file)]
    if not kept or not left:
        return files, ()
    shown = f"{left[0]} and {len(left) - 1:,} more are" if len(left) > 1 else f"{left[0]} is"
    return kept, (f"{shown} left out: named as without labels",)


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    count = 0
    for path in paths:
        # Of two files that are named, one that is missed would be the test file.
        if not path.exists():
            near = nearest_file(path.name, entries_of(path.parent))
            hint = did_you_mean(str(path.with_name(near))) if near else None
            raise DataError.one("D320", f"`{path}` does not exist", hint=hint)
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            hidden = path.is_dir() and any(
                part.startswith(".") or part == "__MACOSX" for part in file.relative_to(path).parts
            )
            if not file.is_file() or hidden or (path.is_dir() and SKIPPED.match(file.name)):
                continue
            count += 1
            if count > MOST_FILES:
                raise DataError.one("D320", f"`{path}` holds more than {MOST_FILES:,} files")
            yield file


def _split_of(file: Path, paths: Sequence[Path]) -> str:
    """Return the split that the file's own name says, else the nearest folder below what was named."""
    roots = [path for path in paths if path.is_dir() and file.is_relative_to(path)]
    parts = file.relative_to(roots[0]).parts if roots else (file.name,)
    # `cooking.train`: the ending says it, where it is no format.
    stems = _unpacked(parts[-1]).rsplit(".", 1)
    for name in (*stems, *reversed(parts[:-1])):
        words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
        found = [split for word in words if (split := _place(word))]
        if found:
            return found[-1]
    return ""


def _place(word: str) -> str:
    return PLACES[word].split if word in PLACES else MORE_PLACES.get(word, "")


def _settled(parts: list[GivenFile]) -> tuple[list[GivenFile], tuple[str, ...]]:
    """Where files name a split to learn from and one more, both are official: the other one judges."""
    named = Counter(part.into for part in parts)
    judging = "holdout" if "holdout" in named else "validation" if "validation" in named else ""
    if "train" not in named or not judging:
        return [replace(part, into="") for part in parts], ()
    # A file that names none would be in no split.
    left = [part.path.name for part in parts if not part.into]
    shown = f"{', '.join(left[:3])}{' and more' if left[3:] else ''}"
    notes = (f"left out, of no split: {shown}",) if left else ()
    into = {judging: "holdout"}
    return [replace(p, into=into.get(p.into, p.into)) for p in parts if p.into], notes


def _of_parts(parts: list[GivenFile]) -> Inputs:
    suffixes = Counter(part.suffix for part in parts)
    # Of formats of equally many files, the one with the training rows, then with the most.
    common = max(
        suffixes,
        key=lambda one: (suffixes[one], *_weight([p for p in parts if p.suffix == one])),
    )
    if ".ann" in suffixes and ".txt" in suffixes:
        return Inputs(
            parts=tuple(replace(p, is_document=True) for p in parts if p.suffix == ".txt")
        )
    if common in TABLES:
        # A split that has no file of that format has its own.
        has = {part.into for part in parts if part.suffix == common}
        kept = [
            part for part in parts
            if part.suffix == common or (part.into not in has and part.suffix in TABLES)
        ]  # fmt: skip
        left = [part.path.name for part in parts if part not in kept]
        notes = (f"left out, of another format: {', '.join(left[:5])}",) if left else ()
        return Inputs(parts=tuple(_by_name(kept)), notes=notes)
    if beside := _beside(parts):
        return beside
    tables = [part for part in parts if part.suffix in TABLES]
    texts = [part for part in parts if part.suffix not in TABLES]
    if len(tables) == 1 and len(texts) >= FEWEST_LISTED:
        listed = tuple(replace(part, is_document=True) for part in texts)
        return Inputs(parts=listed, table=tables[0])
    return Inputs(parts=tuple(_by_folder(parts)))


def _weight(parts: list[GivenFile]) -> tuple[bool, int]:
    return any(part.into == "train" for part in parts), sum(p.path.stat().st_size for p in parts)


def _pages(parts: list[GivenFile]) -> Inputs:
    sorted_ = _by_folder(parts) if len({part.path.parent for part in parts}) > 1 else parts
    return Inputs(parts=tuple(replace(part, is_document=True) for part in sorted_))


def _beside(parts: list[GivenFile]) -> Inputs | None:
    """Recognise files that are read line by line beside each other, such as `all.nl` and `all.cm`."""
    by_place: dict[tuple[str, str], list[GivenFile]] = {}
    for part in parts:
        by_place.setdefault((part.into, str(part.path.parent)), []).append(part)
    groups = list(by_place.values())
    names = [sorted(_role(part.path, group) for part in group) for group in groups]
    if len(groups[0]) not in (2, 3) or any(one != names[0] for one in names):
        return None
    first = [
        _lines(part.path) for part in sorted(groups[0], key=lambda p: _role(p.path, groups[0]))
    ]
    if len({len(lines) for lines in first}) != 1 or len(first[0]) < 4:
        return None
    labels = [len(set(lines)) <= max(2, len(lines) // 4) for lines in first]
    are_languages = all(LANGUAGE.fullmatch(name) for name in names[0])
    if not any(labels) and not are_languages and _correlation(first[0], first[1]) < 0.25:
        return None
    widths = [sum(map(len, lines)) for lines in first]
    main = _main(names[0], first, widths)
    rest = [name for name in names[0] if name != names[0][main]]
    parts = [
        part for group in groups for part in group if _role(part.path, group) == names[0][main]
    ]
    return Inputs(parts=tuple(parts), beside=tuple((_column(name), name) for name in rest))


def _main(names: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> int:
    """Return which of the files holds the texts: by its name, else the one with the longest lines that vary."""
    for at, name in enumerate(names):
        if re.search(
            r"(?:^|[._])(?:in|src|source|nl|en|text|texts|input|question|sentence)s?$", name
        ):
            return at
    varied = [at for at, one in enumerate(lines) if len(set(one)) > len(one) // 4]
    return max(varied or range(len(names)), key=widths.__getitem__)


def _role(path: Path, group: Sequence[GivenFile]) -> str:
    """Return what tells a file from the others beside it: its ending where the stems are equal, else its stem."""
    name = _unpacked(path.name)
    stems = {_unpacked(part.path.name).rsplit(".", 1)[0] for part in group}
    role = name.rsplit(".", 1)[-1] if len(stems) == 1 and "." in name else name.removesuffix(".txt")
    words = [word for word in re.split(r"[-_]", role) if not _place(word.lower())]
    return "_".join(words) or role


def _column(role: str) -> str:
    return re.sub(r"\W+", "_", role).strip("_") or "other"


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > 1 << 28:
        return []
    return _text(path).splitlines()


def _text(path: Path) -> str:
    from engine.data.reading.row import Trouble
    from engine.data.reading.text import chunks
    from engine.drafting.encodings import drafted_encoding

    return "".join(chunks(path, drafted_encoding(path, "utf-8"), Trouble(path.name)))


def _correlation(one: Sequence[str], two: Sequence[str]) -> float:
    """Return how far the lengths of lines go together: those of a translation do, those of two classes do not."""
    from statistics import StatisticsError, correlation

    try:
        return correlation([len(x) for x in one], [len(x) for x in two])
    except StatisticsError:
        return 0.0


def _by_folder(parts: list[GivenFile]) -> list[GivenFile]:
    """Take folders for classes where they hold many files each, and names of files where each holds many lines."""
    folders = {part.path.parent for part in parts}
    names = {folder.name for folder in folders if not _place(folder.name.lower())}
    if len(names) >= 2:
        many = len(parts) >= 3 * len(folders)
        # A file beside the folders of the classes is of no class.
        classed = [part for part in parts if not _place(part.path.parent.name.lower())]
        return [replace(part, label=part.path.parent.name, is_document=many) for part in classed]
    return _by_name(parts)


def _by_name(parts: list[GivenFile]) -> list[GivenFile]:
    """Take the names of files for classes where they are different words, and not numbers of one name."""
    names = [_class_in(part.path) for part in parts]
    per_split = Counter((part.into, name) for part, name in zip(parts, names, strict=True))
    # A class stands in every split; else the names say what the parts of a split are.
    by_split = {
        part.into: {name for into, name in per_split if into == part.into} for part in parts
    }
    are_same = len(set(map(frozenset, by_split.values()))) == 1
    is_class = len(set(names)) >= 2 and all(names) and max(per_split.values()) == 1 and are_same
    if not is_class or len(parts) > 100:
        return parts
    return [replace(part, label=name) for part, name in zip(parts, names, strict=True)]


def _class_in(path: Path) -> str:
    """Return the name of a file without its ending, numbers and the names of splits."""
    name = _unpacked(path.name)
    stem, _, ending = name.rpartition(".")
    # `rt-polarity.pos`: the ending is the class.
    word = ending if stem and f".{ending.lower()}" not in (*TABLES, ".txt") else stem or ending
    words = [one for one in re.split(r"[-_. ]+|\d+", word) if one and not _place(one.lower())]
    return "_".join(words)
