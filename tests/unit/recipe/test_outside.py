"""What a stranger's recipe names outside its project: told, not read, refused, and allowed by the user's word alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from engine.recipe import check_recipe
from engine.recipe.outside import CODES, trust_as_it_stands, withheld_of

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


@pytest.fixture
def home(tmp_path: Path, careful_user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with secrets, and beside them a stranger's repository, in which one stands."""
    (tmp_path / ".ssh").mkdir()
    for name in ("secret.csv", ".ssh/id_rsa", ".netrc"):
        (tmp_path / name).write_text(SECRET, encoding="utf-8")
    secret_model = tmp_path / "models" / "private"
    secret_model.mkdir(parents=True)
    (secret_model / "config.json").write_text("{}", encoding="utf-8")
    folder = tmp_path / "clone"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    (folder / ".git" / "config").write_text(SECRET, encoding="utf-8")
    (folder / ".env").write_text(SECRET, encoding="utf-8")
    (folder / "data" / "deep").mkdir(parents=True)
    for name in ("rows.csv", "data/rows.csv", "data/deep/rows.csv"):
        (folder / name).write_text(ROWS, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(folder)
    assert careful_user.is_dir()
    return tmp_path


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


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that is opened from now on, by its real place."""
    found: list[str] = []
    real = os.open

    def note(path: Any, *args: Any, **more: Any) -> int:
        found.append(os.path.realpath(os.fspath(path)))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", note)
    return found


@pytest.mark.parametrize("case", PATHS)
def test_a_path_outside_is_told_and_nothing_of_it_is_read(
    case: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, changes = PATHS[case]
    make(home)
    recipe = write(home / "clone", **filled(changes, home))
    files = opened(monkeypatch)

    codes = [main([verb, str(recipe)]) for verb in ("validate", "plan", "run", "data")]

    told = "".join(capfd.readouterr())
    assert codes == [0, 0, 2, 2], told
    assert told.count("R306") >= 3
    assert "--allow-read " in told
    assert "hunter2" not in told
    assert not [file for file in files if Path(file).is_relative_to(home / ".ssh")]
    assert str(home / "secret.csv") not in files
    assert not (home / "clone" / ".recipe" / "runs").exists()


@pytest.mark.parametrize("case", PATHS)
def test_what_the_user_trusts_is_outside_no_more(case: str, home: Path) -> None:
    make, changes = PATHS[case]
    make(home)
    recipe = write(home / "clone", **filled(changes, home))
    before = {problem.code for problem in check_recipe(recipe)[1]}
    try:
        trust_as_it_stands(recipe)
    except Exception as error:  # noqa: BLE001 - what is there is not of the kind that is wanted
        assert "R302" in str(error) or "R250" in str(error)  # noqa: PT017
        return

    checked, problems = check_recipe(recipe)

    assert before & CODES
    assert not CODES & {problem.code for problem in problems}
    assert checked is not None
    assert withheld_of(checked) == ()


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_is_told_and_not_asked(
    case: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # to be watched

    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_more: asked.append(args) or [])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setenv("MY_KEY", "sk-0123456789")
    recipe = write(home / "clone", **SERVERS[case])

    codes = [main([verb, str(recipe)]) for verb in ("validate", "plan", "run", "data")]

    told = "".join(capfd.readouterr())
    assert codes == [0, 0, 2, 2], told
    assert "R307" in told or "R308" in told
    assert "--allow-host " in told or "--allow-key " in told
    assert asked == []
    assert "sk-0123456789" not in told


@pytest.mark.parametrize("case", WRONG)
def test_what_nobody_can_mean_is_an_error(
    case: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write(home / "clone", **filled(WRONG[case], home))

    codes = [main([verb, str(recipe)]) for verb in ("validate", "run", "plan")]

    told = "".join(capfd.readouterr())
    assert codes == [2, 2, 2], told
    assert "hunter2" not in told
    assert "I900" not in told


def test_what_is_inside_needs_no_word(home: Path) -> None:
    folder = home / "clone"
    (folder / "sub").mkdir()
    (folder / "sub" / "rows").symlink_to("../data/rows.csv")
    (folder / ".recipe").mkdir()
    (folder / ".recipe" / "rows.csv").write_text(ROWS, encoding="utf-8")
    paths = [
        "../rows.csv",
        "../data/deep/rows.csv",
        "../data/**/*.csv",
        "rows",
        "../.recipe/rows.csv",
    ]
    sources = [{"path": path, "format": "csv"} for path in paths]
    recipe = write(
        folder, "sub/recipe.yaml", data={**FIELDS["data"], "sources": sources},
        **model(endpoint="http://localhost:8000/v1", model="m"),
    )  # fmt: skip

    _, problems = check_recipe(recipe)

    assert not CODES & {problem.code for problem in problems}


def test_a_parent_outside_is_not_read(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "parent.yaml").write_text("hunter2-is-the-secret: [\n", encoding="utf-8")
    (home / "clone" / "linked.yaml").symlink_to(home / "parent.yaml")
    (home / "clone" / ".hidden.yaml").write_text("hunter2-is-the-secret: [\n", encoding="utf-8")
    for number, parent in enumerate(("../parent.yaml", "linked.yaml", ".hidden.yaml")):
        recipe = write(home / "clone", f"{number}.yaml", extends=parent)

        assert main(["validate", str(recipe)]) == 2
        told = "".join(capfd.readouterr())
        assert "R306  extends: " in told
        assert "the parent is not read" in told
        assert "hunter2" not in told


def test_a_recipe_that_is_a_link_out_of_its_project_is_not_read(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "clone" / "recipe.yaml").symlink_to(home / ".ssh" / "id_rsa")

    assert main(["validate", "recipe.yaml"]) == 2
    told = "".join(capfd.readouterr())
    assert "R306" in told
    assert "hunter2" not in told


def test_a_recipe_that_is_a_link_can_be_trusted(home: Path) -> None:
    elsewhere = write(home, "elsewhere.yaml")
    link = home / "clone" / "recipe.yaml"
    link.symlink_to(elsewhere)
    before = {problem.code for problem in check_recipe(link)[1]}

    trust_as_it_stands(link)

    assert before == {"R306"}
    assert check_recipe(link)[0] is not None


def test_rows_that_would_go_unencrypted_are_asked_for_again(home: Path) -> None:
    folder = home / "clone"
    recipe = write(folder, **model(endpoint="https://rows.example/v1", model="m"))
    trust_as_it_stands(recipe)
    write(folder, **model(endpoint="http://rows.example/v1", model="m"))

    assert "R307" in {problem.code for problem in check_recipe(recipe)[1]}


def test_a_learning_rate_does_not_ask_again_and_a_new_path_does(home: Path) -> None:
    folder = home / "clone"
    recipe = write(folder, **source("../secret.csv"))
    trust_as_it_stands(recipe)

    write(folder, **source("../secret.csv"), method={"kind": "lora", "learning_rate": 1e-5})
    same = {problem.code for problem in check_recipe(recipe)[1]}
    write(folder, **source("../.netrc", format="lines"))
    other = {problem.code for problem in check_recipe(recipe)[1]}

    assert not CODES & same
    assert "R306" in other


def test_the_recipes_own_word_counts_for_nothing(home: Path) -> None:
    recipe = write(home / "clone", **source("../secret.csv"), allow_moving=True)
    state = home / "clone" / ".recipe" / "trust"
    state.mkdir(parents=True)
    (home / "clone" / "settings.yaml").write_text("projects: [/]\n", encoding="utf-8")

    _, problems = check_recipe(recipe)

    assert "R306" in {problem.code for problem in problems}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        (("--allow-read", "{home}/secret.csv"), 0),
        (("--allow-read", "../secret.csv"), 0),
        (("--allow-read", "{home}"), 0),
        (("--allow-read", "{home}/other.csv"), 2),
        (("--allow-read", "{home}/secret.cs"), 2),
        (("--allow-host", "secret.csv"), 2),
        (("--allow-key", "x"), 2),
        (("--allow-host", "http://a@b"), 2),
    ],
    ids=str,
)
def test_one_call_can_be_allowed(
    options: tuple[str, ...], code: int, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import contextlib  # one use

    recipe = write(home / "clone", **source("../secret.csv"))
    words = [filled(option, home) for option in options]

    found = None
    with contextlib.suppress(SystemExit):
        found = main(["compile", str(recipe), *words])
    told = capfd.readouterr().err

    refused = "R306" in told or "R312" in told
    assert refused is (code == 2)
    assert found in (0, 2)


def test_one_word_allows_all_at_once(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = write(
        home / "clone",
        **source("../secret.csv"),
        **model(endpoint="https://api.example.org/v1", model="m", api_key_env="THEIR_KEY"),
    )

    assert main(["run", str(recipe)]) == 2
    told = capfd.readouterr().err
    last = next(line for line in reversed(told.splitlines()) if "for one call:" in line)
    words = last.partition("for one call: ")[2].split()

    assert words == [
        "--allow-read", str(home / "secret.csv"), "--allow-host", "api.example.org",
        "--allow-key", "THEIR_KEY=api.example.org",
    ]  # fmt: skip
    assert main(["plan", str(recipe), *words]) == 0
    assert "R30" not in capfd.readouterr().err


def test_the_plan_lists_hosts_and_files_outside(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # a long path would be broken where it has no blank
    recipe = write(
        home / "clone",
        **source("../secret.csv"),
        **model(endpoint="http://localhost:8000/v1", model="m", api_key_env="THEIR_KEY"),
    )
    trust_as_it_stands(recipe)

    assert main(["plan", str(recipe)]) == 0
    told = " ".join(capfd.readouterr().out.split())  # lines are broken by their width

    assert f"read {home}/secret.csv (allowed)" in told
    assert "send $THEIR_KEY to localhost:8000 (allowed)" in told
    assert "send rows to localhost:8000, this machine" in told


def test_nothing_is_hinted_of_a_folder_outside(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write(home / "clone", **source("../secre.csv"))

    main(["validate", str(recipe)])

    assert "did you mean" not in "".join(capfd.readouterr())


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


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_of_content_is_told_at_once(
    place: str,
    make: Callable[[Path], None],
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if (place, make) == ("model", folder_of_nothing):
        pytest.skip("a model is a folder")
    name, changes = PLACES[place]
    make(home / "clone" / name)
    recipe = write(home / "clone", **changes)

    codes = [
        main([verb, str(recipe), *more])
        for verb in ("validate", "run", "plan")
        for more in ([], ["--allow-read", "/dev/zero"])
        if not (verb == "validate" and more)
    ]

    told = "".join(capfd.readouterr())
    assert codes[1:3] == [2, 2], told
    assert 4 not in codes
    assert "I900" not in told
