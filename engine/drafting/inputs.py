"""What `recipe init` was given: one file, several, or folders; which split or class each file is by its name."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from engine.drafting.binary_files import COLUMNAR, WORKBOOKS
from engine.drafting.label_numbers import Names, names_in
from engine.drafting.layout_table import PATTERNS, split_in, split_named
from engine.drafting.source_reading import Reading, local, text_of
from engine.errors import DataError
from engine.recipe.model import ColumnFile
from engine.recipe.text.paths import SUFFIXES, suffix_of, unpacked_name
from engine.recipe.text.paths import names_in as entries_of
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.sources.archive import StreamLimits, kind_of, unpack
from engine.values import Value, replace

MOST_FILES: Final = 200_000
TABLES: Final = {*SUFFIXES, *WORKBOOKS, *COLUMNAR} - {".txt"}


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give the paths, with a folder of its files for each archive; the folders are removed at the end.

    DataError D323 for a document of an office program, and as `unpack` raises it.
    """
    with ExitStack() as stack:
        found = list(paths)
        for at, path in enumerate(paths):
            is_packed = path.is_file() and suffix_of(path.name) not in WORKBOOKS
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


class Inputs(Value):
    """The files in the order of their splits."""

    parts: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    names: Names | None = None
    """What the numbers of labels are called, where a file beside the rows says it."""


def inputs_of(paths: Sequence[Path]) -> Inputs:
    """Return the files of what was named, with the split and the class that names say.

    DataError D320 where nothing is there, or a folder holds no file of data.
    """
    files = list(_files(paths))
    if len(paths) == 1 and not paths[0].is_dir():
        return Inputs(parts=(Reading(ref=local(paths[0])),), names=_names_beside(paths[0]))
    data = [file for file in files if not PATTERNS["no data"].match(file.name)]
    # A handbook or a knowledge base: each page is a text.
    pages = [] if data else [file for file in files if PATTERNS["page"].match(file.name)]
    unread = [path.name for path in paths if path not in data + pages and not path.is_dir()]
    notes = [f"left out, no file of rows: {', '.join(unread)}"] if unread else []
    files, more = _with_answers(data or pages, paths)
    called = {file: names for file in files if (names := names_in(file))}
    if len(called) < len(files):
        files = [file for file in files if file not in called]
    if not files:
        raise DataError.one(
            "D320", f"`{paths[0]}` holds no file of data", hint="name the files themselves"
        )
    parts = [Reading(ref=local(file), into=_split_of(file, paths)) for file in files]
    notes += more
    # Files of another format may have named the only other split.
    for step in (settled, _of_one_format, settled, _by_page if pages else _related):
        parts, more = step(parts)
        notes += more
    order = {"train": 0, "": 1, "validation": 2, "holdout": 3}
    parts.sort(key=lambda part: (order[part.into], str(part.path)))
    return Inputs(parts=tuple(parts), notes=tuple(notes), names=next(iter(called.values()), None))


def _names_beside(path: Path) -> Names | None:
    """Return the names of labels that `labels.txt` or a file of the like says, beside a file that was named alone."""
    beside = (path.with_name(name) for name in sorted(entries_of(path.parent)))
    texts = (one for one in beside if one.suffix in (".txt", ".json") and one.name != path.name)
    return next(filter(None, (names_in(one) for one in texts if one.is_file())), None)


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


