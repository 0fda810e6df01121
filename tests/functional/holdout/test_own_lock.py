"""The engine reads the lock that it wrote, whatever left rows out after the draw and however the data change."""

import base64
import csv
import json
import random
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from engine.data.membership import keys_of
from support.git_repository import repository
from support.paths import ROOT
from support.project import BASE, Outcome, rows

pytestmark = pytest.mark.thorough

LOCK = "recipe.lock.json"
Row = dict[str, str]
Run = Callable[..., Outcome]


def sentences(count: int = 230) -> list[Row]:
    """Rows much like each other, each text twice among the last ten, some with doubtful labels and personal data."""
    found = [
        {"text": text, "label": label, "at": str(number), "of": f"g{number % 40}", "set": "train"}
        for number, (text, label) in enumerate(rows(count))
    ]
    for number, row in enumerate(found):
        row["set"] = ("holdout", "validation", "train", "train", "train")[number % 5]
        if number % 17 == 0:
            row["label"] = "positive" if row["label"] == "negative" else "negative"
        if number % 3 == 0:
            row["text"] = f"{found[number - 1]['text']} too"
        if number % 11 == 0:
            row["text"] += f", write to a{number}@example.org"
    again = [{**row, "at": str(1000 + number), "of": "late"} for number, row in enumerate(found)]
    return found + again[-10:]


def split(**changes: Any) -> dict[str, Any]:
    return {
        "by": "stratified",
        "train": 60,
        "validation": 20,
        "holdout": 40,
        "seed": 7,
        **changes,
    }


def checks(**changes: Any) -> dict[str, Any]:
    return {"leakage": "warn", **changes}


def dropping(check: str) -> dict[str, Any]:
    return {"data__checks": checks(**{check: "drop"})}


def weight(value: float) -> dict[str, Any]:
    return {"data__sources": [{"path": "rows.csv", "weight": value}, {"path": "more.csv"}]}


LEAKS = dropping("leakage")
RECIPES: Mapping[str, Mapping[str, Any]] = {
    **{
        check: dropping(check)
        for check in (
            "leakage",
            "label_errors",
            "duplicates",
            "conflicting_labels",
            "near_duplicates",
            "personal_data",
            "label_in_input",
            "languages",
            "mojibake",
        )
    },
    "masked": {"data__checks": checks(personal_data="mask")},
    "all of them": {
        "data__checks": checks(leakage="drop", label_errors="drop", near_duplicates="drop"),
        **weight(0.7),
    },
    "weight 0.5": weight(0.5),
    "weight 0": weight(0.01),
    "weight 2.5": weight(2.5),
    "train all": {**LEAKS, "splits": split(train="all")},
    "random": {**LEAKS, "splits": split(by="random")},
    "no validation": {**LEAKS, "splits": split(validation=0)},
    "sampled": {**LEAKS, "data__sample": {"rows": 180}},
    "by group": {**LEAKS, "splits": split(by={"group": "of"})},
    "by time": {**LEAKS, "splits": split(by={"time": "at"})},
    "shares of time": {
        **LEAKS,
        "splits": split(by={"time": "at"}, train="all", validation=0.2, holdout=0.3),
    },
    "by column": {
        **LEAKS,
        "splits": split(by={"column": "set"}, train="all", validation=20, holdout=20),
    },
    "by column, all": {
        **LEAKS,
        "splits": split(by={"column": "set"}, train="all", validation="all", holdout="all"),
    },
    "fractions": {**LEAKS, "splits": split(train=0.5, validation=0.1, holdout=0.3)},
    "folds": {**LEAKS, "splits": {"by": "stratified", "folds": 4, "validation": 10, "seed": 7}},
    "learning curve": {**LEAKS, "learning_curve": True},
}
IS_DEALT_ANEW = ("folds", "by column, all", "fractions")
"""By design: these hold no row, since their ways of dividing move none or deal all anew."""


