"""What `recipe init` was given: one file, several, or folders; which split or class each file is by its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import StatisticsError, correlation
from tempfile import TemporaryDirectory
from typing import Final

from engine.data.splitting.column import PLACES
from engine.drafting.encodings import text_of
from engine.drafting.foreign import is_workbook, suffix_of
from engine.drafting.label_names import Names, names_in
from engine.drafting.layout_table import PATTERNS
from engine.drafting.profile import NAMES
from engine.drafting.workbooks import SUFFIXES
from engine.errors import DataError
from engine.recipe.text.paths import names_in as entries_of
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.sources.archive import unpack
from engine.sources.streams import StreamLimits, kind_of
from engine.values import Value, replace

MOST_FILES: Final = 200_000
TABLES: Final = (
    *(".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".xml"),
    *SUFFIXES,
)


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give the paths, with a folder of its files for each archive; the folders are removed at the end.

    DataError D323 for a document of an office program, and as `unpack` raises it.
    """
    with ExitStack() as stack:
        found = list(paths)
        for at, path in enumerate(paths):
            is_packed = path.is_file() and not is_workbook(path)
            if is_packed and (PATTERNS["tar"].fullmatch(path.name) or kind_of(path) == "zip"):
                found[at] = folder = Path(stack.enter_context(TemporaryDirectory(prefix="recipe-init-")))  # fmt: skip
                unpack(path, folder, most=MOST_FILES, limits=StreamLimits(bytes=1 << 30))
                if any((folder / name).exists() for name in ("[Content_Types].xml", "mimetype")):
                    raise DataError.one(
                        "D323",
                        f"`{path.name}` is a document of an office program, no archive of data",
                        hint="save its text as .txt or its table as .csv; the name of a workbook ends in .xlsx",
                    )
        yield found


class GivenFile(Value):
    path: Path
    into: str = ""
    """The split that its name, or its folder's, says."""
    label: str = ""
    """The class that its name, or its folder's, says."""
    is_document: bool = False
    """Whether the whole file is one row."""

    @property
    def suffix(self) -> str:
        return suffix_of(self.path)


class Inputs(Value):
    """The files in the order of their splits."""

    parts: tuple[GivenFile, ...]
    notes: tuple[str, ...] = ()
    beside: Mapping[Path, tuple[tuple[str, Path], ...]] = {}
    """Of a file: (column, file) of those that are read line by line beside it."""
    names: Names | None = None
    """What the numbers of labels are called, where a file beside the rows says it."""
    table: GivenFile | None = None
    """A table beside texts that are files, which may list them with their labels."""


def _unpacked(name: str) -> str:
    for packed in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    return name


def inputs_of(paths: Sequence[Path]) -> Inputs:
    """Return the files of what was named, with the split and the class that names say.

    DataError D320 where nothing is there, or a folder holds no file of data.
    """
    files = list(_files(paths))
    if len(paths) == 1 and not paths[0].is_dir():
        return Inputs(parts=(GivenFile(path=paths[0]),), names=_names_beside(paths[0]))
    data = [file for file in files if not PATTERNS["no data"].match(file.name)]
    # A handbook or a knowledge base: each page is a text.
    are_pages = not data
    files = data or [file for file in files if PATTERNS["page"].match(file.name)]
    unread = [path.name for path in paths if path not in files and not path.is_dir()]
    files, left = _labelled(files, paths)
    left += [f"left out, no file of rows: {', '.join(unread)}"] if unread else []
    # A project of Rasa: its domain, rules and stories are no rows.
    yamls = [file for file in files if file.suffix.lower() in (".yml", ".yaml")]
    examples = [one for one in yamls if yamls[1:] and re.search(r"(?m)^nlu:", text_of(one))]
    if examples and (others := [file.name for file in yamls if file not in examples]):
        files = examples
        left.append(f"left out, without examples of Rasa: {', '.join(others)}")
    called = {file: names for file in files if (names := names_in(file))}
    if len(called) < len(files):
        files = [file for file in files if file not in called]
    if not files:
        raise DataError.one(
            "D320", f"`{paths[0]}` holds no file of data", hint="name the files themselves"
        )
    parts, more = _settled([GivenFile(path=file, into=_split_of(file, paths)) for file in files])
    if are_pages:
        parts = _by_folder(parts) if len({part.path.parent for part in parts}) > 1 else parts
        found = Inputs(parts=tuple(replace(part, is_document=True) for part in parts))
    else:
        found = _of_parts(parts)
    # Files of another format may have named the only other split.
    parts, again = _settled(list(found.parts))
    order = {"train": 0, "": 1, "validation": 2, "holdout": 3}
    parts.sort(key=lambda part: (order[part.into], str(part.path)))
    names = next(iter(called.values()), None)
    notes = (*left, *more, *found.notes, *again)
    return replace(found, parts=tuple(parts), notes=notes, names=names)


def _names_beside(path: Path) -> Names | None:
    """Return the names of labels that `labels.txt` or a file of the like says, beside a file that was named alone."""
    beside = (path.with_name(name) for name in sorted(entries_of(path.parent)))
    texts = (one for one in beside if one.suffix in (".txt", ".json") and one.name != path.name)
    return next(filter(None, (names_in(one) for one in texts if one.is_file())), None)


