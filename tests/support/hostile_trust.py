"""Hostile cases: what a recipe names outside its project, where it would send something, and words that are no consent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from support.hostile_table import Ask, Case, Make, ask
from support.hostile_victim import MINE, Victim
from support.outside_cases import (
    FIELDS,
    ODD,
    PATHS,
    PLACES,
    SERVERS,
    WRONG,
    filled,
    folder_of_nothing,
    model,
    source,
    write,
)

NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "a cloud's key": ("R310",),
    "a cloud's key in small letters": ("R310",),
    "the hub's token": ("R310",),
    "git's token to this machine": ("R310",),
    "a key over http": ("R311",),
    "a null byte in a path": ("R302",),
    "a very long path": ("R302",),
    "a very deep path": ("R302",),
    "a name with a line break that is not there": ("R302",),
    "a home that is not expanded": ("R302",),
    "a folder of rows": ("R302",),
    "a parent of the web": ("R125",),
    "a parent of the root": ("R125",),
    "a schema of the web": ("R24",),
    "a schema of the disk": ("R24",),
}
"""Codes of what nobody can mean; R309 of the rest."""


def _reads(what: str) -> tuple[Ask, ...]:
    del what
    refused = [ask(f"{verb} recipe.yaml", 2, "R306") for verb in ("run", "data")]
    return (ask("validate recipe.yaml", 0, "R306"), *refused)


def _tried(changes: Any) -> str:
    shown = yaml.safe_dump(changes, default_flow_style=True, sort_keys=False, width=10_000)
    return " ".join(shown.split())


def _recipe(changes: dict[str, Any], more: Make = lambda _: None) -> Make:
    def make(victim: Victim) -> None:
        more(victim)
        write(victim.clone, **filled(changes, victim.home))

    return make


def _paths() -> list[Case]:
    found = []
    for what, (put, changes) in PATHS.items():
        make = _recipe(changes, lambda victim, put=put: put(victim.home))  # type: ignore[misc]
        group = "a path outside the project"
        found.append(
            Case(group=group, what=what, tried=_tried(changes), make=make, asks=_reads(what))
        )
    return found


def _servers() -> list[Case]:
    found = []
    for what, changes in SERVERS.items():
        spec = changes["baselines"][0]["model"]
        code = "R308" if "api_key_env" in spec else "R307"
        asks = (ask("validate recipe.yaml", 0, code), ask("run recipe.yaml", 2, code))
        group = "rows or a key to a server"
        found.append(
            Case(group=group, what=what, tried=_tried(spec), make=_recipe(changes), asks=asks)
        )
    return found


def _wrong() -> list[Case]:
    found = []
    for what, changes in WRONG.items():
        codes = NAMED.get(what, ("R309",))
        asks = tuple(ask(f"{verb} recipe.yaml", 2, *codes) for verb in ("validate", "run"))
        group = "what nobody can mean"
        found.append(
            Case(group=group, what=what, tried=_tried(changes), make=_recipe(changes), asks=asks)
        )
    return found


_PARENT: Final = {"pipe": "R123", "holes": "R115", "folder_of_nothing": "R123"}


def _odd() -> list[Case]:
    found = []
    for place, (name, changes) in PLACES.items():
        for put in ODD:
            if (place, put) == ("model", folder_of_nothing):
                continue

            def more(victim: Victim, put: Any = put, name: str = name) -> None:
                put(victim.clone / name)

            code = (
                "R306"
                if put.__name__ == "device"
                else _PARENT[put.__name__]
                if place == "parent"
                else "R302"
            )
            what = f"{put.__name__.replace('_', ' ')} in the place of the {place}"
            tried = {"pipe": "mkfifo", "holes": "truncate -s 1T", "device": "ln -s /dev/zero"}.get(
                put.__name__, "mkdir"
            )
            asks = (ask("run recipe.yaml", 2, code),)
            group = "no file in the place of one"
            make = _recipe(changes, more)
            found.append(
                Case(group=group, what=what, tried=f"{tried} {name}", make=make, asks=asks)
            )
    return found


OUT: Final = source("../secret.csv")
TRUSTED: Final = ("trust", "recipe.yaml")


def _kept(victim: Victim) -> Path:
    return next((victim.home / MINE / "state" / "slm-recipe" / "trust").glob("*.json"))


def _trusted(victim: Victim, **changes: Any) -> None:
    write(victim.clone, **changes)
    victim.type(TRUSTED)


def _new_path(victim: Victim) -> None:
    _trusted(victim, **source("data/*.csv"))
    _trusted(victim, **OUT)
    write(victim.clone, **source("../.netrc", format="lines"))


def _same_list(victim: Victim) -> None:
    _trusted(victim, **OUT)
    write(victim.clone, **OUT, method={"kind": "lora", "learning_rate": 1e-5})


def _forged_record(victim: Victim) -> None:
    """The record of another recipe under this one's name."""
    _trusted(victim, **OUT)
    record = _kept(victim)
    fields = json.loads(record.read_text("utf-8"))
    fields["recipe"] = "/somewhere/else.yaml"
    record.write_text(json.dumps(fields), "utf-8")