def added(data: list[Row]) -> list[Row]:
    more = sentences(270)[230:270]
    return [*data, *({**row, "at": str(2000 + number)} for number, row in enumerate(more))]


def changed(data: list[Row]) -> list[Row]:
    return [
        {**row, "text": f"{row['text']}!"} if n % 37 == 3 else row for n, row in enumerate(data)
    ]


def redacted(data: list[Row]) -> list[Row]:
    return [{**row, "text": row["text"].replace("@example.org", "")} for row in data]


def reordered(data: list[Row]) -> list[Row]:
    return random.Random(3).sample(data, len(data))


CHANGES: Mapping[str, Callable[[list[Row]], list[Row]]] = {
    "added": added,
    "removed": lambda data: data[6:],
    "changed": changed,
    "redacted": redacted,
    "reordered and added": lambda data: added(reordered(data)),
}


def write_rows(folder: Path, data: list[Row]) -> None:
    """Write them into two files."""
    for name, part in (("rows.csv", data[::2]), ("more.csv", data[1::2])):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(data[0]))
            writer.writeheader()
            writer.writerows(part)


def write_recipe(folder: Path, changes: Mapping[str, Any]) -> None:
    fields: dict[str, Any] = json.loads(json.dumps(BASE))
    fields["data"]["sources"] = [{"path": "rows.csv"}, {"path": "more.csv"}]
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = fields
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    (folder / "base").mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")


def drawn(run: Run) -> dict[str, Any]:
    """Run the data stage and return the lock."""
    outcome = run("run", "recipe.yaml", "--until", "data", "-q")
    assert outcome.code == 0, outcome.err
    return cast("dict[str, Any]", json.loads(Path(LOCK).read_text(encoding="utf-8")))


def keys(lock: Mapping[str, Any], name: str) -> frozenset[bytes]:
    part = lock["splits"][name]
    return keys_of(part["members"]) | keys_of(part.get("left_out", ""))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", RECIPES)
def test_its_own_lock_is_read_and_the_holdout_held_when_the_data_change(
    name: str, here: Path, run: Run
) -> None:
    """Each recipe with rows that come and with one other change; each change with several recipes."""
    others = [what for what in CHANGES if what != "added"]
    other = others[list(RECIPES).index(name) % len(others)]
    changes_hold_the_holdout(name, ("added", other), here, run)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RECIPES)
def test_its_own_lock_is_read_and_the_holdout_held_however_the_data_change(
    name: str, here: Path, run: Run
) -> None:
    changes_hold_the_holdout(name, CHANGES, here, run)


def changes_hold_the_holdout(name: str, changes: Iterable[str], here: Path, run: Run) -> None:
    write_recipe(here, RECIPES[name])
    write_rows(here, sentences())
    first = drawn(run)
    start = Path(LOCK).read_bytes()

    for part in first["splits"].values():
        assert len(keys_of(part["members"])) <= part["rows"]
    for what in changes:
        Path(LOCK).write_bytes(start)
        write_rows(here, CHANGES[what](sentences()))
        second = drawn(run)
        if what == "added":
            assert drawn(run) == second
        assert second["holdout"]["redraws"] == 0
        if name in IS_DEALT_ANEW:
            continue
        held, now = keys(first, "holdout"), keys(second, "holdout")
        assert not held & keys(second, "train"), what
        assert not held & keys(second, "validation"), what
        gone = len(held - now)
        assert gone <= len(sentences()) // 10, what
        if what in ("added", "reordered and added"):
            assert now == held, what


@pytest.mark.parametrize("by", ["stratified", {"time": "at"}])
@pytest.mark.parametrize("change", [("off", "mask"), ("mask", "off")])
def test_rows_that_a_mask_hides_from_now_on_are_the_rows_that_were_recorded(
    change: tuple[str, str], by: Any, here: Path, run: Run
) -> None:
    before, after = ({"data__checks": checks(personal_data=one)} for one in change)
    write_rows(here, sentences())
    write_recipe(here, {**before, "splits": split(by=by)})
    first = drawn(run)
    write_recipe(here, {**after, "splits": split(by=by)})
    second = drawn(run)

    assert any("@" in row["text"] for row in sentences())
    assert first["splits"]["holdout"]["digest"] != second["splits"]["holdout"]["digest"]
    for name in ("train", "validation", "holdout"):
        assert keys(first, name) == keys(second, name)
    assert drawn(run) == second


