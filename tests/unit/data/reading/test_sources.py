"""The sources of a recipe together: named, fetched, identified and read in order."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.data.reading.sources import fetch_all, read_all, source_names, source_slice
from engine.errors import DataError
from engine.recipe.model import ColumnFile, HubRef, PackageRef, PathRef, Reference, Source
from engine.sources import identity, source_identity
from engine.sources.local import DigestMemory
from engine.store import Artifact, Store, make_key
from support.source_files import source


class Quiet:
    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Take no notice."""

    def note(self, text: str) -> None:
        """Take no notice."""


def at(path: Path) -> PathRef:
    return PathRef(path=path, written=path.name)


def file(folder: Path, name: str, content: bytes) -> PathRef:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return at(folder / name)


def cached(folder: Path) -> Callable[[str, Mapping[str, Any], Callable[[Path], object]], Artifact]:
    store = Store(folder / "store")
    return lambda name, payload, build: store.put(name, make_key(dict(payload)), build)


def beside(column: str, ref: Reference, written: str = "x") -> ColumnFile:
    return ColumnFile(column=column, written=written, ref=ref)


def test_names_are_as_short_as_they_can_be() -> None:
    def of(path: str, **changes: Any) -> Source:
        return source(ref=at(Path(path)), **changes)

    hub = source(ref=HubRef(repo="owner/set"), config="pcm", split="train")
    package = source(ref=PackageRef(name="p", version="1", sha256=None, file="p/x.tar//d/a.csv"))
    names = source_names(
        [of("/r/a/1.csv"), of("/r/b/1.csv"), of("/r/2.csv"), of("/r/2.csv"), hub, package]
    )

    assert names == ("a/1.csv", "b/1.csv", "2.csv", "2.csv", "owner/set:pcm/train", "a.csv")
    assert source_names([of("/1.csv"), of("/a/1.csv"), of("/b/a/1.csv")]) == (
        "1.csv",
        "a/1.csv",
        "b/a/1.csv",
    )


def test_rows_know_their_source_and_problems_of_all_files_are_reported(tmp_path: Path) -> None:
    first = source(ref=file(tmp_path, "a/r.csv", b"text,label\nx,good\n"))
    second = source(ref=file(tmp_path, "b/r.jsonl", b'{"text": "y"}\n'))
    fetched = fetch_all([first, second], cached(tmp_path), Quiet())

    rows = list(read_all(fetched, Quiet()))

    assert [(row.source, row.origin) for row in rows] == [(0, "r.csv:2"), (1, "r.jsonl:1")]

    file(tmp_path, "a/r.csv", b"text,label\nx\n")
    file(tmp_path, "b/r.jsonl", b"{\n")
    with pytest.raises(DataError) as caught:
        list(read_all(fetched, Quiet()))
    assert [problem.code for problem in caught.value.problems] == ["D324", "D325"]


def test_files_of_one_name_are_distinguished_in_rows_and_problems(tmp_path: Path) -> None:
    sources = [
        source(ref=file(tmp_path, "train/r.csv", b"text\nx\n")),
        source(ref=file(tmp_path, "test/r.csv", b"text\ny,z\n")),
    ]
    rows = read_all(fetch_all(sources, cached(tmp_path), Quiet()), Quiet())

    assert next(rows).origin == "train/r.csv:2"
    with pytest.raises(DataError, match=r"^test/r\.csv:2  D324"):
        next(rows)


def test_missing_files_of_all_sources_are_reported_together(tmp_path: Path) -> None:
    there = file(tmp_path, "text", b"x\n")
    sources = [
        source(ref=at(tmp_path / "absent.csv")),
        source(ref=there, format="lines", columns=(beside("label", at(tmp_path / "label")),)),
    ]
    with pytest.raises(DataError) as caught:
        fetch_all(sources, cached(tmp_path), Quiet())

    assert [problem.code for problem in caught.value.problems] == ["D320", "D320"]


def archive(folder: Path) -> PackageRef:
    """Make a wheel that holds an archive of two parallel files, found through find-links."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as opened:
        for name, content in (("d/seq.in", b"fine\nbad\n"), ("d/label", b"good\nbad\n")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    wheel = folder / "links" / "parallel-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as opened_wheel:
        opened_wheel.writestr("parallel/d.tar.gz", inner.getvalue())
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PackageRef(
        name="parallel", version="1.0", sha256=digest, file="parallel/d.tar.gz//d/seq.in"
    )


def test_files_side_by_side_come_out_of_one_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = archive(tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    label = PackageRef(
        name=ref.name, version=ref.version, sha256=ref.sha256, file="parallel/d.tar.gz//d/label"
    )
    sources = [source(ref=ref, format="lines", columns=(beside("label", label),))]

    rows = list(read_all(fetch_all(sources, cached(tmp_path), Quiet()), Quiet()))

    assert [row.values for row in rows] == [
        {"text": "fine", "label": "good"},
        {"text": "bad", "label": "bad"},
    ]


def test_the_bytes_of_every_file_stand_in_the_identity(tmp_path: Path) -> None:
    identify = partial(identity, memory=DigestMemory(tmp_path / "digests.json"))
    text, label = file(tmp_path, "text", b"x\n"), file(tmp_path, "label", b"good\n")
    plain = source(ref=text, format="lines")
    both = source(ref=text, format="lines", columns=(beside("label", label),))

    before = source_identity(both, identify)
    file(tmp_path, "label", b"worse\n")
    after = source_identity(both, identify)

    assert before != after
    assert before["sha256"] == after["sha256"] == source_identity(plain, identify)["sha256"]
    assert before["columns"]["label"]["sha256"] == hashlib.sha256(b"good\n").hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"records": "a"},
        {"explode": "a"},
        {"quoting": "double"},
        {"weight": 2.0},
        {"into": "train"},
        {"header": ("a",)},
        {"columns": (beside("label", at(Path("/x"))),)},
    ],
    ids=str,
)
def test_everything_that_decides_rows_stands_in_the_key(changes: dict[str, Any]) -> None:
    assert source_slice(source(**changes), "x") != source_slice(source(), "x")


@pytest.mark.parametrize(
    ("name", "quoting", "is_read_anew"),
    [("r.tsv", "auto", True), ("r.tsv.gz", "auto", True), ("r.tsv", "none", False), ("r.csv", "auto", False)],
)  # fmt: skip
def test_rows_that_an_earlier_reader_took_with_their_quotes_are_read_anew(
    name: str, quoting: str, is_read_anew: bool
) -> None:
    """They were refused since, but what was stored of them was used without a look at the file."""
    found = source_slice(source(ref=at(Path(f"/{name}")), quoting=quoting), name)

    assert ("reader" in found) is is_read_anew