def _longer_record(victim: Victim) -> None:
    write(
        victim.clone, **source("rows.csv"), **model(endpoint="https://rows.example/v1", model="m")
    )
    victim.type(TRUSTED)
    record = _kept(victim)
    fields = json.loads(record.read_text("utf-8"))
    fields["references"].append(f"read {victim.home / 'secret.csv'}")
    record.write_text(json.dumps(fields), "utf-8")
    write(victim.clone, **OUT)


def _open_record(victim: Victim) -> None:
    _trusted(victim, **OUT)
    _kept(victim).chmod(0o666)


def _record_in_the_clone(victim: Victim) -> None:
    _trusted(victim, **OUT)
    record = _kept(victim)
    victim.write(".recipe/trust/record.json", record.read_text("utf-8"))
    victim.write(f".local/state/slm-recipe/trust/{record.name}", record.read_text("utf-8"))
    record.unlink()


def _settings_in_the_clone(victim: Victim) -> None:
    for name in ("settings.yaml", ".config/slm-recipe/settings.yaml", ".recipe/settings.yaml"):
        victim.write(name, "projects: [/]\n")
    write(victim.clone, **OUT)


def _relative_settings(victim: Victim) -> None:
    place = victim.home / MINE / "config" / "slm-recipe"
    place.mkdir(parents=True)
    (place / "settings.yaml").write_text("projects: [..]\n", "utf-8")
    write(victim.clone, **OUT)


def _parent_says(victim: Victim) -> None:
    """A parent within the project names what lies outside."""
    victim.write("shared.yaml", yaml.safe_dump({"recipe": "v1", "data": OUT["data"]}))
    fields = {name: one for name, one in FIELDS.items() if name != "data"}
    victim.write("recipe.yaml", yaml.safe_dump({**fields, "extends": "shared.yaml"}))


def _encrypted_then_not(victim: Victim) -> None:
    _trusted(victim, **model(endpoint="https://rows.example/v1", model="m"))
    write(victim.clone, **model(endpoint="http://rows.example/v1", model="m"))


def _other_port(victim: Victim) -> None:
    _trusted(victim, **model(endpoint="https://rows.example/v1", model="m"))
    write(victim.clone, **model(endpoint="https://rows.example:8443/v1", model="m"))


