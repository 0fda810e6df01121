"""Hostile cases: links where a verb writes, stores that came along, settings of git, files that libraries look for."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Final

import yaml

from support import git_traps
from support.git_repository import Git, repository
from support.hostile_table import Ask, Case, ask
from support.hostile_victim import MINE, Victim, git
from support.outside_cases import FIELDS, source
from support.project import rows
from support.recipe_pairs import CASES as PAIRS
from support.recipe_pairs import write_rows

WRITTEN: Final = (
    ".recipe", ".recipe/.gitignore", ".recipe/README.txt", ".recipe/store", ".recipe/scratch", ".recipe/locks",
    ".recipe/tmp", ".recipe/logs", ".recipe/runs", ".recipe/digests.json", ".recipe/damaged", "recipe.lock.json",
    ".recipe.lock.json.part",
)  # fmt: skip
"""Places that `recipe data` writes."""
DATA: Final = "data recipe.yaml --no-tokens"


def project(victim: Victim) -> None:
    """A recipe that `recipe data` can look at, with its rows."""
    lines = [f"{text},{label}" for text, label in rows(60)]
    victim.write("rows.csv", "\n".join(["text,label", *lines]) + "\n")
    victim.write("base/config.json", "{}")
    labels = {
        "kind": "classification",
        "instruction": "{labels}?",
        "input": "{text}",
        "labels": ["negative", "positive"],
    }
    more = {
        "task": labels,
        "base_model": {"path": "base"},
        **source("rows.csv"),
        "splits": {"train": 30, "validation": 10, "holdout": 20},
    }
    fields = {**FIELDS, **more}
    fields["data"] = {**fields["data"], "checks": {"leakage": "warn", "near_duplicates": "off"}}
    victim.write("recipe.yaml", yaml.safe_dump(fields, sort_keys=False))


def _link(
    place: str, target: str, more: Callable[[Victim], None] = project
) -> Callable[[Victim], None]:
    def make(victim: Victim) -> None:
        more(victim)
        link = victim.clone / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(victim.home / target)

    return make


def _links() -> list[Case]:
    found = []
    for place in WRITTEN:
        # What is a link at the first level of a store is refused; a file below it is replaced or left alone.
        refused = (
            place.count("/") < 2 and place.startswith(".recipe") and not place.endswith(".part")
        )
        codes = {"recipe.lock.json": (3, "D380"), ".recipe.lock.json.part": (0, "")}
        one = ask(DATA, *((3, "E753") if refused else codes.get(place, (0, ""))))
        found.append(
            Case(group="a link where a verb writes", what=f"{place} of `data`", tried=f"ln -s ~/.bashrc {place}",
                 make=_link(place, ".bashrc"), asks=(one,))
        )  # fmt: skip
    for place, words, code, says in (
        ("out.yaml", "init quickstart -o out.yaml", 2, "R005"),
        ("sub", "init quickstart -o sub/out.yaml", 3, "E711"),
        ("sub", "compile recipe.yaml -o sub/out", 3, "E755"),
        ("out/config.yaml", "compile recipe.yaml -o out", 3, "E755"),
        ("linked.csv", "init linked.csv", 2, "R306"),
        ("newer", "init rows.csv --base-model newer", 2, "R306"),
        ("newer", "challenge recipe.yaml --base-model newer", 2, "R306"),
        ("linked.yaml", "fmt linked.yaml", 2, "R306"),
        ("linked.yaml", "validate linked.yaml", 2, "R306"),
        ("linked.yaml", "trust linked.yaml", 2, "R1"),
        ("x.bundle.tar", "verify x.bundle.tar", 1, ""),
    ):
        target = "." if place == "sub" else ".bashrc"
        found.append(
            Case(group="a link where a verb writes", what=f"{place} of `{words}`", tried=f"ln -s ~/{target} {place}",
                 make=_link(place, target), asks=(ask(words, code, says),))
        )  # fmt: skip
    return found


def _foreign(victim: Victim) -> None:
    """A store that another user's run of the same recipe has filled."""
    project(victim)
    victim.variables["XDG_STATE_HOME"] = str(victim.home / MINE / "of-the-stranger")
    assert victim.type(DATA.split()).code == 0
    victim.variables.clear()


def _foreign_scratch(victim: Victim) -> None:
    _foreign(victim)
    shutil.rmtree(victim.clone / ".recipe" / "store")
    work = victim.clone / ".recipe" / "scratch" / ("0" * 64)
    work.mkdir(parents=True)
    (work / ".begun.json").write_text(
        '{"schema": "scratch.v1", "key": "' + "0" * 64 + '"}', "utf-8"
    )


