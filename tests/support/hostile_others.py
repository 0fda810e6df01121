"""Hostile cases: configs of other tools, workbooks, histories that are not the clone's own, and what is served."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.cli.mcp_server import answer_of
from engine.evidence import Report
from engine.publish.model_card import published_card
from engine.serving.app import JSONResponse
from engine.values import from_json
from support.forked_verbs import RAW
from support.hostile_table import Ask, Case, ask
from support.hostile_texts import ESC, spoiled
from support.hostile_victim import Victim, git
from support.layout_files import sheet_parts
from support.outside_cases import FIELDS, SECRET, write
from support.reports import report_fields

Put = Callable[[Victim], object]
AXOLOTL: Final = "base_model: owner/m\ndatasets: [{path: owner/d, type: alpaca}]\n"
FACTORY: Final = "model_name_or_path: owner/m\nstage: sft\ndataset: mine\n"
JOB: Final = {"object": "fine_tuning.job", "training_file": "f"}
ALIASES: Final = "x0: &x0 [aaaaaaaa, b, c, d, e, f, g, h, i, j]\n" + "".join(
    f"x{at}: &x{at} [{', '.join([f'*x{at - 1}'] * 10)}]\n" for at in range(1, 12)
)
IMPORT: Final = "import {name} -o out.yaml"
CONFIGS: Final[Mapping[str, tuple[str, str, Ask]]] = {
    what: (name, text, ask(IMPORT.format(name=name), 2 if code else 0, code))
    for what, name, text, code in (
        ("aliases of aliases", "c.yaml", f"{ALIASES}{AXOLOTL}lr_scheduler: *x11\n", "R425"),
        ("an alias within itself", "c.yaml", f"{AXOLOTL}lr_scheduler: &a [*a]\n", "R425"),
        ("merges of merges", "c.yaml", AXOLOTL + "a0: &a0 {k: 1}\n" + "".join(
            f"a{at}: &a{at} {{<<: [*a{at - 1}, *a{at - 1}]}}\n" for at in range(1, 24)), "R425"),
        ("a very deep list", "c.yaml", f"{AXOLOTL}x: {'[' * 100_000}", "R425"),
        ("2 MB", "c.yaml", f"{AXOLOTL}x: {'a' * 2_000_000}\n", "R425"),
        ("a number of 400 digits", "c.yaml", f"{AXOLOTL}learning_rate: 1{'0' * 400}\n", "R425"),
        ("an infinite share", "c.yaml", f"{AXOLOTL}val_set_size: .inf\n", "R425"),
        ("data that is a number", "c.yaml", "base_model: owner/m\ndatasets: 5\n", ""),
        ("data that is a list of lists", "c.yaml", "base_model: owner/m\ndatasets: [[a], null, 2020-01-01]\n", ""),
        ("a name that is a number", "c.yaml", "model_name_or_path: owner/m\nstage: sft\ndataset: 5\n", ""),
        ("a name of 6,000 characters", "c.yaml", f"base_model: {'y/' * 3000}\ndatasets: [owner/d]\n", ""),
        ("a job whose method is a list", "c.json", json.dumps({**JOB, "method": {"type": ["a"]}}), "R425"),
        ("a job that only validates", "c.json", json.dumps({"object": "fine_tuning.job", "validation_file": "x"}), "R425"),
    )
}  # fmt: skip


def _info(victim: Victim, place: str, target: str) -> None:
    """LLaMA-Factory's list of data sets, where a config can lead to it."""
    victim.write("c.yaml", FACTORY)
    shutil.rmtree(victim.clone / "data")
    (victim.home / "models" / "private" / "dataset_info.json").write_text(
        json.dumps({"mine": {"file_name": SECRET.split(",")[1]}}), "utf-8"
    )
    (victim.clone / place).parent.mkdir(exist_ok=True)
    (victim.clone / place).symlink_to(victim.home / target)


def _put(victim: Victim, name: str, text: str) -> None:
    victim.write(name, text)


def _listed(victim: Victim, text: str) -> None:
    victim.write("c.yaml", FACTORY)
    victim.write("data/dataset_info.json", text)


def _imports() -> list[Case]:
    group = "a config of another tool"
    cases = [
        Case(group=group, what=what, tried=text if len(text) < 100 else f"{text[:100]}...",
             make=partial(_put, name=name, text=text), asks=(one,))
        for what, (name, text, one) in CONFIGS.items()
    ]  # fmt: skip
    for what, place, target in (
        ("a folder of data that is a link", "data", "models/private"),
        ("a list of data sets that is a link", "data/dataset_info.json", "models/private/dataset_info.json"),
    ):  # fmt: skip
        cases.append(
            Case(group=group, what=what, tried=f"ln -s ~/{target} {place}",
                 make=partial(_info, place=place, target=target), asks=(ask(IMPORT.format(name="c.yaml"), 0),))
        )  # fmt: skip
    for what, text in (("no JSON", "{"), ("100,000 levels", "[" * 100_000)):
        cases.append(
            Case(group=group, what=f"a list of data sets that is {what}", tried="data/dataset_info.json",
                 make=partial(_listed, text=text),
                 asks=(ask(IMPORT.format(name="c.yaml"), 0),))
        )  # fmt: skip
    return cases


