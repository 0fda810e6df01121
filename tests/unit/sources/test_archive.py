"""Files out of archives, hostile ones among them."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.errors import DataError
from engine.sources.archive import StreamLimits, extract, extract_folder

ROWS = b"text\tlabel\r\nfine\tgood\r\n"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": partial(pa.compress, codec="zstd", asbytes=True),
}


def tar_of(members: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return out.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def take(
    folder: Path, content: bytes, file: str, name: str = "a.archive", **more: StreamLimits
) -> bytes:
    (folder / name).write_bytes(content)
    (folder / "out").mkdir(exist_ok=True)
    extract(folder / name, file, folder / "out" / "taken", **more)
    assert [entry.name for entry in (folder / "out").iterdir()] == ["taken"]
    return (folder / "out" / "taken").read_bytes()


def code_of(folder: Path, content: bytes, file: str, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        take(folder, content, file, **more)
    (problem,) = caught.value.problems
    return problem.code


@pytest.mark.parametrize("suffix", PACK)
def test_a_member_of_a_tar_comes_out_as_it_is(tmp_path: Path, suffix: str) -> None:
    archive = PACK[suffix](tar_of({"p-1/other": b"x", "p-1/rows.tsv": ROWS}))

    assert take(tmp_path, archive, "p-1/rows.tsv") == ROWS


def test_a_member_of_a_zip_comes_out_as_it_is(tmp_path: Path) -> None:
    assert take(tmp_path, zip_of({"p/rows.tsv": ROWS}), "p/rows.tsv") == ROWS


@pytest.mark.parametrize("suffix", [suffix for suffix in PACK if suffix])
def test_a_single_compressed_file_is_a_step_of_its_own(tmp_path: Path, suffix: str) -> None:
    archive = zip_of({f"p/rows.tsv{suffix}": PACK[suffix](ROWS)})

    assert take(tmp_path, archive, f"p/rows.tsv{suffix}//rows.tsv") == ROWS


def test_archives_in_archives_are_entered_step_by_step(tmp_path: Path) -> None:
    inner = gzip.compress(tar_of({"d/rows.tsv": ROWS}))
    archive = gzip.compress(tar_of({"p-1/m.zip": zip_of({"x/d.tar.gz": inner})}))

    assert take(tmp_path, archive, "p-1/m.zip//x/d.tar.gz//d/rows.tsv") == ROWS


def test_a_missing_member_names_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        take(tmp_path, zip_of({"p/data/rows.tsv": ROWS, "p/x.py": b""}), "p/rows.tsv")

    (problem,) = caught.value.problems
    assert problem.code == "D343"
    assert problem.hint == "nearest: `p/data/rows.tsv`"


@pytest.mark.parametrize(
    "file", ["", "/etc/passwd", "p/../../x", "p//", "//p", "c:\\x", "p\\..\\x", "p/\0"]
)
def test_a_path_that_leaves_the_archive_is_refused(tmp_path: Path, file: str) -> None:
    assert code_of(tmp_path, zip_of({"p": b""}), file) == "D344"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_a_tar_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tar_of({"real": b"x"}, link("p", "/etc/passwd", kind))

    assert code_of(tmp_path, archive, "p") == "D344"


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("p")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")

    assert code_of(tmp_path, out.getvalue(), "p") == "D344"


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_plain_files_of_a_tar_are_read(tmp_path: Path, kind: bytes) -> None:
    assert code_of(tmp_path, tar_of({}, link("p", "", kind)), "p") == "D343"


def test_a_folder_of_a_zip_is_no_file(tmp_path: Path) -> None:
    assert code_of(tmp_path, zip_of({"p/": b""}), "p/") == "D343"


@pytest.mark.parametrize("suffix", [suffix for suffix in PACK if suffix])
def test_a_bomb_is_stopped_by_its_ratio(tmp_path: Path, suffix: str) -> None:
    bomb = PACK[suffix](tar_of({"p": bytes(8 << 20)}))
    limits = StreamLimits(free=1 << 20, ratio=5)

    assert code_of(tmp_path, bomb, "p", limits=limits) == "D345"


def header(kind: bytes, size: int, content: bytes = b"") -> bytes:
    """A member whose block says that so many bytes follow."""
    info = tarfile.TarInfo("p")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def pax(**settings: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("p")
        info.pax_headers = {name.replace("_", "."): value for name, value in settings.items()}
        archive.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        header(b"x", 2 << 20, b"11 a=bbbbb\n" * 190_000),
        header(b"L", 2 << 20, b"n" * (2 << 20)),
        header(b"x", 0) * 2_000,
        header(b"g", 0) * 2_000,
        header(b"L", 0) * 2_000,
        header(b"S", 0),
        pax(GNU_sparse_map="0,1", GNU_sparse_size="9999999999999"),
        pax(GNU_sparse_map="0,x", GNU_sparse_size="1"),
        pax(GNU_sparse_major="1", GNU_sparse_minor="0", GNU_sparse_realsize="9999999999999"),
        pax(GNU_sparse_numblocks="2", GNU_sparse_size="x"),
    ],
)
def test_headers_of_a_tar_are_bounded(tmp_path: Path, content: bytes) -> None:
    """Settings of 300 MB took 3 GB, a chain of headers was a bug report, a hole of 10 TB filled the disk."""
    assert code_of(tmp_path, content + tar_of({"p": ROWS}), "p") == "D346"


def test_a_bomb_in_a_zip_is_stopped_by_its_size(tmp_path: Path) -> None:
    bomb = zip_of({"p": bytes(8 << 20)})

    assert code_of(tmp_path, bomb, "p", limits=StreamLimits(bytes=4 << 20)) == "D345"


def test_honest_repetition_below_the_free_size_is_no_bomb(tmp_path: Path) -> None:
    content = b"the same line\n" * 100_000

    assert take(tmp_path, gzip.compress(tar_of({"p": content})), "p") == content


@pytest.mark.parametrize("suffix", [suffix for suffix in PACK if suffix])
def test_a_truncated_archive_is_damaged(tmp_path: Path, suffix: str) -> None:
    noise = bytes(range(256)) * 40 + ROWS
    whole = PACK[suffix](tar_of({"p": noise[::-1] + noise}))

    assert code_of(tmp_path, whole[: len(whole) // 2], "p") == "D346"


def test_a_zip_with_flipped_bytes_is_damaged(tmp_path: Path) -> None:
    whole = bytearray(zip_of({"p": ROWS * 50}))
    whole[40] ^= 0xFF

    assert code_of(tmp_path, bytes(whole), "p") == "D346"


@pytest.mark.parametrize("content", [b"", b"text\tlabel\n", b"\x7fELF" + bytes(600)])
def test_what_is_no_archive_is_reported_so(tmp_path: Path, content: bytes) -> None:
    assert code_of(tmp_path, content, "p") == "D346"


def test_nothing_is_left_when_a_later_step_fails(tmp_path: Path) -> None:
    archive = zip_of({"p.zip": zip_of({"q": b""})})
    with pytest.raises(DataError):
        take(tmp_path, archive, "p.zip//nothing")

    assert list((tmp_path / "out").iterdir()) == []


MODEL = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": b"0"}
UNWANTED = {"pickle.bin": b"x", "../config.json": b"x", "deep/er/and/er/config.json": b"x"}
WANTED = ("*.json", "*.safetensors")


def unpacked(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_a_folder_is_unpacked_by_its_name_or_as_an_archive(
    pack: Callable[[dict[str, bytes]], bytes], tmp_path: Path
) -> None:
    inner = pack({**MODEL, **UNWANTED})
    below = {f"toy/model/{name}": content for name, content in MODEL.items()}
    archive = tmp_path / "toy.whl"
    archive.write_bytes(zip_of({**below, "toy/model.zip": inner, "toy/model.py": b""}))

    extract_folder(archive, "toy/model", tmp_path / "named", wanted=WANTED)
    extract_folder(archive, "toy/model.zip", tmp_path / "packed", wanted=WANTED)

    assert unpacked(tmp_path / "named") == MODEL
    assert unpacked(tmp_path / "packed") == MODEL
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("file", "code"),
    [("toy/mode", "D343"), ("toy/rows.txt", "D346"), ("toy/empty.zip", "D343"), ("../x", "D344")],
)
def test_what_is_no_folder_of_files_is_refused(file: str, code: str, tmp_path: Path) -> None:
    archive = tmp_path / "toy.whl"
    members = {"toy/rows.txt": b"rows", "toy/empty.zip": zip_of({"a.py": b""})}
    archive.write_bytes(zip_of(members))

    with pytest.raises(DataError, match=code):
        extract_folder(archive, file, tmp_path / "out", wanted=WANTED)


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("model/config.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "toy.tar").write_bytes(tar_of({}, link))

    with pytest.raises(DataError, match="D344"):
        extract_folder(tmp_path / "toy.tar", "model", tmp_path / "out", wanted=WANTED)
