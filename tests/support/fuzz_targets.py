"""The readers that are given changed files, and a whole file for each."""

import contextlib
import copy
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from engine.backends.trainer_state import read_state
from engine.cli.main import main as recipe
from engine.data.reading.readers import read_rows
from engine.drafting.source_reading import readings_of
from engine.estimate.measured import find_like
from engine.estimate.run import past_seconds
from engine.estimate.shape import shape_of_folder
from engine.lock.file import read_lock
from engine.recipe import check_recipe
from engine.recipe.model import PathRef, Source
from engine.runtime.models.model_files import require_settings
from engine.runtime.rendering.task_file import FILE, read_task_file
from engine.store.records import Runs
from support.fuzz_bundles import bundles, of_a_run, tokenizers
from support.fuzz_target import Target
from support.project import BASE, rows
from support.recipe_grammar import drawn_recipe, recipe_text
from support.small_tokenizer import SETTINGS
from support.source_files import source

BUG: Final = 4


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
            raise AssertionError(_bug() or err.getvalue())

    return read


def _bug() -> str:
    """Return the exception of the newest bug report, and the last place of the engine on its way."""
    found = sorted(Path(".recipe/logs").glob("bug-*.txt"))
    lines = found[-1].read_text(encoding="utf-8").splitlines() if found else []
    places = [line.split("/engine/")[1] for line in lines if "/engine/" in line and "line" in line]
    ends = [line for line in lines if re.match(r"\w+(Error|Exception|Warning)\b", line)]
    for one in found:
        one.unlink()
    return f"{places[-1] if places else ''} {ends[-1] if ends else ''}"


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

    for name, fields in (("all.yaml", every), ("extraction.yaml", extraction)):
        content = recipe_text(fields).encode()
        drawn = partial(drawn_recipe, sound=fields)
        yield Target(
            name=name,
            content=content,
            read=check_recipe,
            load=yaml.safe_load,
            dump=recipe_text,
            draw=drawn,
            weight=12,
        )
        for verb in (
            ("plan", "FILE"),
            ("diff", "FILE", "base.yaml"),
            ("fmt", "FILE"),
            ("compile", "FILE"),
        ):
            yield Target(
                name=f"{verb[0]}-{name}",
                content=content,
                read=_verb(*verb),
                load=yaml.safe_load,
                dump=recipe_text,
                draw=drawn,
                weight=1,
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
TASK: Final[dict[str, Any]] = {
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


def _models() -> Iterator[Target]:
    yield Target(
        name="m/config.json",
        content=json.dumps(CONFIG).encode(),
        read=lambda path: shape_of_folder(path.parent),
        load=json.loads,
    )
    yield Target(name="w/model.safetensors", content=_header(), read=_shape_beside_config)
    yield Target(
        name=f"t/{FILE}",
        content=json.dumps(TASK).encode(),
        read=lambda path: read_task_file(path.parent),
        load=json.loads,
    )


def _settings() -> Iterator[Target]:
    yield Target(
        name="s/tokenizer_config.json",
        content=SETTINGS,
        read=lambda path: require_settings(path.parent),
        load=json.loads,
    )
    yield Target(
        name="c/trainer_state.json",
        content=json.dumps({"global_step": 3, "log_history": [{"loss": 1.0}]}).encode(),
        read=lambda path: _state(path.parent),
        load=json.loads,
    )


def _state(checkpoint: Path) -> None:
    # OSError and ValueError are what its callers expect of a file that is not whole.
    with contextlib.suppress(OSError, ValueError):
        read_state(checkpoint)


def _records() -> Iterator[Target]:
    report = {"stages": [{"stage": "data", "status": "ran", "seconds": 1.0}]}
    measured = {"schema": "measured.v1", "work": {}, "usage": {}, "by": "run", "created": "2026"}
    yield Target(
        name="x.lock.json", content=of_a_run("recipe.lock.json"), read=read_lock, load=json.loads
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
    every = (
        *_recipes(),
        *_data(),
        *_models(),
        *_settings(),
        *_records(),
        *bundles(),
        *tokenizers(),
    )
    return {target.name: target for target in every}