def leaking(here: Path, run: Run, **changes: Any) -> dict[str, Any]:
    """The lock of a recipe that leaves training rows out after the draw."""
    write_recipe(here, {**LEAKS, **changes})
    write_rows(here, sentences())
    return drawn(run)


def write_lock(lock: Mapping[str, Any]) -> None:
    Path(LOCK).write_text(json.dumps(lock), encoding="utf-8")


def test_rows_that_were_left_out_are_no_members_and_stay_recorded(here: Path, run: Run) -> None:
    lock = leaking(here, run, splits=split(train="all"))
    part = lock["splits"]["train"]
    schema = json.loads((ROOT / "schemas" / "lock.v1.schema.json").read_text("utf-8"))
    jsonschema.validate(lock, schema, cls=jsonschema.Draft202012Validator)

    assert len(keys_of(part["members"])) == part["rows"]
    assert len(keys_of(part["left_out"])) > 0
    assert not keys_of(part["left_out"]) & keys_of(part["members"])
    assert "left_out" not in lock["splits"]["holdout"]


def test_rows_that_take_the_places_of_others_are_the_members(here: Path, run: Run) -> None:
    lock = leaking(here, run)
    part = lock["splits"]["train"]

    assert len(keys_of(part["members"])) == part["rows"] == 60
    assert "left_out" not in part


def test_a_lock_of_an_older_version_is_read_and_written_right(here: Path, run: Run) -> None:
    """Older versions wrote the rows that were left out among the members."""
    lock = leaking(here, run, splits=split(train="all"))
    old = json.loads(json.dumps(lock))
    for name, part in old["splits"].items():
        part["members"] = base64.b64encode(b"".join(sorted(keys(lock, name)))).decode()
        part.pop("left_out", None)
    assert len(keys_of(old["splits"]["train"]["members"])) > old["splits"]["train"]["rows"]
    write_lock(old)
    write_rows(here, added(sentences()))

    seen = run("data", "recipe.yaml", "--no-tokens")
    found = drawn(run)

    assert seen.code == 0, seen.err
    assert found["splits"]["holdout"] == lock["splits"]["holdout"]
    assert len(keys_of(found["splits"]["train"]["members"])) <= found["splits"]["train"]["rows"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("split_", ["train", "holdout"])
@pytest.mark.parametrize("damage", ["not base64!", "AAAA", "more"])
def test_a_broken_record_is_refused_and_the_command_that_is_named_restores_it(
    damage: str, split_: str, here: Path, run: Run
) -> None:
    git = repository(here, {".gitignore": ".recipe/\n"})
    lock = leaking(here, run)
    git.commit()
    broken = json.loads(json.dumps(lock))
    part = broken["splits"][split_]
    many = b"".join(bytes([number]) * 8 for number in range(part["rows"] + 1))
    part["members"] = base64.b64encode(many).decode() if damage == "more" else damage
    if damage == "more":  # without `left_out` it would be what older versions wrote
        part.setdefault("left_out", "")
    write_lock(broken)
    before = Path(LOCK).read_bytes()
    write_rows(here, added(sentences()))

    refused = run("run", "recipe.yaml", "--until", "data", "-q")
    untouched = Path(LOCK).read_bytes()
    command = refused.err.partition("`git ")[2].partition("`")[0]
    git.run(*shlex.split(command))
    found = drawn(run)

    assert (refused.code, "D383" in refused.err) == (3, True)
    assert untouched == before
    assert found["splits"]["holdout"] == lock["splits"]["holdout"]
    assert found["holdout"] == lock["holdout"]