def _repository_above(victim: Victim) -> None:
    """A repository around the home would make the whole home a project."""
    (victim.home / ".git").mkdir()
    (victim.home / ".git" / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    (victim.clone / ".git" / "HEAD").unlink()
    write(victim.clone, **OUT)


REFUSED: Final = ask("run recipe.yaml", 2, "R306")
GROUP: Final = "words that are no consent"
WORDS: Final[tuple[tuple[str, str, Make, Ask], ...]] = (
    ("the recipe's own word", "allow_moving: true", _recipe({**OUT, "allow_moving": True}), REFUSED),
    ("a new path after an old word", "../secret.csv trusted, then ../.netrc", _new_path, REFUSED),
    ("the same list needs no new word", "method.learning_rate after the word", _same_list, ask("validate recipe.yaml", 0)),
    ("a word for another recipe", "recipe: /somewhere/else.yaml in the record", _forged_record, REFUSED),
    ("a word made longer", "a reference more in the record", _longer_record, REFUSED),
    ("a word that others can write", "chmod 666 of the record", _open_record, REFUSED),
    ("a word that came along", ".recipe/trust/record.json", _record_in_the_clone, REFUSED),
    ("settings that came along", "projects: [/] in the clone", _settings_in_the_clone, REFUSED),
    ("settings that are relative", "projects: [..]", _relative_settings, ask("run recipe.yaml", 2, "R313")),
    ("a parent's path", "extends: shared.yaml, which names ../secret.csv", _parent_says, REFUSED),
    ("https allowed, then http", "http://rows.example", _encrypted_then_not, ask("run recipe.yaml", 2, "R307")),
    ("a port allowed, then another", "https://rows.example:8443", _other_port, ask("run recipe.yaml", 2, "R307")),
    ("a repository around the home", "git init ~", _repository_above, REFUSED),
    ("a path that begins like the allowed one", "--allow-read ../secret.cs", _recipe(OUT), ask("run recipe.yaml --allow-read ../secret.cs", 2, "R306")),
    ("a host in the place of a path", "--allow-host secret.csv", _recipe(OUT), ask("run recipe.yaml --allow-host secret.csv", 2, "R306")),
    ("an option that allows nothing", "--allow-key KEY", _recipe(OUT), ask("run recipe.yaml --allow-key KEY", 2, "R312")),
    ("a domain above the allowed host", "--allow-host example", _recipe(model(endpoint="https://rows.example/v1", model="m")), ask("run recipe.yaml --allow-host example", 2, "R307")),
    ("a host allowed, and its key not", "--allow-host rows.example", _recipe(model(endpoint="https://rows.example/v1", model="m", api_key_env="THEIR_KEY")), ask("run recipe.yaml --allow-host rows.example", 2, "R308")),
)  # fmt: skip

ALL: Final = ("R306", "R307", "R308")
VERBS: Final[Mapping[str, Ask]] = {
    one.words[0]: one
    for one in (
        ask("validate recipe.yaml", 0, *ALL), ask("plan recipe.yaml", 0, *ALL), ask("compile recipe.yaml", 0, *ALL),
        ask("fmt --check recipe.yaml", 1), ask("diff recipe.yaml recipe.yaml", 0, *ALL), ask("run recipe.yaml", 2, *ALL),
        ask("data recipe.yaml", 2, *ALL), ask("challenge recipe.yaml --base-model base", 2, *ALL),
        ask("pin recipe.yaml", 2, "R306"), ask("trust --list", 0),
    )
}  # fmt: skip
WITHOUT: Final[Mapping[str, str]] = {
    "init": "drafts a recipe from what its user names", "import": "writes a recipe, and reads nothing that the config names", "synthetic": "shows what an allowed run has left",
    "ci": "see the pull requests", "report": "of a run", "runs": "of runs", "compare": "of runs", "try": "of a model",
    "predict": "of a model", "drift": "of a run", "serve": "of a model", "export": "of a run", "publish": "of a run", "verify": "of a bundle", "store": "of a store", "schema": "no file",
    "explain": "no file", "mcp": "each call is one of the others", "doctor": "no file",
}  # fmt: skip
"""Verbs that read no recipe of a stranger's, or nothing that it names."""


def _verbs() -> list[Case]:
    both = {**OUT, **model(endpoint="https://rows.example/v1", model="m", api_key_env="THEIR_KEY")}
    probing = ask("plan recipe.yaml --probe", 2, *ALL)
    return [
        Case(
            group="every verb of a recipe that reaches outside",
            what=" ".join(one.words),
            tried="../secret.csv, and rows and a key to https://rows.example",
            make=_recipe(both),
            asks=(one,),
        )
        for one in (*VERBS.values(), probing)
    ]


CASES: Final = (
    *_paths(),
    *_servers(),
    *_wrong(),
    *_odd(),
    *(
        Case(group=GROUP, what=what, tried=tried, make=make, asks=(one,))
        for what, tried, make, one in WORDS
    ),
    *_verbs(),
)
