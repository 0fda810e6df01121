"""Recipes that lead out of their project, to a server or to what is no file, and what stands there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

SECRET = "text,label\nhunter2-is-the-secret,a\n"
ROWS = "text,label\ngood,a\nbad,b\n"
FIELDS: dict[str, Any] = {
    "recipe": "v1",
    "name": "stranger",
    "task": {"kind": "classification", "instruction": "Which?", "labels": ["a", "b"]},
    "base_model": {"hub": "owner/model", "revision": "0" * 40},
    "data": {"sources": [{"path": "rows.csv"}], "label": {"column": "label"}},
    "splits": {"train": 2, "validation": 1, "holdout": 1},
    "baselines": ["majority"],
    "method": {"kind": "lora"},
    "acceptance": {"metrics": {"macro_f1": {"min": 0.5}}},
}


def write(folder: Path, name: str = "recipe.yaml", **changes: Any) -> Path:
    fields = {**FIELDS, **changes}
    path = folder / name
    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def source(path: str, **more: Any) -> dict[str, Any]:
    return {"data": {**FIELDS["data"], "sources": [{"path": path, **more}]}}


def model(**spec: Any) -> dict[str, Any]:
    return {"baselines": [{"model": {"name": "other", **spec}}], "allow_moving": True}


def link(place: str, target: str) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        (home / "clone" / place).symlink_to(target.format(home=home))

    return make


def nothing(_home: Path) -> None:
    """Nothing is put there."""


def model_with_a_link(home: Path) -> None:
    folder = home / "clone" / "base"
    folder.mkdir()
    (folder / "config.json").symlink_to(home / "secret.csv")


def model_with_a_deep_link(home: Path) -> None:
    folder = home / "clone" / "base" / "onnx"
    folder.mkdir(parents=True)
    (folder / "weights").symlink_to(home / ".ssh")


def links_of_links(home: Path) -> None:
    (home / "clone" / "one").symlink_to("two")
    (home / "clone" / "two").symlink_to("data/../../secret.csv")


PATHS: dict[str, tuple[Callable[[Path], None], dict[str, Any]]] = {
    "climbs": (nothing, source("../secret.csv")),
    "climbs twice": (nothing, source("data/../../secret.csv")),
    "climbs through a folder that is not there": (nothing, source("no/such/../../../secret.csv")),
    "ends in dots": (nothing, source("..", format="lines")),
    "is absolute": (nothing, source("{home}/secret.csv")),
    "has two slashes in front": (nothing, source("/{home}/secret.csv")),
    "the root": (nothing, source("/", format="lines")),
    "is a system file": (nothing, source("/etc/passwd", format="lines")),
    "is of the process": (nothing, source("/proc/self/environ", format="lines")),
    "is a device": (nothing, source("/dev/zero", format="lines")),
    "climbs to a hidden folder": (nothing, source("../.ssh/id_rsa", format="text")),
    "link to a file": (link("rows", "{home}/secret.csv"), source("rows", format="csv")),
    "relative link": (link("rows", "../secret.csv"), source("rows", format="csv")),
    "link to a link": (links_of_links, source("one", format="csv")),
    "link to a hidden file of the project": (link("rows", ".env"), source("rows", format="csv")),
    "link to a file that is not there": (link("rows", "{home}/new.csv"), source("rows", format="csv")),
    "link to a folder": (link("up", "{home}"), source("up/secret.csv")),
    "link in the middle": (link("data/up", "{home}"), source("data/up/.ssh/id_rsa", format="text")),
    "link and then dots": (link("up", "{home}/models"), source("up/private/config.json", format="json")),
    "hidden file": (nothing, source(".env", format="lines")),
    "git's own": (nothing, source(".git/config", format="lines")),
    "git's own in capitals": (nothing, source(".GIT/config", format="lines")),
    "git's own behind an invisible letter": (nothing, source("\u200c.git/config", format="lines")),
    "git's own behind dots": (nothing, source("data/../.git/config", format="lines")),
    "hidden folder deeper": (nothing, source("data/.cache/rows.csv")),
    "pattern that climbs": (nothing, source("../*.csv")),
    "absolute pattern": (nothing, source("{home}/*.csv")),
    "pattern for everything": (nothing, source("/**", format="lines")),
    "pattern through a link": (link("up", "{home}"), source("up/*.csv")),
    "pattern of hidden names": (nothing, source(".e*", format="lines")),
    "pattern in git's own": (nothing, source(".git/*", format="lines")),
    "pattern whose dots come later": (nothing, source("data/*/../../../secret.csv")),
    "files beside": (nothing, source("rows.csv", format="lines", columns={"label": "../secret.csv"})),
    "files beside, behind a link": (
        link("labels", "{home}/secret.csv"),
        source("rows.csv", format="lines", columns={"label": "labels"}),
    ),
    "model folder": (nothing, {"base_model": {"path": "../models/private"}}),
    "model folder behind a link": (link("base", "{home}/models/private"), {"base_model": {"path": "base"}}),
    "model folder with a link in it": (model_with_a_link, {"base_model": {"path": "base"}}),
    "model folder with a folder behind a link": (model_with_a_deep_link, {"base_model": {"path": "base"}}),
    "baseline's model": (nothing, model(path="../models/private")),
    "baseline's file": (nothing, model(gguf="../secret.csv")),
    "baseline's file behind a link": (link("m.gguf", "{home}/secret.csv"), model(gguf="m.gguf")),
    "probe": (
        nothing,
        {
            "acceptance": {
                **FIELDS["acceptance"],
                "forgetting": {
                    "max_drop": 0.1,
                    "probes": [{"name": "p", "kind": "cloze", "path": "../secret.csv"}],
                },
            }
        },
    ),
}  # fmt: skip

SERVERS: dict[str, dict[str, Any]] = {
    "a public host": model(endpoint="https://api.example.org/v1", model="m"),
    "a known provider": model(endpoint="https://api.openai.com/v1", model="m"),
    "a host in capitals": model(endpoint="https://API.OpenAI.com./v1", model="m"),
    "metadata": model(endpoint="http://169.254.169.254/latest", model="m"),
    "metadata by name": model(endpoint="http://metadata.google.internal/v1", model="m"),
    "metadata, mapped": model(endpoint="http://[::ffff:169.254.169.254]/v1", model="m"),
    "metadata of IPv6": model(endpoint="http://[fd00:ec2::254]/v1", model="m"),
    "link-local": model(endpoint="http://[fe80::1]/v1", model="m"),
    "private": model(endpoint="http://10.0.0.5:8000/v1", model="m"),
    "private, another": model(endpoint="http://192.168.1.1/v1", model="m"),
    "unspecified": model(endpoint="http://0.0.0.0:8000/v1", model="m"),
    "unspecified of IPv6": model(endpoint="http://[::]/v1", model="m"),
    "loopback, mapped": model(endpoint="http://[::ffff:127.0.0.1]/v1", model="m"),
    "a name that begins like loopback": model(endpoint="http://localhost.evil.example/v1", model="m"),
    "an address that begins like loopback": model(endpoint="http://127.0.0.1.evil.example/v1", model="m"),
    "a key for this machine": model(
        endpoint="http://localhost:8000/v1", model="m", api_key_env="MY_KEY"
    ),
    "a provider's key elsewhere": model(
        endpoint="https://evil.example/v1", model="m", api_key_env="OPENAI_API_KEY"
    ),
    "a provider's key to another port": model(
        endpoint="https://api.openai.com:8443/v1", model="m", api_key_env="OPENAI_API_KEY"
    ),
    "a provider's key below another domain": model(
        endpoint="https://api.openai.com.evil.example/v1", model="m", api_key_env="OPENAI_API_KEY"
    ),
}  # fmt: skip

WRONG: dict[str, dict[str, Any]] = {
    "name and password": model(endpoint="https://api.openai.com@evil.example/v1", model="m"),
    "a backslash": model(endpoint="https://api.openai.com\\.evil.example/v1", model="m"),
    "another script": model(endpoint="https://\u0430pi.openai.com/v1", model="m"),
    "full-width letters": model(endpoint="https://\uff41pi.openai.com/v1", model="m"),
    "a zone": model(endpoint="http://[fe80::1%25eth0]/v1", model="m"),
    "one number": model(endpoint="http://2130706433/v1", model="m"),
    "hexadecimal": model(endpoint="http://0x7f.1/v1", model="m"),
    "all hexadecimal": model(endpoint="http://0xA9FEA9FE/v1", model="m"),
    "octal": model(endpoint="http://0251.0376.0251.0376/v1", model="m"),
    "three numbers": model(endpoint="http://10.0.1/v1", model="m"),
    "a file": model(endpoint="file:///etc/passwd", model="m"),
    "data": model(endpoint="data:text/plain,x", model="m"),
    "gopher": model(endpoint="gopher://evil.example/", model="m"),
    "a query": model(endpoint="https://evil.example/v1?x=1", model="m"),
    "a fragment": model(endpoint="https://evil.example/v1#x", model="m"),
    "a line break": model(endpoint="https://api.openai.com\n.evil.example/v1", model="m"),
    "a line break at the end": model(endpoint="http://localhost:8000/v1\n", model="m"),
    "port 0": model(endpoint="https://evil.example:0/v1", model="m"),
    "port 99999": model(endpoint="https://evil.example:99999/v1", model="m"),
    "a percent sign in the host": model(endpoint="https://evil%2eexample/v1", model="m"),
    "no host": model(endpoint="https:///v1", model="m"),
    "a cloud's key": model(
        endpoint="https://api.openai.com/v1", model="m", api_key_env="AWS_SECRET_ACCESS_KEY"
    ),
    "a cloud's key in small letters": model(
        endpoint="https://api.openai.com/v1", model="m", api_key_env="aws_secret_access_key"
    ),
    "the hub's token": model(endpoint="https://api.openai.com/v1", model="m", api_key_env="HF_TOKEN"),
    "git's token to this machine": model(
        endpoint="http://localhost:1/v1", model="m", api_key_env="GITHUB_TOKEN"
    ),
    "a key over http": model(
        endpoint="http://api.openai.com/v1", model="m", api_key_env="OPENAI_API_KEY"
    ),
    "a null byte in a path": source("rows\0.csv"),
    "a very long path": source("x" * 5000 + ".csv"),
    "a very deep path": source("x/" * 2500 + "rows.csv"),
    "a name with a line break that is not there": source("rows\n.csv"),
    "a home that is not expanded": source("~/secret.csv"),
    "a folder of rows": source("data", format="csv"),
    "a parent of the web": {"extends": "https://evil.example/x.yaml"},
    "a parent of the root": {"extends": "/etc/passwd"},
    "a schema of the web": {
        "task": {
            "kind": "extraction",
            "instruction": "?",
            "schema": {
                "type": "object",
                "properties": {"properties": {"$ref": "http://evil.example/x.json"}},
            },
        },
        "data": {"sources": [{"path": "rows.csv"}], "answer": {"fields": {"properties": "label"}}},
    },
    "a schema of the disk": {
        "task": {
            "kind": "extraction",
            "instruction": "?",
            "schema": {
                "type": "object",
                "properties": {"a": {"properties": {"b": {"$ref": "file:///etc/passwd"}}}},
            },
        },
        "data": {"sources": [{"path": "rows.csv"}], "answer": {"fields": {"a": "label"}}},
    },
}  # fmt: skip


def filled(value: Any, home: Path) -> Any:
    """The value with the place of the home in its texts."""
    if isinstance(value, str):
        return value.replace("{home}", str(home))
    if isinstance(value, dict):
        return {name: filled(item, home) for name, item in value.items()}
    return [filled(item, home) for item in value] if isinstance(value, list) else value


def pipe(path: Path) -> None:
    os.mkfifo(path)


def holes(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(10**12)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder_of_nothing(path: Path) -> None:
    path.mkdir()


ODD = (pipe, holes, device, folder_of_nothing)
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "rows": ("odd.csv", source("odd.csv")),
    "files beside": ("odd", source("rows.csv", format="lines", columns={"label": "odd"})),
    "model": ("odd", {"base_model": {"path": "odd"}}),
    "baseline": ("odd.gguf", model(gguf="odd.gguf")),
    "parent": ("odd.yaml", {"extends": "odd.yaml"}),
    "probe": (
        "odd.jsonl",
        {
            "acceptance": {
                **FIELDS["acceptance"],
                "forgetting": {
                    "max_drop": 0.1,
                    "probes": [{"name": "p", "kind": "cloze", "path": "odd.jsonl"}],
                },
            }
        },
    ),
}
