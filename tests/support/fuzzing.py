"""Files changed at random, from a seed, and readers that may only read them or refuse them with a code.

`PYTHONPATH=tests python -m support.fuzzing SECONDS [SEED]` looks for longer than the tests do, and prints what it finds
with its seed.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from engine.cli.main import main as recipe
from engine.data.reading.readers import read_rows
from engine.drafting.reading import readings_of
from engine.errors import EngineError
from engine.estimate.gguf_header import read_gguf
from engine.estimate.measured import find_like
from engine.estimate.shape import shape_of_folder, shape_of_gguf
from engine.estimate.stages import past_seconds
from engine.lock.file import read_lock
from engine.recipe import check_recipe
from engine.recipe.model import PathRef, Source
from engine.runtime.rendering.task_file import FILE, read_task_file
from engine.store.runs import Runs
from support.project import BASE, rows
from support.source_files import source

BUG: Final = 4
ODD: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**9,
        -(10**9),
        2**63,
        10**400,
        0.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        " ",
        "x",
        "x" * 5000,
        "a\nb",
        "tiny\n",
        "\0",
        "\x1b]0;x\x07",
        "\u202e",
        "\ud800",
        "../..",
        "/",
        "~",
        "*",
        "**/*",
        "{",
        "}",
        "{a}",
        "{{",
        "${x}",
    ),
    *(
        "(a+)+$",
        "(",
        "[",
        "a{99999999999}",
        "#/$defs/x",
        "http://x/y",
        "file:///etc/passwd",
        "1e999",
        "2026-01-01",
        "null",
        "yes",
    ),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": {"c": []}}}, ["x"] * 3000, [1, "1", None, {}]),
)
"""Values that take the place of one that was meant."""
PIECES: Final = (
    *(
        b"",
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"\r\n",
        b'"',
        b"'",
        b",",
        b";",
        b"\t",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"<",
        b">",
        b"&",
        b"&x;",
        b"<!DOCTYPE",
        b"<![CDATA[",
        b"-->",
        b"\\ud800",
        b"\\u0000",
        b"NaN",
        b"1e999",
        b"9" * 5000,
    ),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b"<a>" * 1500,
        b"*a",
        b"&a ",
        b"!!python/object:os.system ",
        b": ",
        b"- ",
        b"\x1b[2J",
        b"PAR1",
    ),
)
"""Bytes that are put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader and a file that it reads well."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    """Reads the file at a path; `EngineError` is a right end."""
    load: Callable[[str], Any] | None = None
    dump: Callable[[Any], str] = json.dumps
    """For files whose values are changed, too."""


class FoundError(AssertionError):
    """A reader ended otherwise than it may."""


def fuzz(target: Target, *, seed: int, cases: int, folder: Path) -> None:
    """Have a file read that was changed in so many ways. FoundError with the seed of the case."""
    for number in range(cases):
        fuzz_once(target, f"{seed}.{number}", folder)


def fuzz_once(target: Target, seed: str, folder: Path) -> None:
    draw = random.Random(f"{target.name}.{seed}")
    content = changed(target, draw)
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    started = time.process_time()
    try:
        target.read(path)
    except EngineError:
        pass
    except Exception as error:
        told = "".join(traceback.format_exception(error)[-4:])
        raise FoundError(f"{target.name}, seed {seed}: {told}\n{content[:400]!r}") from error
    if time.process_time() - started > 10:
        raise FoundError(f"{target.name}, seed {seed}: takes {time.process_time() - started:.0f} s")


def changed(target: Target, draw: random.Random) -> bytes:
    if target.load is None or draw.random() < 0.3:
        return changed_bytes(target.content, draw)
    value = copy.deepcopy(target.load(target.content.decode()))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        value = changed_value(value, draw)
    try:
        return target.dump(value).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return changed_bytes(target.content, draw)


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at, more = draw.randrange(len(content) + 1), draw.randrange(1, 200)
        piece = draw.choice(PIECES)
        content = draw.choice(
            (
                lambda: content[:at],  # noqa: B023 - called at once
                lambda: content[:at] + piece + content[at:],  # noqa: B023
                lambda: content[:at] + piece + content[at + more :],  # noqa: B023
                lambda: content[:at] + content[at + more :],  # noqa: B023
                lambda: content[:at] + content[at : at + more] * 3 + content[at + more :],  # noqa: B023
                lambda: content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :],  # noqa: B023
            )
        )()
    return content


def changed_value(value: Any, draw: random.Random) -> Any:
    """Return the value with one thing in it replaced, taken out, doubled or renamed."""
    places = list(_places(value))
    if not places:
        return draw.choice(ODD)
    holder, key = draw.choice(places)
    how = draw.random()
    if how < 0.6:
        holder[key] = copy.deepcopy(draw.choice(ODD))
    elif how < 0.75:
        del holder[key]
    elif how < 0.9:
        other, place = draw.choice(places)
        with contextlib.suppress(KeyError, IndexError):
            holder[key] = copy.deepcopy(other[place])
    elif isinstance(holder, dict):
        name = draw.choice([one for one in ODD if isinstance(one, str)])
        holder[name] = holder.pop(key)
    else:
        holder.extend(copy.deepcopy(holder))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, below in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(below)


def _source(path: Path, **more: Any) -> Source:
    return source(ref=PathRef(path=path, written=path.name), **more)


def _all_rows(**more: Any) -> Callable[[Path], object]:
    return lambda path: sum(1 for _ in read_rows(path, _source(path, **more)))


def _drafted(path: Path) -> None:
    for reading in readings_of(path):
        sum(1 for _ in reading.rows())


def _verb(*words: str) -> Callable[[Path], object]:
    """Return what calls a verb on the file; exit 4 is the failure that is looked for."""

    def read(path: Path) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = recipe([word.replace("FILE", str(path)) for word in words])
        if code == BUG:
            raise AssertionError(err.getvalue())

    return read


SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "n": {"$ref": "#/$defs/n"}},
    "required": ["city"],
    "$defs": {"n": {"type": "integer", "minimum": 0}},
}


def _recipes() -> Iterator[Target]:
    """A recipe of each kind of key, as one reader checks it and as a verb compares it."""
    every = {
        **copy.deepcopy(dict(BASE)),
        "baselines": [
            "majority",
            {"few_shot": {"shots": 4}},
            {"model": {"name": "m", "endpoint": "http://localhost:1/v1", "model": "x"}},
        ],
        "sweep": {"grid": {"rank": [2, 4]}, "choose_by": "macro_f1"},
        "waivers": [{"what": "W201", "why": "meant"}],
        "allow_moving": True,
        "backend": {"name": "trl", "precision": "fp32", "overrides": {"max_grad_norm": 1.0}},
    }
    extraction = {
        **copy.deepcopy(dict(BASE)),
        "task": {
            "kind": "extraction",
            "instruction": "which?",
            "input": "{text}",
            "schema": SCHEMA,
        },
        "data": {"sources": [{"path": "rows.csv"}], "answer": {"fields": {"city": "label"}}},
        "baselines": ["zero_shot"],
        "acceptance": {"metrics": {"field_f1": {"min": 0.01}}},
    }

    def text(value: Any) -> str:
        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))

    for name, fields in (("all.yaml", every), ("extraction.yaml", extraction)):
        content = text(fields).encode()
        load = yaml.safe_load
        yield Target(name=name, content=content, read=check_recipe, load=load, dump=text)
        for verb in (
            ("plan", "FILE"),
            ("diff", "FILE", "base.yaml"),
            ("fmt", "FILE"),
            ("compile", "FILE"),
        ):
            yield Target(
                name=f"{verb[0]}-{name}", content=content, read=_verb(*verb), load=load, dump=text
            )


def _data() -> Iterator[Target]:
    found = [{"text": text, "label": label} for text, label in rows(12)]
    table = b"text,label\n" + b"".join(
        f'"{row["text"]}",{row["label"]}\n'.encode() for row in found
    )
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(found), packed)
    xml = "".join(f'<row id="1"><text>{row["text"]}</text></row>' for row in found)
    yield Target(name="rows.csv", content=table, read=_all_rows())
    yield Target(name="rows.tsv", content=table.replace(b",", b"\t"), read=_all_rows())
    yield Target(
        name="rows.json", content=json.dumps(found).encode(), read=_all_rows(), load=json.loads
    )
    yield Target(
        name="part.json",
        content=json.dumps({"a": {"b": found}, "c": []}).encode(),
        read=_all_rows(records="a.b"),
        load=json.loads,
    )
    lines = "\n".join(map(json.dumps, found)).encode()
    yield Target(name="rows.jsonl", content=lines, read=_all_rows())
    yield Target(
        name="exploded.jsonl", content=b'{"a": [1, 2], "b": "x"}\n' * 3, read=_all_rows(explode="a")
    )
    yield Target(name="rows.parquet", content=packed.getvalue(), read=_all_rows())
    yield Target(
        name="rows.xml", content=f"<all>{xml}</all>".encode(), read=_all_rows(records="row")
    )
    yield Target(name="rows.txt", content=table, read=_all_rows(format="lines"))
    for suffix, content in (
        ("csv", table),
        ("json", json.dumps(found).encode()),
        ("jsonl", lines),
        ("xml", f"<all>{xml}</all>".encode()),
        ("data", table),
    ):
        yield Target(name=f"draft.{suffix}", content=content, read=_drafted)


CONFIG: Final = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "intermediate_size": 128,
    "tie_word_embeddings": True,
    "text_config": {"hidden_size": 3},
    "head_dim": 16,
}
TASK: Final = {
    "version": 2,
    "before": "a",
    "after": "b",
    "strips": True,
    "answers": ["x", "y"],
    "max_new_tokens": 9,
    "terminator": "",
    "task": {
        "kind": "classification",
        "instruction": "",
        "system": "",
        "input": "{text}",
        "labels": ["x", "y"],
        "schema": None,
        "output": "text",
    },
}


def _header() -> bytes:
    header = json.dumps(
        {
            "__metadata__": {"a": "b"},
            "model.layers.0.q_proj.weight": {
                "dtype": "F32",
                "shape": [4, 4],
                "data_offsets": [0, 64],
            },
        }
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(64)


def _shape_beside_config(path: Path) -> None:
    (path.parent / "config.json").write_text(json.dumps(CONFIG))
    shape_of_folder(path.parent)


def _gguf() -> bytes:
    def text(word: bytes) -> bytes:
        return len(word).to_bytes(8, "little") + word

    field = text(b"general.architecture") + (8).to_bytes(4, "little") + text(b"llama")
    tensor = (
        text(b"token_embd.weight")
        + (2).to_bytes(4, "little")
        + (8).to_bytes(8, "little") * 2
        + bytes(12)
    )
    return b"GGUF" + (3).to_bytes(4, "little") + (1).to_bytes(8, "little") * 2 + field + tensor


def _models() -> Iterator[Target]:
    yield Target(
        name="m/config.json",
        content=json.dumps(CONFIG).encode(),
        read=lambda path: shape_of_folder(path.parent),
        load=json.loads,
    )
    yield Target(name="w/model.safetensors", content=_header(), read=_shape_beside_config)
    yield Target(
        name="other.gguf", content=_gguf(), read=lambda path: (read_gguf(path), shape_of_gguf(path))
    )
    yield Target(
        name=f"t/{FILE}",
        content=json.dumps(TASK).encode(),
        read=lambda path: read_task_file(path.parent),
        load=json.loads,
    )


def _records() -> Iterator[Target]:
    lock = {"version": 1, "recipe": "x", "accepted": None, "splits": {"holdout": ["a"]}}
    report = {"stages": [{"stage": "data", "status": "ran", "seconds": 1.0}]}
    measured = {"schema": "measured.v1", "work": {}, "usage": {}, "by": "run", "created": "2026"}
    yield Target(
        name="x.lock.json", content=json.dumps(lock).encode(), read=read_lock, load=json.loads
    )
    yield Target(
        name="runs/a/b/report.json",
        content=json.dumps(report).encode(),
        read=_past,
        load=json.loads,
    )
    yield Target(
        name="k/measured/a.json",
        content=json.dumps(measured).encode(),
        read=lambda path: find_like(path.parents[1], {}),
        load=json.loads,
    )


def _past(path: Path) -> None:
    (path.parent / "run.json").write_text("{}")
    past_seconds(Runs(path.parents[3]), "a")


def targets() -> Mapping[str, Target]:
    """Every reader by the name of its file."""
    every = (*_recipes(), *_data(), *_models(), *_records())
    return {target.name: target for target in every}


def prepare(folder: Path) -> None:
    """Write what the recipes name into a folder."""
    (folder / "base").mkdir()
    (folder / "base" / "config.json").write_text(json.dumps(CONFIG))
    lines = "".join(f'"{text}",{label}\n' for text, label in rows(140))
    (folder / "rows.csv").write_text(f"text,label\n{lines}")
    (folder / "base.yaml").write_text(yaml.safe_dump(dict(BASE), sort_keys=False))


def _search(seconds: float, seed: int) -> int:
    """Look for failures for some time, round robin; return how many kinds there are."""
    ends, seen, number = time.monotonic() + seconds, set[str](), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        with contextlib.chdir(folder):
            while time.monotonic() < ends:
                for target in targets().values():
                    try:
                        fuzz_once(target, f"{seed}.{number}", folder)
                    except FoundError as error:
                        kind = str(error).splitlines()[-2][:150]
                        if kind not in seen:
                            seen.add(kind)
                            print(error, "\n", flush=True)  # noqa: T201 - what it is for
                number += 1
    print(f"{number:,} rounds of {len(targets())} readers, {len(seen)} kinds of failures")  # noqa: T201
    return len(seen)


if __name__ == "__main__":
    sys.exit(bool(_search(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