SHEET: Final = ("<worksheet><sheetData>", "</sheetData></worksheet>")
WORKBOOKS: Final[Mapping[str, tuple[str, Callable[[], str], str]]] = {
    "nothing in it": ("", lambda: "", ""),
    "cells far apart": ('<c r="XFD400">', lambda: '<row><c r="A1"><v>1</v></c></row><row><c r="XFD400"><v>1</v></c></row>', ""),
    "1,000 levels": ("<a><a>", lambda: "<a>" * 1000, ""),
    "a name of an encoding that is none": ("encoding='rot13'", lambda: "", "<?xml version='1.0' encoding='rot13'?>"),
    "a document type": ("<!DOCTYPE>", lambda: "", "<!DOCTYPE a [<!ENTITY b SYSTEM '/etc/passwd'>]>"),
}  # fmt: skip
BYTES: Final[Mapping[str, tuple[int, int]]] = {
    "an encrypted part": (8, 1),
    "a part packed in an unknown way": (10, 99),
    "a part packed as it is not": (10, 8),
}
"""By case, a byte of the directory's entry of a part, and what it is changed to."""


def _workbook(
    victim: Victim,
    *,
    rows: Callable[[], str],
    head: str = "",
    change: tuple[int, int] | None = None,
) -> None:
    path = victim.clone / "rows.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if change else zipfile.ZIP_DEFLATED) as book:
        if not change:
            sheet_parts(book, ["Sheet1"])
        book.writestr("xl/worksheets/sheet1.xml", f"{head}{SHEET[0]}{rows()}{SHEET[1]}")
    if change:
        at, value = change
        content = bytearray(path.read_bytes())
        # Of the directory, and of the head of the part, where the same stands two bytes before.
        content[content.find(b"PK\x01\x02") + at] = content[at - 2] = value
        path.write_bytes(content)


def _workbooks() -> list[Case]:
    group = "a workbook"
    found = [
        Case(group=group, what=what, tried=tried, asks=(ask("init rows.xlsx -o out.yaml", 3, "D323"),),
             make=partial(_workbook, rows=rows, head=head))
        for what, (tried, rows, head) in WORKBOOKS.items()
    ]  # fmt: skip
    found += [
        Case(group=group, what=what, tried=f"byte {change[0]} of the entry: {change[1]}",
             asks=(ask("init rows.xlsx -o out.yaml", 3, "D323"),),
             make=partial(_workbook, rows=lambda: "<row><c><v>1</v></c></row>", change=change))
        for what, change in BYTES.items()
    ]  # fmt: skip
    bomb = f"{ALIASES}- {{text: a, label: *x11}}\n"
    for what, text in (("aliases of aliases", bomb), ("a very deep list", f"- text: {'[' * 100_000}"),
                       ("a number of 5,000 digits", f"- {{text: a, label: {'9' * 5000}}}\n" * 30)):  # fmt: skip
        found.append(
            Case(group="rows in YAML", what=what, tried=text if len(text) < 100 else f"{text[:100]}...",
                 make=partial(_put, name="rows.yml", text=text),
                 asks=(ask("init rows.yml -o out.yaml", 3, "D325"),))
        )  # fmt: skip
    for what, name, text in (
        ("100,000 columns", "wide.csv", "\n".join(",".join("1" * 100_000) for _ in range(5))),
        ("100,000 keys", "wide.json", json.dumps([{f"k{at}": 1 for at in range(100_000)}])),
    ):
        found.append(
            Case(group="rows without end", what=what, tried=name, make=partial(_put, name=name, text=text),
                 asks=(ask(f"init {name} -o out.yaml", 2, "R030"),))
        )  # fmt: skip
    return found


def _committed(victim: Victim) -> Path:
    """A clone with a recipe, and another repository of the user's, whose folder is returned."""
    private = victim.home / "models" / "private"
    labels: dict[str, Any] = {"task": {**FIELDS["task"], "instruction": "{labels}?"}}
    write(victim.clone, **labels)
    write(private, name="recipe.yaml", **labels, description=SECRET)
    for folder in (victim.clone, private):
        shutil.rmtree(folder / ".git", ignore_errors=True)
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "add", "recipe.yaml")
        git(folder, "commit", "--quiet", "-m", "one")
    return private


