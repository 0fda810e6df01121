"""Pairs of recipes for reviews: the cases of `tests/examples/diff`, made into real files with rows and locks."""

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.data.membership import membership_to_json
from engine.environment import Device
from engine.lock.draw import draw_of
from engine.lock.file import Accepted, Lock, LockedSplit, Wear, lock_path, write_lock
from engine.pipeline.data_outlook import divided
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.paths import EXAMPLES

CASES = EXAMPLES / "diff"
CPU = Device(kind="cpu", name="test", memory_bytes=1, cores=2, bf16=True)
TOPICS = {
    "billing": ("invoice", "refund", "charge", "receipt", "price", "discount"),
    "bug": ("crash", "error", "freeze", "blank screen", "timeout", "wrong date"),
    "how_to": ("export", "share", "rename", "print", "import", "invite"),
}
PLACES = ("shop", "app", "till", "portal", "tablet", "terminal", "desk", "kiosk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pair: a base recipe, and what is edited in its text."""

    group: str
    name: str
    base: str
    before: tuple[tuple[str, str], ...]
    """Edits that both versions have."""
    edit: tuple[tuple[str, str], ...]
    expect: tuple[str, ...]
    """CODE PATH of every finding that weakens the evidence; with `redrawn` behind it, of one that draws other rows."""
    also: tuple[str, ...]
    """CODE PATH of every finding that strengthens it."""
    lock: str
    new_lock: str
    new_rows: str
    """What happens to the rows of the new version's file: `fewer`, `more`, `answered` otherwise.

    `addressed`: every third row of both versions holds an e-mail address.
    """

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both versions, their rows and locks, each into a folder of its own."""
        text = (CASES / "base" / f"{self.base}.yaml").read_text(encoding="utf-8")
        text = edited(text, self.before)
        paths = []
        for side, content in (("old", text), ("new", edited(text, self.edit))):
            place = folder / side
            place.mkdir(parents=True)
            rows = write_rows(place)
            if self.new_rows and (side == "new" or self.new_rows in OF_BOTH):
                change_rows(place / "tickets.csv", self.new_rows)
            path = place / f"{self.base}.yaml"
            path.write_text(content.replace("TICKETS", rows), encoding="utf-8")
            paths.append(path)
        old, new = paths
        if self.lock:
            write_case_lock(old, self.lock)
            if self.new_lock != "deleted":
                write_case_lock(new, self.new_lock or self.lock, of=old)
        elif self.new_lock:
            write_case_lock(new, self.new_lock, of=old)
        return old, new

    def changed_keys(self) -> frozenset[str]:
        """Every key that the two texts write differently, with the sections that it stands in."""
        text = edited(
            (CASES / "base" / f"{self.base}.yaml").read_text(encoding="utf-8"), self.before
        )
        old, new = (dict(_keys(yaml.safe_load(one), ())) for one in (text, edited(text, self.edit)))
        differing = [path for path in {*old, *new} if old.get(path) != new.get(path)]
        return frozenset(
            ".".join(path[:end]) for path in differing for end in range(1, len(path) + 1)
        )


def _keys(node: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of every key that is no section."""
    if not isinstance(node, dict):
        yield at, node
        return
    for key, value in node.items():
        yield from _keys(value, (*at, str(key)))


def cases() -> list[Case]:
    """Every case, in the order of the files."""
    found = []
    for path in sorted(CASES.glob("*.yaml")):
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
        found += [_case(path.stem, item) for item in items]
    return found


def _case(group: str, item: dict[str, Any]) -> Case:
    known = {"name", "base", "before", "edit", "expect", "also", "lock", "new_lock", "new_rows"}
    assert set(item) <= known, item
    return Case(
        group=group,
        name=item["name"],
        base=item["base"],
        before=tuple(map(tuple, item.get("before", ()))),
        edit=tuple(map(tuple, item.get("edit", ()))),
        expect=tuple(item.get("expect", ())),
        also=tuple(item.get("also", ())),
        lock=item.get("lock", ""),
        new_lock=item.get("new_lock", ""),
        new_rows=item.get("new_rows", ""),
    )


def edited(text: str, edits: tuple[tuple[str, str], ...]) -> str:
    """Return the text with each piece, which must stand in it once, put in another's place."""
    for find, put in edits:
        assert text.count(find) == 1, f"{text.count(find)} times: {find!r}"
        text = text.replace(find, put)
    return text


def write_rows(folder: Path) -> str:
    """Write 300 made-up tickets, and 60 more; return the digest of the first file."""
    draw = random.Random(11)
    lines: list[str] = []
    while len(lines) < 360:
        topic = draw.choice(list(TOPICS))
        words = [draw.choice(TOPICS[topic]), draw.choice(PLACES), str(draw.randrange(1000, 9999))]
        draw.shuffle(words)
        salt = hashlib.sha256(str(len(lines)).encode()).hexdigest()[:12]
        lines.append(f"{' '.join(words)} {salt},{topic},{draw.choice(['mail', 'phone'])}\n")
    head = "text,topic,channel\n"
    (folder / "tickets.csv").write_text(head + "".join(lines[:300]), encoding="utf-8")
    for name in ("more.csv", "again.csv"):
        (folder / name).write_text(head + "".join(lines[300:]), encoding="utf-8")
    return hashlib.sha256((folder / "tickets.csv").read_bytes()).hexdigest()


OF_BOTH = ("addressed",)


def change_rows(path: Path, how: str) -> None:
    """Make another file of one that `write_rows` wrote."""
    head, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if how == "fewer":
        lines = lines[:200]
    elif how == "addressed":
        lines = [
            line.replace(" ", f" a{at}@example.org ", 1) if at % 3 == 0 else line
            for at, line in enumerate(lines)
        ]
    elif how == "more":
        more = path.with_name("more.csv").read_text(encoding="utf-8")
        lines += more.splitlines(keepends=True)[1:]
    else:
        lines = [
            line.replace(",bug,", ",how_to,") if at % 3 else line for at, line in enumerate(lines)
        ]
    path.write_text(head + "".join(lines), encoding="utf-8")


def write_case_lock(path: Path, kind: str, of: Path | None = None) -> None:
    """Write a lock beside a recipe: `recorded`, `worn` (seven looks), `swapped` (training rows judge).

    `emptied` (no rows recorded), `afresh` (other inputs, no record), `redigested` (another digest)
    `disguised` (no looks, another digest); `held` is one whose rows are
    not here. `accepted` has an accepted run; `edited` has it with better numbers, `renamed` with better
    numbers and another time, `contradicting` with another run's facts that do not fit each other, `older`
    with an earlier run, `again` with a later one.
    """
    recipe, _ = load_recipe(of or path)
    lock = held_lock(recipe) if kind == "held" else made_lock(recipe)
    if kind == "worn":
        lock = replace(lock, holdout=Wear(looks=7, redraws=0))
    if kind == "emptied":
        splits = {name: replace(part, members=None) for name, part in lock.splits.items()}
        lock = replace(lock, splits=splits)
    if kind == "afresh":  # the next run takes it for a fresh draw
        lock = replace(lock, inputs="11" * 32)
    if kind == "redigested":
        splits = {**lock.splits, "holdout": replace(lock.splits["holdout"], digest="ef" * 32)}
        lock = replace(lock, splits=splits)
    if kind == "disguised":
        splits = {**lock.splits, "holdout": replace(lock.splits["holdout"], digest="ef" * 32)}
        lock = replace(lock, splits=splits, holdout=Wear(looks=0, redraws=0))
    if kind == "swapped":
        splits = dict(lock.splits)
        train, held = splits["train"], splits["holdout"]
        few = (train.members or "")[: 60 * 8]
        splits["holdout"] = replace(held, rows=held.rows, digest="ef" * 32, members=few)
        lock = replace(lock, splits=splits)
    if kind in RUNS:
        lock = replace(lock, accepted=accepted_run(lock, **RUNS[kind]))
    write_lock(lock_path(path), lock)


RUNS: dict[str, dict[str, Any]] = {
    "accepted": {},
    "edited": {"value": 0.93},
    "renamed": {"value": 0.93, "finished": "2026-11-03T10:00:00+00:00"},
    "contradicting": {"value": 0.99, "finished": "2026-11-03T10:00:00+00:00", "mark": "b"},
    "older": {"finished": "2026-10-01T10:00:00+00:00", "mark": "c"},
    "again": {"value": 0.82, "finished": "2026-11-03T10:00:00+00:00", "mark": "d"},
}
"""What differs from the first accepted run, by the kind of lock."""


def accepted_run(
    lock: Lock, *, value: float = 0.81, finished: str = "2026-11-02T10:00:00+00:00", mark: str = "a"
) -> Accepted:
    """Return what an accepted run would leave in a lock; `mark` stands for its model and answers."""
    rows = lock.splits["holdout"].rows

    def digest(what: str) -> str:
        return hashlib.sha256(f"{mark} {what}".encode()).hexdigest()

    entries = base64.b64encode(hashlib.sha256(mark.encode()).digest()[:4] * rows).decode()
    return Accepted(
        recipe={"digest": "11" * 32, "sections": {"method": "22" * 8}, "seed": 7},
        finished=finished,
        sources=({"name": "tickets.csv", "sha256": "33" * 32},),
        rows=300,
        fingerprints=None,
        splits={name: part.digest for name, part in lock.splits.items()},
        base_model={"reference": {"hub": "owner/model"}, "files": {"config.json": "44" * 32}},
        config="55" * 32,
        precision="fp32",
        threads=1,
        hardware={"kind": "cpu"},
        versions={"torch": "2.9.0"},
        verdicts={"gate": "pass"},
        metrics={"macro_f1": {"value": value, "low": 0.71, "high": 0.95, "n": rows}},
        seeds=(),
        spread={},
        answers={"way": "answers", "rows": rows, "entries": entries},
        predictions={"holdout": digest("predictions")},
        adapter={"adapter/adapter_model.safetensors": digest("adapter")},
        merged={},
        files={},
    )


def made_lock(recipe: Recipe) -> Lock:
    """Return the lock that a first run of a recipe would write."""
    prepared = divided(recipe, None, most_bytes=1_000_000, with_extras=True)
    assert prepared is not None
    members = membership_to_json(prepared.membership)
    counts = {split.name: split.rows for split in prepared.summary.splits}
    return Lock(
        recipe=recipe.name,
        draw=json.loads(json.dumps(draw_of(recipe))),
        inputs="00" * 32,
        drawn_with=None,
        splits={
            name: LockedSplit(
                rows=rows,
                digest=hashlib.sha256(name.encode()).hexdigest(),
                members=members.get(name),
            )
            for name, rows in counts.items()
        },
        unused=members.get("none"),
        firewall=None,
        holdout=Wear(looks=2, redraws=0),
    )


def held_lock(recipe: Recipe) -> Lock:
    """Return the lock of a recipe whose rows stand elsewhere."""
    keys = [hashlib.sha256(str(number).encode()).digest()[:8] for number in range(700)]
    parts = {"train": keys[:400], "validation": keys[400:500], "holdout": keys[500:]}
    members = {
        name: base64.b64encode(b"".join(sorted(part))).decode() for name, part in parts.items()
    }
    return Lock(
        recipe=recipe.name,
        draw=json.loads(json.dumps(draw_of(recipe))),
        inputs="00" * 32,
        drawn_with=None,
        splits={
            name: LockedSplit(rows=len(part), digest="ab" * 32, members=members[name])
            for name, part in parts.items()
        },
        unused="",
        firewall=None,
        holdout=Wear(looks=2, redraws=0),
    )