def _renamed(victim: Victim) -> None:
    """An own result under the key of another one."""
    project(victim)
    assert victim.type(DATA.split()).code == 0
    for record in (victim.clone / ".recipe" / "store").glob("*/*/artifact.json"):
        fields = json.loads(record.read_text("utf-8"))
        fields["stage"] = "gate"
        record.write_text(json.dumps(fields), "utf-8")


def _open_to_all(victim: Victim) -> None:
    project(victim)
    (victim.clone / ".recipe").mkdir(mode=0o777)
    (victim.clone / ".recipe").chmod(0o777)


def _of_another(victim: Victim) -> None:
    project(victim)
    (victim.clone / ".recipe").mkdir()
    os.chown(victim.clone / ".recipe", 4711, 4711)


def _key_in_the_clone(victim: Victim) -> None:
    _foreign(victim)
    key = victim.home / MINE / "of-the-stranger" / "slm-recipe" / "store.key"
    victim.clone.joinpath("store.key").write_bytes(key.read_bytes())
    victim.clone.joinpath(".recipe", "store.key").write_bytes(key.read_bytes())


def _key_too_short(victim: Victim) -> None:
    project(victim)
    victim.write("key", "short")
    victim.variables["SLM_RECIPE_STORE_KEY_FILE"] = str(victim.clone / "key")


def _key_that_is_a_pipe(victim: Victim) -> None:
    project(victim)
    os.mkfifo(victim.clone / "key")
    victim.variables["SLM_RECIPE_STORE_KEY_FILE"] = str(victim.clone / "key")


def _shared_key(victim: Victim) -> None:
    _foreign(victim)
    victim.variables["SLM_RECIPE_STORE_KEY_FILE"] = str(
        victim.home / MINE / "of-the-stranger" / "slm-recipe" / "store.key"
    )


def _set_of(victim: Victim) -> str:
    """Which results of `.recipe` were set aside."""
    moved = victim.clone / ".recipe" / "foreign"
    return "set aside" if moved.is_dir() and any(moved.iterdir()) else "believed"


STORES: Final[tuple[tuple[str, str, Callable[[Victim], None], Ask, str], ...]] = (
    ("results of another user", "cp -r other/.recipe .", _foreign, ask(DATA, 0, "E751"), "set aside"),
    ("results of another user, with their key", "store.key in the clone", _key_in_the_clone, ask(DATA, 0, "E751"), "set aside"),
    ("results of another user, in a plan", "cp -r other/.recipe .", _foreign, Ask(words=("plan", "recipe.yaml"), code=0, says=("not made here",)), ""),
    ("results with a shared key", "SLM_RECIPE_STORE_KEY_FILE", _shared_key, ask(DATA, 0), "believed"),
    ("work in progress of another user", "scratch/000…", _foreign_scratch, ask(DATA, 0), ""),
    ("a record that was changed", "stage: gate in artifact.json", _renamed, ask(DATA, 0), ""),
    ("a store that all can write", "chmod 777 .recipe", _open_to_all, ask(DATA, 3, "E754"), ""),
    ("a store that all can write, in a plan", "chmod 777 .recipe", _open_to_all, ask("plan recipe.yaml", 3, "E754"), ""),
    ("a store of another owner", "chown 4711 .recipe", _of_another, ask(DATA, 3, "E754"), ""),
    ("a key of five bytes", "SLM_RECIPE_STORE_KEY_FILE", _key_too_short, ask(DATA, 3, "E757"), ""),
    ("a key that is a pipe", "mkfifo key", _key_that_is_a_pipe, ask(DATA, 3, "E757"), ""),
)  # fmt: skip


def _stores() -> list[Case]:
    return [
        Case(group="a store that came along", what=what, tried=tried, make=make, asks=(one,),
             look=_set_of if wanted else None, wanted=wanted)
        for what, tried, make, one, wanted in STORES
    ]  # fmt: skip


def _repository(victim: Victim) -> Git:
    shutil.rmtree(victim.clone)
    (victim.clone / "recipes").mkdir(parents=True)
    text = (PAIRS / "base" / "tickets.yaml").read_text("utf-8")
    write_rows(victim.clone / "recipes")
    attributes = "*.csv filter=one diff=one\n*.yaml filter=two diff=one\n"
    files = {
        git_traps.RECIPE: text.replace("      sha256: TICKETS\n", ""),
        ".gitattributes": attributes,
    }
    found = repository(victim.clone, files)
    found.edit(git_traps.RECIPE, *git_traps.LOWER)
    (victim.clone / "recipes" / "tickets.csv").touch()
    return found