def _file(victim: Victim) -> None:
    private = _committed(victim)
    shutil.rmtree(victim.clone / ".git")
    victim.write(".git", f"gitdir: {private / '.git'}\n")


def _link(victim: Victim) -> None:
    private = _committed(victim)
    shutil.rmtree(victim.clone / ".git")
    (victim.clone / ".git").symlink_to(private / ".git")


def _common(victim: Victim) -> None:
    victim.write(".git/commondir", f"{_committed(victim) / '.git'}\n")


def _alternates(victim: Victim) -> None:
    victim.write(".git/objects/info/alternates", f"{_committed(victim) / '.git' / 'objects'}\n")


def _inner(victim: Victim, name: str) -> None:
    private = _committed(victim)
    shutil.rmtree(victim.clone / ".git" / name)
    (victim.clone / ".git" / name).symlink_to(private / ".git" / name)


def _odd(victim: Victim, name: str, put: Callable[[Path], None]) -> None:
    _committed(victim)
    place = victim.clone / ".git" / name
    place.unlink(missing_ok=True)
    put(place)


def _long(path: Path) -> None:
    path.write_text("[core]\n" + "\tx = y\n" * 300_000, encoding="utf-8")


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


HISTORIES: Final[Mapping[str, tuple[str, Put]]] = {
    "a file that names another repository": (".git: gitdir: ~/models/private/.git", _file),
    "a link to another repository": ("ln -s ~/models/private/.git .git", _link),
    "settings and objects of another one": (".git/commondir", _common),
    "objects of another one beside its own": (".git/objects/info/alternates", _alternates),
    "objects that are a link": ("ln -s …/objects .git/objects", partial(_inner, name="objects")),
    "branches that are a link": ("ln -s …/refs .git/refs", partial(_inner, name="refs")),
    "a head that is a pipe": ("mkfifo .git/HEAD", partial(_odd, name="HEAD", put=os.mkfifo)),
    "an index that is a pipe": ("mkfifo .git/index", partial(_odd, name="index", put=os.mkfifo)),
    "settings without end": ("ln -s /dev/zero .git/config", partial(_odd, name="config", put=_zero)),
    "settings of 2 MB": ("x = y, 300,000 times in .git/config", partial(_odd, name="config", put=_long)),
    "branches without end": ("ln -s /dev/zero .git/packed-refs", partial(_odd, name="packed-refs", put=_zero)),
}  # fmt: skip


def _recipe_behind_a_link(victim: Victim) -> None:
    _committed(victim)
    (victim.clone / "other.yaml").symlink_to(victim.home / ".ssh" / "id_rsa")
    git(victim.clone, "add", "other.yaml")


def _histories() -> list[Case]:
    verbs = (ask("ci --from HEAD", 2, "R024"), ask("diff recipe.yaml --from HEAD", 2, "R024"))
    found = [
        Case(group="a history that is another's", what=what, tried=tried, make=make, asks=verbs)
        for what, (tried, make) in HISTORIES.items()
    ]
    found += [
        Case(group="a history that is another's", what="a recipe that is a link", tried="ln -s ~/.ssh/id_rsa other.yaml",
             make=_recipe_behind_a_link, asks=(ask("ci --from HEAD", 0),)),
    ]  # fmt: skip
    return found


TAGS: Final = "".join(chr(0xE0000 + ord(one)) for one in "call run")
"""Letters that people do not see and models read."""


def _clean(text: str) -> str:
    is_clean = not RAW.search(text.replace("\n", "")) and not set(TAGS) & set(text)
    return "clean" if is_clean and json.loads(text) else text


def _served() -> list[Case]:
    group = "what is served"
    return [
        Case(group=group, what="an answer to an agent", tried="ESC, a turned direction, letters that nobody sees",
             make=lambda _: None, look=lambda _: _clean(_to_agent()), wanted="clean"),
        Case(group=group, what="the README of a published folder", tried="ESC, a turned direction",
             make=lambda _: None, look=lambda _: _published(), wanted="clean"),
        Case(group=group, what="an answer over HTTP", tried="ESC, a turned direction",
             make=lambda _: None, look=lambda _: _clean(bytes(JSONResponse({"prediction": ESC}).body).decode()), wanted="clean"),
    ]  # fmt: skip


def _published() -> str:
    """The README of a published folder, with escapes in every text of its report."""
    report = report_fields("rich")
    card = published_card(from_json(Report, spoiled(report)), forms=("gguf",), names=(), key="")
    return "clean" if not RAW.search(card.replace("\r", "")) and not set(TAGS) & set(card) else card


def _to_agent() -> str:
    (content,) = answer_of({"prediction": ESC + TAGS}, is_error=False).content
    assert content.type == "text"
    return content.text


CASES: Final = (*_imports(), *_workbooks(), *_histories(), *_served())
