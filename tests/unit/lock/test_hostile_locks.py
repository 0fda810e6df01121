"""Whatever stands in the place of a lock: a typed error at once, in one line without control characters."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.environment import Device
from engine.errors import DataError, EngineError
from engine.lock.coherence import contradictions_of_recipe
from engine.lock.draw import bind_to_lock, recorded_rows
from engine.lock.file import Lock, lock_from_text, lock_text, read_lock, write_lock
from engine.lock.policy import LockOptions, LockPolicy, changed_since, lock_line
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.json_mutation import STRANGE, mutated, places
from support.paths import ROOT

SHA = "ab" * 32
ENTRIES = base64.b64encode(bytes(8)).decode()
KEYS = base64.b64encode(bytes(range(16))).decode()
CPU = Device(kind="cpu", name="cpu", memory_bytes=1, cores=1, bf16=False)
WHOLE: dict[str, Any] = {
    "schema": "lock.v1",
    "recipe": "reviews",
    "draw": {"splits.by": "stratified", "splits.holdout": 2, "splits.seed": 7},
    "inputs": SHA,
    "drawn_with": SHA,
    "splits": {
        "train": {"rows": 1, "digest": SHA, "members": KEYS[:11] + "=", "left_out": ""},
        "holdout": {"rows": 2, "digest": SHA, "members": KEYS},
    },
    "unused": "",
    "firewall": {
        "method": "equal text",
        "similarity": 0.8,
        "found_exact": 0,
        "found_near": 1,
        "left_exact": 0,
        "left_near": 0,
    },
    "holdout": {"looks": 1, "redraws": 0},
    "accepted": {
        "recipe": {"digest": SHA, "sections": {"task": "0" * 16}, "seed": 7},
        "finished": "2026-11-20T10:00:00+00:00",
        "sources": [{"name": "rows.csv", "sha256": SHA}],
        "rows": 2,
        "fingerprints": ENTRIES,
        "splits": {"holdout": SHA},
        "base_model": {"reference": {"path": "base"}, "files": {"config.json": SHA}},
        "config": SHA,
        "precision": "fp32",
        "threads": 2,
        "hardware": {"device": "cpu", "cores": 2},
        "versions": {"torch": "2.13.0"},
        "verdicts": {"gate": "pass", "verify": "pass"},
        "metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 2}},
        "seeds": [{"seed": 8, "agreement": 1.0, "metrics": {"accuracy": 0.7}}],
        "spread": {"accuracy": {"mean": 0.6, "deviation": 0.141421}},
        "answers": {"way": "answers", "rows": 2, "entries": ENTRIES},
        "predictions": {"holdout": SHA},
        "adapter": {"adapter/adapter_model.safetensors": SHA},
        "merged": {},
        "files": {"model.gguf": SHA},
    },
}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(ROOT / "recipes" / "quickstart.yaml")[0]


def use(lock: Lock, recipe: Recipe) -> None:
    """What verbs do with a lock before anything is computed."""
    bind_to_lock(recipe, lock, SHA)
    bind_to_lock(recipe, lock, "cd" * 32)
    recorded_rows(recipe, lock)
    lock_text(lock)
    if lock.accepted is None:
        return
    list(contradictions_of_recipe(recipe, lock.accepted))
    changed_since(recipe, lock.accepted)
    policy = LockPolicy(recipe=recipe, accepted=lock.accepted, changed=(), options=LockOptions())
    policy.device(CPU)
    lock_line(policy, [{"sha256": SHA}])


def refusal(document: Any, recipe: Recipe) -> DataError | None:
    """Why a document is refused as a lock, or None where it is read and used."""
    try:
        use(lock_from_text(Path("a.lock.json"), json.dumps(document)), recipe)
    except DataError as error:
        return error
    return None


def is_plain(error: EngineError) -> bool:
    return all(
        line.isprintable() and len(line) < 300
        for problem in error.problems
        for line in (problem.message, problem.hint or "")
    )


def test_the_whole_lock_is_one(recipe: Recipe) -> None:
    lock = lock_from_text(Path("a.lock.json"), json.dumps(WHOLE))

    assert list(contradictions_of_recipe(recipe, lock.accepted)) if lock.accepted else False
    assert json.loads(lock_text(lock)) == WHOLE
    assert lock.splits["train"].left_out == ""
    use(replace(lock, draw={}), recipe)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("place", list(places(WHOLE)), ids=lambda path: "/".join(map(str, path)))
def test_a_wrong_type_anywhere_is_named(place: tuple[Any, ...], recipe: Recipe) -> None:
    for strange in STRANGE:
        found = json.loads(json.dumps(WHOLE))
        *parents, last = place
        node = found
        for part in parents:
            node = node[part]
        node[last] = strange
        error = refusal(found, recipe)
        assert error is None or is_plain(error), error
        assert error is None or error.problems[0].code in ("D380", "D381", "D382", "D383")


@pytest.mark.sampled(8)
@pytest.mark.parametrize("seed", range(300))
def test_a_mutated_lock_is_read_or_refused(seed: int, recipe: Recipe) -> None:
    error = refusal(mutated(WHOLE, seed), recipe)

    assert error is None or is_plain(error), error


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


STANDING: dict[str, tuple[Callable[[Path], Any], str]] = {
    "fifo": (fifo, "is a named pipe"),
    "device": (device, "is a device"),
    "folder": (Path.mkdir, "is a folder"),
    "sparse": (sparse, "larger than"),
    "deep list": (lambda path: path.write_text("[" * 100_000 + "]" * 100_000), "nested more than"),
    "deep object": (
        lambda path: path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
        "nested more than",
    ),
    "deep within": (
        lambda path: path.write_text(
            json.dumps({**WHOLE, "unused": 0}).replace(": 0,", f": {'[' * 300}{']' * 300},", 1)
        ),
        "nested more than",
    ),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe{}"), "not UTF-8"),
    "null": (lambda path: path.write_text("null"), "not a lock"),
    "list": (lambda path: path.write_text("[]"), "not a lock"),
    "text": (lambda path: path.write_text('"lock.v1"'), "not a lock"),
    "number": (lambda path: path.write_text("1" * 5000), "not JSON"),
    "empty": (lambda path: path.write_text(""), "not JSON"),
    "schema": (lambda path: path.write_text(json.dumps({"schema": ["\x1b" * 99]})), "not a lock"),
}


@pytest.mark.parametrize("name", STANDING)
def test_what_is_no_lock_file_is_refused_at_once(name: str, tmp_path: Path) -> None:
    make, message = STANDING[name]
    path = tmp_path / "a.lock.json"
    make(path)

    with pytest.raises(DataError) as caught:
        read_lock(path)

    assert message in caught.value.problems[0].message
    assert is_plain(caught.value)


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    lock = lock_from_text(Path("a.lock.json"), json.dumps(WHOLE))
    victim = tmp_path / "profile"
    victim.write_text(lock_text(lock))
    path = tmp_path / "a.lock.json"
    path.symlink_to(victim)
    (tmp_path / ".a.lock.json.part").symlink_to(victim)

    written = write_lock(path, replace(lock, recipe="other"))

    assert written
    assert victim.read_text() == lock_text(lock)
    assert not path.is_symlink()


def test_what_would_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    lock = lock_from_text(Path("a.lock.json"), json.dumps(WHOLE))

    with pytest.raises(OSError, match="larger than 67 MB"):
        write_lock(tmp_path / "a.lock.json", replace(lock, unused="A" * (64 << 20)))

    assert list(tmp_path.iterdir()) == []