class _Trap(git_traps.Trap):
    """A trap whose program marks the victim's own folder."""

    @property
    def program(self) -> str:
        place = self.git.folder.parent / MINE
        path = place / "program.sh"
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {place}/ran\ncat\n', encoding="utf-8")
        path.chmod(0o755)
        return str(path)


def _trap(step: Callable[[git_traps.Trap], None]) -> Callable[[Victim], None]:
    def make(victim: Victim) -> None:
        before = dict(os.environ)
        try:
            step(_Trap(git=_repository(victim), capsys=None))  # type: ignore[arg-type]
        finally:
            # One of them puts the clone on PATH.
            victim.variables["PATH"] = os.environ["PATH"]
            os.environ.clear()
            os.environ.update(before)

    return make


TRAPS: Final[Mapping[str, tuple[str, Callable[[git_traps.Trap], None]]]] = {
    "clean filter": ("filter.one.clean", git_traps.clean),
    "process filter": ("filter.two.process", git_traps.process),
    "filter of an odd name": ("filter.a=b.c.clean", git_traps.odd_name),
    "settings that are included": ("includeIf.gitdir:**.path", git_traps.included),
    "settings of the worktree": ("extensions.worktreeConfig", git_traps.of_the_worktree),
    "file system monitor": ("core.fsmonitor, core.pager", git_traps.monitor),
    "external diff": ("diff.one.textconv, diff.external, alias.diff", git_traps.shown),
    "hooks": (".git/hooks", git_traps.hooked),
    "hooks elsewhere": ("core.hooksPath", git_traps.hooks_elsewhere),
    "a submodule's settings": (
        "inner/.git: filter.one.clean, core.fsmonitor",
        git_traps.in_a_submodule,
    ),
    "a git of their own": ("PATH=.:$PATH, ./git", git_traps.on_path),
}


def _gits() -> list[Case]:
    return [
        Case(group="settings of git that start a program", what=what, tried=tried, make=_trap(step),
             asks=(ask("ci --from HEAD", 0, "W101"), ask(f"diff {git_traps.RECIPE} --from HEAD", 0, "macro_f1")))
        for what, (tried, step) in TRAPS.items()
    ]  # fmt: skip


LOOKED_FOR: Final = (
    ".numba_config.yaml", ".env", "matplotlibrc", "pip.conf", "setup.cfg", "sitecustomize.py", "usercustomize.py",
    "json.py", "yaml.py", "numpy.py", "engine/__init__.py", "default_config.yaml", ".netrc", "uv.toml", "pyproject.toml",
)  # fmt: skip
"""What libraries read, or Python imports, where it lies in the current folder."""


def _put(name: str) -> Callable[[Victim], None]:
    def make(victim: Victim) -> None:
        project(victim)
        mark = victim.home / MINE / "ran"
        python = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n"
        victim.write(name, python if name.endswith(".py") else "cache_dir: /nowhere\n")

    return make


def _opened(name: str) -> Callable[[Victim], str]:
    def look(victim: Victim) -> str:
        return "read" if str(victim.clone / name) in victim.seen.opened else "not read"

    return look


def _settings() -> list[Case]:
    return [
        Case(group="a file that a library looks for", what=name, tried=f"./{name}", make=_put(name),
             asks=(ask("validate recipe.yaml", 0), ask(DATA, 0)), look=_opened(name), wanted="not read")
        for name in LOOKED_FOR
    ]  # fmt: skip


def _comment(victim: Victim) -> None:
    """A pull request that adds a server."""
    project(victim)
    shutil.rmtree(victim.clone / ".git")
    git(victim.clone, "init", "--quiet", "--initial-branch", "main")
    git(victim.clone, "add", ".")
    git(victim.clone, "commit", "--quiet", "-m", "one")
    fields = yaml.safe_load((victim.clone / "recipe.yaml").read_text("utf-8"))
    served = {
        "name": "served",
        "endpoint": "https://rows.example/v1",
        "model": "m",
        "api_key_env": "THEIR_KEY",
    }
    fields |= {"baselines": ["majority", {"model": served}], "allow_moving": True}
    victim.write("recipe.yaml", yaml.safe_dump(fields, sort_keys=False))


REVIEWS: Final = tuple(
    Case(group="a pull request", what=f"adds a server, seen by `{words}`", tried="endpoint: https://rows.example/v1",
         make=_comment, asks=(ask(words, 0, says),))
    for words, says in (
        ("ci --from HEAD", "send $THEIR_KEY to rows.example"), ("ci --from HEAD --format json", "reaches"),
        ("diff recipe.yaml --from HEAD", "R307"),
    )
)  # fmt: skip

CASES: Final = (*_links(), *_stores(), *_gits(), *_settings(), *REVIEWS)