def _labelled(files: list[Path], paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Leave out files whose names, or whose folders', say that their rows have no answers."""

    def says_none(file: Path) -> bool:
        root = next((p for p in paths if p.is_dir() and file.is_relative_to(p)), file.parent)
        return any(PATTERNS["unlabelled"].fullmatch(part) for part in file.relative_to(root).parts)

    kept = [file for file in files if not says_none(file)]
    left = [file.name for file in files if says_none(file)]
    if not kept or not left:
        return files, []
    shown = f"{left[0]} and {len(left) - 1:,} more are" if len(left) > 1 else f"{left[0]} is"
    return kept, [f"{shown} left out: named as without labels"]


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    count = 0
    for path in paths:
        # Of two files that are named, one that is missed would be the test file.
        if not path.exists():
            near = nearest_file(path.name, entries_of(path.parent))
            hint = did_you_mean(str(path.with_name(near))) if near else None
            raise DataError.one("D320", f"`{path}` does not exist", hint=hint)
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            parts = file.relative_to(path).parts
            is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
            if not file.is_file() or is_hidden or PATTERNS["no rows"].match(file.name):
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
        words = re.split(r"[^a-z]+", name.lower())
        if found := [split for word in words if (split := _place(word))]:
            return found[-1]
    return ""


def _place(word: str) -> str:
    return PLACES[word].split if word in PLACES else NAMES["places"].get(word, "")


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

    def weight(suffix: str) -> tuple[int, bool, int]:
        some = [part for part in parts if part.suffix == suffix]
        size = sum(part.path.stat().st_size for part in some)
        return len(some), any(part.into == "train" for part in some), size

    # Of formats of equally many files, the one with the training rows, then with the most.
    common = max(suffixes, key=weight)
    texts = [replace(part, is_document=True) for part in parts if part.suffix not in TABLES]
    if ".ann" in suffixes and ".txt" in suffixes:
        return Inputs(parts=tuple(part for part in texts if part.suffix == ".txt"))
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
    if len(tables) == 1 and len(texts) >= 4:
        # The table may be the list of them.
        return Inputs(parts=tuple(texts), table=tables[0])
    return Inputs(parts=tuple(_by_folder(parts)))


def _beside(parts: list[GivenFile]) -> Inputs | None:
    """Recognise files that are read line by line beside each other, such as `all.nl` and `all.cm`."""
    by_place: dict[tuple[str, str], list[GivenFile]] = {}
    for part in parts:
        by_place.setdefault((part.into, str(part.path.parent)), []).append(part)
    groups = [
        sorted(((_role(part.path, some), part) for part in some), key=lambda one: one[0])
        for some in by_place.values()
    ]
    names = [[role for role, _ in group] for group in groups]
    if len(groups[0]) not in (2, 3) or any(one != names[0] for one in names):
        return None
    first = [
        text_of(part.path).splitlines() if part.path.stat().st_size <= 1 << 28 else []
        for _, part in groups[0]
    ]
    if len({len(lines) for lines in first}) != 1 or len(first[0]) < 4:
        return None
    if all(len(set(lines)) > max(2, len(lines) // 4) for lines in first) and not all(
        map(PATTERNS["language"].fullmatch, names[0])
    ):
        # The lengths of a translation go together, those of two classes do not.
        try:
            if correlation(*([len(line) for line in lines] for lines in first[:2])) < 0.25:
                return None
        except StatisticsError:
            return None
    # The texts: by the name of the file, else the longest lines that vary.
    varied = [at for at, one in enumerate(first) if len(set(one)) > len(one) // 4]
    longest = max(varied or range(len(first)), key=lambda at: sum(map(len, first[at])))
    main = names[0][
        next(
            (at for at, one in enumerate(names[0]) if PATTERNS["file of texts"].search(one)),
            longest,
        )
    ]
    beside = {}
    for group in groups:
        path = next(part.path for role, part in group if role == main)
        beside[path] = tuple(
            (re.sub(r"\W+", "_", role).strip("_") or "other", part.path)
            for role, part in group
            if role != main
        )
    return Inputs(parts=tuple(part for part in parts if part.path in beside), beside=beside)


def _role(path: Path, group: Sequence[GivenFile]) -> str:
    """Return what tells a file from the others beside it: its ending where the stems are equal, else its stem."""
    name = _unpacked(path.name)
    stems = {_unpacked(part.path.name).rsplit(".", 1)[0] for part in group}
    role = name.rsplit(".", 1)[-1] if len(stems) == 1 and "." in name else name.removesuffix(".txt")
    words = [word for word in re.split(r"[-_]", role) if not _place(word.lower())]
    return "_".join(words) or role


def _by_folder(parts: list[GivenFile]) -> list[GivenFile]:
    """Take folders for classes where they hold many files each, and names of files where each holds many lines."""
    folders = {part.path.parent for part in parts}
    # A file beside the folders of the classes is of no class.
    classed = [part for part in parts if not _place(part.path.parent.name.lower())]
    if len({part.path.parent.name for part in classed}) < 2:
        return _by_name(parts)
    many = len(parts) >= 3 * len(folders)
    return [replace(part, label=part.path.parent.name, is_document=many) for part in classed]


def _by_name(parts: list[GivenFile]) -> list[GivenFile]:
    """Take the names of files for classes where they are different words, and not numbers of one name."""
    names = [_class_in(part.path) for part in parts]
    per_split = Counter((part.into, name) for part, name in zip(parts, names, strict=True))
    # A class stands in every split; else the names say what the parts of a split are.
    splits = {part.into for part in parts}
    is_same = all((into, name) in per_split for into in splits for name in names)
    is_class = len(set(names)) >= 2 and all(names) and max(per_split.values()) == 1
    if not is_class or len(parts) > 100 or not is_same:
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
