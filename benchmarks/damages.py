"""Damage every artifact of a run in ten ways and look at what the next run makes of it.

    PYTHONPATH=tests python benchmarks/damages.py --seed 1
    PYTHONPATH=tests python benchmarks/damages.py --seed 1 --only merge

Each artifact of a tiny finished project, those made within stages too, is damaged as `tests/support/damages.py` says,
sizes and times restored where the damage lets them. `recipe store verify` must find it (exit 1). Then the same command
is run: it must end with 0 and every byte as in a run that nobody touched, and the damaged result must stand in
`damaged/`. An artifact within a stage is read when its stage runs, so that stage is still to be done then. Checkpoints
of a killed training are damaged in the same ways, and the lock. Ends with 1 where a case did not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from survival import WORDS, Bench, both, opened, tools

from engine.stages import STAGES
from engine.store import Store
from support import forked_runs
from support.damages import DAMAGES, flipped
from support.kill_server import arm
from support.runs import manifests
from support.survived import LOCK, NOTHING, STORE, faults_of

CHECKPOINT, LOCKED = "checkpoint", "lock"
AFTER_STEPS = 7
"""Of eight: a training that is killed then leaves checkpoints of the second, fourth and sixth."""
KEPT_BY = ("damaged", "foreign")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One damage."""

    kind: str
    """The stage or product of the artifact, `checkpoint` or `lock`."""
    key: str
    stage: str
    """That reads it, and is still to be done; empty where it is a stage's own."""
    damage: str


def cases(finished: Path) -> Iterator[Case]:
    """Yield all cases of a finished project."""
    found = manifests(finished / STORE)
    for place, made in enumerate(found):
        later = (one["stage"] for one in found[place:] if one["stage"] in STAGES)
        reader = "" if made["stage"] in STAGES else next(later)
        for damage in DAMAGES:
            yield Case(kind=made["stage"], key=made["key"], stage=reader, damage=damage)
    for kind in (CHECKPOINT, LOCKED):
        for damage in DAMAGES:
            yield Case(kind=kind, key="", stage="", damage=damage)


@dataclass(slots=True, kw_only=True)
class Damages:
    """Damages of one project."""

    bench: Bench
    seed: int

    def played(self, case: Case) -> list[str]:
        """Play a case; return what is wrong."""
        draw = random.Random(f"{self.seed}/{case}")  # noqa: S311 - repeatable
        if case.kind == CHECKPOINT:
            return self._checkpoint(case, draw)
        folder = self.bench.in_state(NOTHING)
        if case.kind == LOCKED:
            return self._lock(folder, case, draw)
        store = Store(folder / STORE)
        if case.stage:
            keys = {one["stage"]: one["key"] for one in manifests(folder / STORE)}
            shutil.rmtree(store.folder(keys[case.stage]))
        place = store.folder(case.key)
        DAMAGES[case.damage](place, draw)
        elsewhere = place.with_name(f"{place.name}-elsewhere")
        if elsewhere.exists():
            elsewhere.rename(folder / "elsewhere")
            link = next(path for path in (place / "files").rglob("*") if path.is_symlink())
            link.unlink()
            link.symlink_to(folder / "elsewhere")
        wrong = []
        seen = forked_runs.start(folder, ["store", "verify"])
        if seen.wait() != 1:
            wrong.append(f"`store verify` ended with {seen.status}")
        wrong += self._run_again(folder)
        kept = [one for name in KEPT_BY for one in (folder / STORE / name).glob("*")]
        return wrong + ([] if kept else ["it is not set aside"])

    def _checkpoint(self, case: Case, draw: random.Random) -> list[str]:
        folder = self.bench.in_state("train")
        setup = both(tools(), lambda: arm("train", after=AFTER_STEPS, number=9))
        forked_runs.start(folder, WORDS, setup=setup).wait()
        forked_runs.alive()
        found = sorted((folder / STORE / "scratch").glob("*/output/checkpoint-*"))
        if not found:
            return ["the killed training left no checkpoint"]
        # as an artifact: a folder with `files` and the digests of them
        shaped = folder / "shaped"
        shaped.mkdir()
        (shaped / "files").symlink_to(found[-1])
        if case.damage == "with a changed manifest":
            (found[-1] / "digests.json").write_text(draw.choice(("", "[]", "{")), encoding="utf-8")
        else:
            DAMAGES[case.damage](shaped, draw)
        wrong = self._run_again(folder)
        steps = json.loads(_last(folder / STORE, "train").read_text(encoding="utf-8"))
        resumed = steps["resumed_from_step"] or 0
        if resumed >= int(found[-1].name.removeprefix("checkpoint-")):
            wrong.append(f"it went on from step {resumed}, which is damaged")
        return wrong

    def _lock(self, folder: Path, case: Case, draw: random.Random) -> list[str]:
        """Damage the lock: the run ends with a typed error, or as if nothing had been."""
        shaped = folder / "shaped"
        (shaped / "files").mkdir(parents=True)
        lock = folder / LOCK
        lock.rename(shaped / "files" / LOCK)
        chosen = DAMAGES[case.damage] if case.damage != "with a changed manifest" else flipped
        chosen(shaped, draw)
        if (shaped / "files" / LOCK).exists():
            (shaped / "files" / LOCK).rename(lock)
        run = forked_runs.start(folder, WORDS, setup=tools())
        log = folder / "forked.log"
        if run.wait() not in (0, 2, 3):
            return [f"ended with {run.status}: {log.read_text(encoding='utf-8')[-400:]}"]
        if run.status:
            log.unlink()
            lock.unlink(missing_ok=True)
            shutil.copyfile(self.bench.finished / LOCK, lock)
        return self._run_again(folder)

    def _run_again(self, folder: Path) -> list[str]:
        run = forked_runs.start(folder, WORDS, setup=tools())
        found = faults_of(folder, self.bench.reference, code=run.wait())
        kept = tuple(f"left over: {STORE}/{name}" for name in KEPT_BY)
        log = (folder / "forked.log").read_text(encoding="utf-8", errors="replace")
        bug = ["I900"] if "I900" in log else []
        return [one for one in found if not one.startswith(kept)] + bug


def _last(root: Path, stage: str) -> Path:
    made = [one for one in manifests(root) if one["stage"] == stage]
    return Store(root).folder(made[-1]["key"]) / "files" / "training.json"


def main(words: Sequence[str] | None = None) -> int:
    """Play the cases and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=(), help="kinds of artifacts")
    parser.add_argument("--every", type=int, default=1, help="play one case in so many")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after so long")
    options = parser.parse_args(words)
    began, played, wrong = time.monotonic(), Counter[str](), Counter[str]()
    with opened() as bench:
        damages = Damages(bench=bench, seed=options.seed)
        chosen = [
            case
            for case in cases(damages.bench.finished)
            if not options.only or case.kind in options.only
        ]
        for case in chosen[options.seed % options.every :: options.every]:
            if time.monotonic() - began > options.seconds:
                break
            faults = damages.played(case)
            played[case.kind] += 1
            wrong[case.kind] += bool(faults)
            for fault in faults:
                print(f"{case.kind}, {case.damage}: {fault}", flush=True)
    print("| artifact | damages | wrong |\n|---|---|---|")
    for kind, count in played.items():
        print(f"| {kind} | {count} | {wrong[kind]} |")
    seconds = time.monotonic() - began
    print(
        f"\n{played.total()} damages, seed {options.seed}: {wrong.total()} wrong, in {seconds:.0f} s"
    )
    return 1 if wrong.total() else 0


if __name__ == "__main__":
    sys.exit(main())
