"""What a stranger's recipe names outside its project: shown, not read, refused, allowed by the user's word alone."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.recipe import check_recipe
from engine.recipe.outside import CODES, trust_as_it_stands, withheld_of
from support.outside_cases import (
    FIELDS,
    ODD,
    PATHS,
    PLACES,
    ROWS,
    SECRET,
    SERVERS,
    WRONG,
    filled,
    folder_of_nothing,
    model,
    source,
    write,
)


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


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that is opened from now on, by its real place."""
    found: list[str] = []
    real = os.open

    def note(path: Any, *args: Any, **more: Any) -> int:
        found.append(os.path.realpath(os.fspath(path)))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", note)
    return found


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", PATHS)
def test_a_path_outside_is_reported_and_nothing_of_it_is_read(
    case: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, changes = PATHS[case]
    make(home)
    recipe = write(home / "clone", **filled(changes, home))
    files = opened(monkeypatch)

    codes = [main([verb, str(recipe)]) for verb in ("validate", "plan", "run", "data")]

    output = "".join(capfd.readouterr())
    assert codes == [0, 0, 2, 2], output
    assert output.count("R306") >= 3
    assert "--allow-read " in output
    assert "hunter2" not in output
    assert not [file for file in files if Path(file).is_relative_to(home / ".ssh")]
    assert str(home / "secret.csv") not in files
    assert not (home / "clone" / ".recipe" / "runs").exists()


@pytest.mark.sampled(3)
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


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", SERVERS)
def test_a_server_is_reported_and_not_asked(
    case: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # to be watched

    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_more: asked.append(args) or [])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setenv("MY_KEY", "sk-0123456789")
    recipe = write(home / "clone", **SERVERS[case])

    codes = [main([verb, str(recipe)]) for verb in ("validate", "plan", "run", "data")]

    output = "".join(capfd.readouterr())
    assert codes == [0, 0, 2, 2], output
    assert "R307" in output or "R308" in output
    assert "--allow-host " in output or "--allow-key " in output
    assert asked == []
    assert "sk-0123456789" not in output


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", WRONG)
def test_what_nobody_can_mean_is_an_error(
    case: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write(home / "clone", **filled(WRONG[case], home))

    codes = [main([verb, str(recipe)]) for verb in ("validate", "run", "plan")]

    output = "".join(capfd.readouterr())
    assert codes == [2, 2, 2], output
    assert "hunter2" not in output
    assert "I900" not in output


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
        output = "".join(capfd.readouterr())
        assert "R306  extends: " in output
        assert "the parent is not read" in output
        assert "hunter2" not in output


def test_a_recipe_that_is_a_link_out_of_its_project_is_not_read(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "clone" / "recipe.yaml").symlink_to(home / ".ssh" / "id_rsa")

    assert main(["validate", "recipe.yaml"]) == 2
    output = "".join(capfd.readouterr())
    assert "R306" in output
    assert "hunter2" not in output


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
    output = capfd.readouterr().err

    refused = "R306" in output or "R312" in output
    assert refused is (code == 2)
    assert found in (0, 2)


def test_one_word_allows_all_at_once(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = write(
        home / "clone",
        **source("../secret.csv"),
        **model(endpoint="https://api.example.org/v1", model="m", api_key_env="THEIR_KEY"),
    )

    assert main(["run", str(recipe)]) == 2
    output = capfd.readouterr().err
    last = next(line for line in reversed(output.splitlines()) if "for one call:" in line)
    words = last.partition("for one call: ")[2].split()

    assert words == [
        "--allow-read", str(home / "secret.csv"), "--allow-host", "api.example.org",
        "--allow-key", "THEIR_KEY=api.example.org",
    ]  # fmt: skip
    assert main(["plan", str(recipe), *words]) == 0
    assert "R30" not in capfd.readouterr().err


def test_the_plan_lists_hosts_and_files_outside(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write(
        home / "clone",
        **source("../secret.csv"),
        **model(endpoint="http://localhost:8000/v1", model="m", api_key_env="THEIR_KEY"),
    )
    trust_as_it_stands(recipe)

    assert main(["plan", str(recipe)]) == 0
    output = "".join(
        capfd.readouterr().out.split()
    )  # lines are broken by their width, paths at hyphens

    for line in (
        f"read {home}/secret.csv (allowed)",
        "send $THEIR_KEY to localhost:8000 (allowed)",
        "send rows to localhost:8000, this machine",
    ):
        assert line.replace(" ", "") in output


def test_nothing_is_hinted_of_a_folder_outside(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write(home / "clone", **source("../secre.csv"))

    main(["validate", str(recipe)])

    assert "did you mean" not in "".join(capfd.readouterr())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_of_content_is_reported_at_once(
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

    output = "".join(capfd.readouterr())
    assert codes[1:3] == [2, 2], output
    assert 4 not in codes
    assert "I900" not in output