def _below(file: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the parts of a file's path below the folder that was named."""
    roots = [path for path in paths if path.is_dir() and file.is_relative_to(path)]
    return file.relative_to(roots[0]).parts if roots else (file.name,)


def _with_answers(files: list[Path], paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Leave out files whose names say that their rows have no answers, and those of a project of Rasa but examples."""
    notes = []
    unlabelled = [
        file for file in files if any(map(PATTERNS["unlabelled"].fullmatch, _below(file, paths)))
    ]
    if unlabelled and len(unlabelled) < len(files):
        left = set(unlabelled)
        files = [file for file in files if file not in left]
        count = len(unlabelled) - 1
        shown = f" and {count:,} more are" if count else " is"
        notes.append(f"{unlabelled[0].name}{shown} left out: named as without labels")
    yamls = [file for file in files if file.suffix.lower() in (".yml", ".yaml")]
    examples = [one for one in yamls if yamls[1:] and re.search(r"(?m)^nlu:", text_of(one))]
    if examples and (others := [file.name for file in yamls if file not in examples]):
        files = examples
        notes.append(f"left out, without examples of Rasa: {', '.join(others)}")
    return files, notes


def _split_of(file: Path, paths: Sequence[Path]) -> Any:
    """Return the split that the file's own name says, else the nearest folder below what was named."""
    *folders, name = _below(file, paths)
    # `cooking.train`: the ending says it, where it is no format.
    stems = unpacked_name(name).name.rsplit(".", 1)
    return next(filter(None, map(split_in, (*stems, *reversed(folders)))), "")


def settled(parts: list[Reading]) -> tuple[list[Reading], list[str]]:
    """Where files name a split to learn from and one more, both are official: the other one judges."""
    named = {part.into for part in parts}
    judging = next((split for split in ("holdout", "validation") if split in named), "")
    if "train" not in named or not judging:
        return [replace(part, into="") for part in parts], []
    # A file that names none would be in no split.
    left = [part.path.name for part in parts if not part.into]
    shown = f"{', '.join(left[:3])}{' and more' if left[3:] else ''}"
    notes = [f"left out, of no split: {shown}"] if left else []
    return [
        replace(part, into="holdout" if part.into == judging else part.into)
        for part in parts
        if part.into
    ], notes


def _of_one_format(parts: list[Reading]) -> tuple[list[Reading], list[str]]:
    """Return the tables of the format that most files have; all files where that is no format of tables."""
    groups: dict[str, list[Reading]] = {}
    for part in parts:
        groups.setdefault(part.suffix, []).append(part)
    # Of formats of equally many files, the one with the training rows, then with the most.
    weights = {
        suffix: (
            len(some),
            any(part.into == "train" for part in some),
            sum(part.path.stat().st_size for part in some),
        )
        for suffix, some in groups.items()
    }
    common = max(groups, key=weights.__getitem__)
    # A split that has no file of that format has its own.
    has = {part.into for part in groups[common]}
    others = [
        part
        for part in parts
        if part.suffix != common and (part.into in has or part.suffix not in TABLES)
    ]
    return _without(parts, others if common in TABLES else [])


def _without(parts: list[Reading], others: list[Reading]) -> tuple[list[Reading], list[str]]:
    names = ", ".join(part.path.name for part in others[:5])
    notes = [f"left out, of another format: {names}"] if others else []
    left = {part.path for part in others}
    return [part for part in parts if part.path not in left], notes


def _by_page(parts: list[Reading]) -> tuple[list[Reading], list[str]]:
    several = len({part.path.parent for part in parts}) > 1
    parts = _by_folder(parts) if several else parts
    return [replace(part, is_document=True) for part in parts], []


def _related(parts: list[Reading]) -> tuple[list[Reading], list[str]]:
    """Return what files are to each other: tables, texts with their marks, lines beside each other, or classes."""
    if brat := [part.path.name for part in parts if part.suffix == ".ann"]:
        raise DataError.one(
            "D323",
            f"`{brat[0]}` holds marks as brat writes them",
            hint="write each text and its marks as a line of JSON: `text`, and `spans` of start, end and label",
        )
    if all(part.suffix in TABLES for part in parts):
        return _by_name(parts), []
    if beside := _beside(parts):
        return beside, []
    texts, notes = _without(parts, [part for part in parts if part.suffix in TABLES])
    return _by_folder(texts), notes


def _beside(parts: list[Reading]) -> list[Reading]:
    """Recognise files that are read line by line beside each other, such as `all.nl` and `all.cm`; none for others."""
    by_place: dict[tuple[str, Path], list[Reading]] = {}
    for part in parts:
        by_place.setdefault((part.into, part.path.parent), []).append(part)
    groups = [dict(zip(_distinctions(some), some, strict=True)) for some in by_place.values()]
    roles = sorted(groups[0])
    are_alike = len(roles) in (2, 3) and all(sorted(group) == roles for group in groups)
    main = _role_of_texts({role: groups[0][role].path for role in roles}) if are_alike else None
    if main is None or len(parts) != len(groups) * len(roles):
        return []
    found = []
    for group in groups:
        others = {role: group[role].path for role in roles if role != main}
        columns = [
            ColumnFile(column=role, written=path.name, ref=local(path))
            for role, path in others.items()
        ]
        found.append(replace(group[main], columns=tuple(columns)))
    return found


def _role_of_texts(paths: Mapping[str, Path]) -> str | None:
    """Return the role of the file that holds the texts; None where lines do not belong to those beside them."""
    if any(path.stat().st_size > 1 << 28 for path in paths.values()):
        return None
    lines = {role: text_of(path).splitlines() for role, path in paths.items()}
    counts = set(map(len, lines.values()))
    if len(counts) > 1 or min(counts) < 4:
        return None
    varied = [role for role in lines if len(set(lines[role])) > max(2, min(counts) // 4)]
    # By the name of the file, else the longest lines that vary.
    texts = [role for role in lines if PATTERNS["file of texts"].search(role)]
    are_languages = all(map(PATTERNS["language"].fullmatch, lines))
    # Where all vary and no name says what they are, they are as well two classes.
    if len(varied) == len(lines) and not texts and not are_languages:
        return None
    return next(iter(texts), max(varied or lines, key=lambda role: sum(map(len, lines[role]))))


def _distinctions(files: Sequence[Reading]) -> list[str]:
    """Return what distinguishes the names of files: their words without numbers, endings, splits and what all share."""
    found = []
    for file in files:
        name = unpacked_name(file.path.name)
        # `rt-polarity.pos`, `all.nl`: an ending that is no format distinguishes files.
        plain = name.stem if name.suffix.lower() in TABLES | {".txt"} else name.name
        words = re.split(r"[\W_\d]+", plain)
        found.append([word for word in words if word and not split_named(word.lower())])
    shared = set[str].intersection(*map(set, found))
    return ["_".join(word for word in words if word not in shared) for words in found]


def _by_folder(parts: list[Reading]) -> list[Reading]:
    """Take folders for classes where they hold many files each, and names of files where each holds many lines."""
    folders = {part.path.parent for part in parts}
    # A file beside the folders of the classes is of no class.
    classed = [part for part in parts if not split_named(part.path.parent.name.lower())]
    if len({part.path.parent.name for part in classed}) < 2:
        return _by_name(parts)
    many = len(parts) >= 3 * len(folders)
    return [replace(part, label=part.path.parent.name, is_document=many) for part in classed]


def _by_name(parts: list[Reading]) -> list[Reading]:
    """Take the names of files for classes where they are different words, and not numbers of one name."""
    names = _distinctions(parts)
    places = {(part.into, name) for part, name in zip(parts, names, strict=True)}
    # A class stands once in every split; else the names say what the parts of a split are.
    splits, classes = {part.into for part in parts}, set(names)
    is_even = len(places) == len(parts) == len(splits) * len(classes)
    if not is_even or len(classes) < 2 or not all(classes) or len(parts) > 100:
        return parts
    return [replace(part, label=name) for part, name in zip(parts, names, strict=True)]
