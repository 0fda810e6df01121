"""What a run does to a store, without models: a result, a run folder, a lock, a count; ended at drawn writes in forks.

`python stored_steps.py FOLDER SEED CASES` plays so many cases and prints, as JSON, what is wrong with each.
"""

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.errors import EngineError
from engine.files import writing
from engine.files.digests import sha256_of
from engine.lock.holdout_uses import HoldoutUses
from engine.store import Store, make_key
from engine.store.records import Runs, write_text
from engine.store.root import remove_leftovers
from support import forked_runs
from support.survived import left_over

KEY = make_key({"stage": "data", "revision": 1})
HOLDOUT = "5e" * 32


def steps(folder: Path) -> None:
    """Do what a run does, in its order."""
    store, runs = Store(folder / ".recipe"), Runs(folder / ".recipe")
    remove_leftovers(store)
    writing.remove_parts(folder / "recipe.lock.json")
    made = store.put("data", KEY, _build)
    run = runs.create("tiny", KEY.digest)
    try:
        writing.write_text(folder / "recipe.lock.json", '{"lock": 1}\n', durable=True)
        HoldoutUses(store).add(HOLDOUT, {"run": run.name})
        store.deliver(made, "model", run / "model")
        write_text(run / "report.json", "{}")
        runs.record(run, {"outcome": "accepted"})
    except BaseException:
        runs.discard(run)
        raise


def _build(folder: Path) -> None:
    (folder / "model").mkdir()
    for name, content in (("rows.jsonl", "one\n"), ("model/a", "a" * 9000), ("model/b", "b")):
        (folder / name).write_text(content, encoding="utf-8")


def digests(folder: Path) -> Mapping[str, str]:
    """Return the sha256 of what has the same bytes in every run."""
    made, (run,) = Store(folder / ".recipe").whole(KEY.digest), Runs(folder / ".recipe").of("tiny")
    assert made is not None
    found = {one.name: sha256_of(made.path / one.name) for one in made.files}
    found |= {f"run/{name}": sha256_of(run / "model" / name) for name in "ab"}
    return {**found, "lock": sha256_of(folder / "recipe.lock.json")}


def played(folder: Path, case: str, expected: Mapping[str, str], *, writes: int) -> list[str]:
    """End the steps at a drawn write, by a kill or a full disk, do them again, and return what is wrong."""
    draw = random.Random(case)
    number, kills = draw.randint(1, writes), draw.random() < 0.5
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    hook = forked_runs.at_write(number, forked_runs.kill_group)
    first = forked_runs.fork(
        folder, lambda: _ended(folder), setup=hook if kills else forked_runs.full_from(number)
    )
    first.wait()
    if first.status not in ((-9, 0) if kills else (0, 3)):
        return [f"write {number}: ended with {first.status}"]
    if len(Runs(folder / ".recipe").of("tiny")) == 1 and first.status != 0:
        # killed after the record: the run is whole, and only its mark is left
        shutil.rmtree(Runs(folder / ".recipe").of("tiny")[0])
    elif first.status == 0:
        return []
    again = forked_runs.fork(folder, lambda: _ended(folder)).wait()
    if again != 0:
        return [f"write {number}: the next run ended with {again}"]
    wrong = [f"left over: {one}" for one in left_over(folder)]
    return [f"write {number}: {one}" for one in wrong] + (
        [] if digests(folder) == expected else [f"write {number}: other bytes"]
    )


def _ended(folder: Path) -> int:
    try:
        steps(folder)
    except EngineError as error:
        return error.exit_code
    return 0


def main() -> None:
    """Play the cases."""
    place, seed, cases = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    tempfile.tempdir = str(place)
    folder, count = place / "case", place / "count"
    folder.mkdir()
    counted = forked_runs.counted_writes(count)
    assert forked_runs.fork(folder, lambda: _ended(folder), setup=counted).wait() == 0
    expected, writes = digests(folder), int(count.read_text(encoding="ascii"))
    found = [
        fault
        for number in range(cases)
        for fault in played(folder, f"{seed}/{number}", expected, writes=writes)
    ]
    sys.stdout.write(json.dumps({"writes": writes, "faults": found}))


if __name__ == "__main__":
    main()
