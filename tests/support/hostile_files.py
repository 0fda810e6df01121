"""What a stranger may put in the place of a file, where it may stand, and how soon each verb has to be done with it."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from support.project import BASE, rows

Put = Callable[[Path], object]


def _bytes(content: bytes) -> Put:
    return lambda path: path.write_bytes(content)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is at most 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


def _link(target: str) -> Put:
    return lambda path: path.symlink_to(target)


def _aliases(path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    path.write_text("\n".join(lines))


def _gzip_bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for _ in range(300):
            stream.write(bytes(1 << 20))


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", bytes(20 << 20))


DEEP: Final = 100_000
CHANGES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "a cut-off file": lambda whole: whole[: len(whole) * 2 // 3],
    "a mark before it": lambda whole: b"\xef\xbb\xbf" + whole,
}
"""Things made of what stood there."""
THINGS: Final[Mapping[str, Put]] = {
    "nothing": lambda _: None,
    "a folder": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "/dev/zero": _link("/dev/zero"),
    "/dev/null": _link("/dev/null"),
    "/dev/full": _link("/dev/full"),
    "a hole of 1 TB": _sparse,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": _link("nowhere"),
    "a path through a file": _link("prices.yaml/x"),
    "an empty file": _bytes(b""),
    "blanks": _bytes(b"  \n\n"),
    "latin-1": _bytes("text,label\ncafé,positive\n".encode("latin-1")),
    "UTF-16": _bytes("text,label\ncafé,positive\n".encode("utf-16")),
    "a zero byte": _bytes(b"a\0b\n"),
    "null": _bytes(b"null"),
    "an empty list": _bytes(b"[]"),
    "a list of lists": _bytes(b"[[], [[]]]"),
    "a number": _bytes(b"1"),
    "a text": _bytes(b'"x"'),
    "an empty object": _bytes(b"{}"),
    "an object of nulls": _bytes(b'{"schema": null, "recipe": null, "version": null, "a": null}'),
    "deep lists": _bytes(b"[" * DEEP + b"]" * DEEP),
    "deep objects": _bytes(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "500 levels": _bytes(b'{"a":' * 500 + b"1" + b"}" * 500),
    "deep dashes": _bytes(b"- " * 50_000 + b"x"),
    "deep YAML": _bytes(b"a: " + b"[" * DEEP),
    "deep XML": _bytes(b"<a>" * DEEP),
    "aliases": _aliases,
    "a line of 10 MB": _bytes(b"a" * 10_000_000),
    "numbers of 10,000 digits": _bytes(
        b'{"a": ' + b"9" * 10_000 + b', "version": ' + b"9" * 9999 + b"}"
    ),
    "not a number": _bytes(b'{"a": NaN, "b": -Infinity, "c": 1e999}'),
    "a key twice": _bytes(b'{"a": 1, "a": 2}'),
    "half a surrogate": _bytes(b'{"a": "\\ud800", "\\udfff": 1}'),
    "half a surrogate in bytes": _bytes(b'{"a": "\xed\xa0\x80"}'),
    "escapes": _bytes(b'{"a\\u001b]0;x\\u0007": "\\u202e"}'),
    "raw escapes": _bytes(b"\x1b]0;x\x07\x1b[2J: \xe2\x80\xae\n"),
    "entities": _bytes(
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c SYSTEM "/etc/passwd">]><a>&b;&c;</a>'
    ),
    "a gzip bomb": _gzip_bomb,
    "a zip bomb": _zip_bomb,
    **dict.fromkeys(CHANGES, _bytes(b"x")),
    "all bytes": _bytes(bytes(range(256)) * 64),
}

FORMATS: Final = (
    "tsv",
    "json",
    "jsonl",
    "parquet",
    "xml",
    "txt",
    "csv.gz",
    "csv.bz2",
    "csv.xz",
    "csv.zst",
)
RUN: Final = ".recipe/runs/tiny/2026-11-25-120000-0123abcd"
RECIPES: Final = (
    "validate recipe.yaml",
    "fmt recipe.yaml",
    "pin recipe.yaml",
    "plan recipe.yaml",
    "compile recipe.yaml",
    "diff recipe.yaml other.yaml",
    "ci",
    "data recipe.yaml --no-tokens",
    "runs recipe.yaml",
)
MODEL: Final = (
    "plan recipe.yaml --explain",
    "compile recipe.yaml",
    "init rows.csv --base-model base -o new.yaml",
)
RUNS: Final = (
    "report",
    f"report {RUN} --format json",
    "runs --format json",
    f"compare {RUN} tiny",
    f"export bundle {RUN} -o new.tar",
    "plan recipe.yaml",
)
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "recipe.yaml": RECIPES,
    "parent.yaml": (
        "validate child.yaml",
        "validate --parent parent.yaml",
        "plan child.yaml",
        "diff child.yaml recipe.yaml",
    ),
    "other.yaml": ("diff recipe.yaml other.yaml", "diff other.yaml recipe.yaml --format json"),
    "prices.yaml": ("plan recipe.yaml --prices prices.yaml",),
    "rows.csv": (
        "data recipe.yaml --no-tokens",
        "init rows.csv -o new.yaml",
        "plan recipe.yaml",
        "ci",
    ),
    **{
        f"rows.{one}": (
            f"data {one}.yaml --no-tokens",
            f"init rows.{one} -o new.yaml",
            f"validate {one}.yaml",
        )
        for one in FORMATS
    },
    "labels.txt": ("data txt.yaml --no-tokens", "validate txt.yaml"),
    "probe.jsonl": ("validate txt.yaml", "plan txt.yaml"),
    "base/config.json": MODEL,
    "base/tokenizer.json": MODEL,
    "base/tokenizer_config.json": MODEL,
    "base/model.safetensors": MODEL,
    "base/model.safetensors.index.json": MODEL,
    "base": MODEL,
    "other.gguf": ("plan gguf.yaml", "validate gguf.yaml"),
    "recipe.lock.json": (
        "plan recipe.yaml",
        "data recipe.yaml --no-tokens",
        "diff recipe.yaml --from HEAD",
        "ci",
    ),
    f"{RUN}/run.json": RUNS,
    f"{RUN}/report.json": RUNS,
    f"{RUN}/report.md": RUNS[:1],
    f"{RUN}/recipe.resolved.yaml": RUNS[3:4],
    f"{RUN}/recipe.lock.json": RUNS[4:5],
    ".recipe/measured/0123.json": ("plan recipe.yaml",),
    ".recipe/digests.json": ("plan recipe.yaml", "data recipe.yaml --no-tokens"),
    "x.bundle.tar": ("verify x.bundle.tar",),
    "key.pem": (
        f"export bundle {RUN} -o new.tar --key key.pem",
        "verify x.bundle.tar --key key.pem",
    ),
}
"""Where a file may stand, and the verbs that read it."""
EVERY: Final = tuple(
    dict.fromkeys(
        (*(verb for verbs in PLACES.values() for verb in verbs), "schema", "explain R104", "doctor")
    )
)


def put(thing: str, path: Path) -> None:
    """Put a thing in the place of whatever stands at `path`."""
    change = CHANGES.get(thing)
    whole = path.read_bytes() if change and path.is_file() else b"x"
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if change:
        path.write_bytes(change(whole))
    else:
        THINGS[thing](path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_project(folder: Path, model: Path) -> None:
    """A repository with a recipe for each format of data, a model, a finished run, a bundle and keys."""
    folder.mkdir()
    shutil.copytree(model, folder / "base")
    found = [{"text": text, "label": label} for text, label in rows(140)]
    whole = io.StringIO()
    table = csv.DictWriter(whole, ["text", "label"])
    table.writeheader()
    table.writerows(found)
    raw = whole.getvalue().encode()
    lines = {
        "text": "".join(f"{row['text']}\n" for row in found),
        "label": "".join(f"{row['label']}\n" for row in found),
    }
    xml = "".join(
        f"<row><text>{row['text']}</text><label>{row['label']}</label></row>" for row in found
    )
    contents: dict[str, bytes] = {
        "rows.csv": raw,
        "rows.tsv": raw.replace(b",", b"\t"),
        "rows.json": json.dumps(found).encode(),
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in found).encode(),
        "rows.xml": f"<all>{xml}</all>".encode(),
        "rows.txt": lines["text"].encode(),
        "labels.txt": lines["label"].encode(),
        "rows.csv.gz": gzip.compress(raw),
        "rows.csv.bz2": bz2.compress(raw),
        "rows.csv.xz": lzma.compress(raw),
        "rows.csv.zst": pa.compress(raw, codec="zstd", asbytes=True),
        "probe.jsonl": b'{"question": "q?", "choices": ["a", "b"], "answer": 0}\n' * 5,
        "prices.yaml": b"currency: EUR\ncpu: 0.05\n",
        "other.gguf": b"GGUF\x03\0\0\0" + bytes(16),
        "recipe.lock.json": b"{}",
        "x.bundle.tar": b"x",
        "key.pem": b"x",
        f"{RUN}/run.json": b'{"schema": "run.v1", "outcome": "accepted", "stages": {}, "seconds": 1.0}',
        f"{RUN}/report.json": b"{}",
        f"{RUN}/report.md": b"# A report\n",
        f"{RUN}/recipe.resolved.yaml": yaml.safe_dump(dict(BASE)).encode(),
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    pq.write_table(pa.Table.from_pylist(found), folder / "rows.parquet")
    for name, fields in _recipes().items():
        (folder / name).write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "all"], check=True)


def _recipes() -> dict[str, dict[str, Any]]:
    base: dict[str, Any] = dict(BASE)
    found: dict[str, dict[str, Any]] = {
        "recipe.yaml": base,
        "other.yaml": {**base, "method": {**base["method"], "epochs": 3}},
        "parent.yaml": {key: value for key, value in base.items() if key != "name"},
        "child.yaml": {"recipe": "v1", "name": "child", "extends": "parent.yaml"},
        "gguf.yaml": {**base, "baselines": [{"model": {"name": "other", "gguf": "other.gguf"}}]},
    }
    for one in FORMATS:
        source: dict[str, Any] = {"path": f"rows.{one}"}
        more: dict[str, Any] = {}
        if one == "xml":
            source["records"] = "row"
        if one == "txt":
            source |= {"format": "lines", "columns": {"label": "labels.txt"}}
            probe = {"name": "p", "kind": "multiple_choice", "path": "probe.jsonl"}
            more = {
                "acceptance": {
                    **base["acceptance"],
                    "forgetting": {"probes": [probe], "max_drop": 0.1},
                }
            }
        found[f"{one}.yaml"] = {**base, "data": {**base["data"], "sources": [source]}, **more}
    return found
