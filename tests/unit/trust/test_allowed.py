"""The user's word: where it stands, what it is bound to, and what is not believed."""

import json
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.errors import RecipeError
from engine.trust.allowed import Allowed, forget, from_options, projects, records, trust, trusted
from engine.trust.hosts import parse_address
from engine.trust.project import project_of


@pytest.fixture
def recipe(tmp_path: Path, careful_user: Path) -> Path:
    assert careful_user.is_dir()
    path = tmp_path / "recipe.yaml"
    path.write_text("", encoding="utf-8")
    return path


def kept(user: Path) -> Path:
    (found,) = (user / "state" / "slm-recipe" / "trust").glob("*.json")
    return found


def test_it_stands_in_the_users_folder_for_the_user_alone(recipe: Path, careful_user: Path) -> None:
    trust(recipe, ["read /b", "read /a"])

    fields = json.loads(kept(careful_user).read_text(encoding="utf-8"))
    assert (fields["recipe"], fields["references"]) == (str(recipe), ["read /a", "read /b"])
    assert len(fields["sha256"]) == 64
    assert kept(careful_user).stat().st_mode & 0o777 == 0o600
    assert trusted(recipe) == {"read /a", "read /b"}


def test_it_is_for_one_recipe_whatever_it_is_called(recipe: Path) -> None:
    trust(recipe, ["read /a"])
    link = recipe.with_name("link.yaml")
    link.symlink_to(recipe)
    other = recipe.with_name("other.yaml")
    other.write_text("", encoding="utf-8")

    assert trusted(link) == {"read /a"}
    assert trusted(other) == frozenset()


def test_a_list_that_somebody_changed_is_not_believed(recipe: Path, careful_user: Path) -> None:
    trust(recipe, ["read /a"])
    file = kept(careful_user)

    file.write_text(file.read_text(encoding="utf-8").replace("read /a", "read /"), encoding="utf-8")

    assert trusted(recipe) == frozenset()


def test_a_word_that_others_can_write_is_not_believed(recipe: Path, careful_user: Path) -> None:
    trust(recipe, ["read /a"])
    kept(careful_user).chmod(0o666)

    assert trusted(recipe) == frozenset()


def test_it_can_be_taken_back(recipe: Path) -> None:
    trust(recipe, ["read /a"])

    assert [one.recipe for one in records()] == [recipe]
    assert forget(recipe)
    assert not forget(recipe)
    assert records() == ()


def test_the_verb_needs_a_recipe(careful_user: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert careful_user.is_dir()
    assert main(["trust"]) == 2
    assert "R314" in capfd.readouterr().err
    assert main(["trust", "--list"]) == 0
    assert capfd.readouterr().out == "no recipe is trusted\n"


def test_the_users_projects_reach_over_their_folders(
    tmp_path: Path, careful_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    (work / "one").mkdir(parents=True)
    settings = careful_user / "config" / "slm-recipe" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("projects: [~/work]\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))

    inside = project_of(work / "one" / "recipe.yaml", projects())
    beside = project_of(tmp_path / "recipe.yaml", projects())

    assert inside.holds(work / "data" / "rows.csv")
    assert not inside.holds(work / ".ssh" / "id_rsa")
    assert not inside.holds(tmp_path / "rows.csv")
    assert not beside.holds(tmp_path.parent / "rows.csv")


@pytest.mark.parametrize(
    "text",
    [
        "projects: work",
        "projects: [work]",
        "roots: [/]",
        "- /",
        "projects: [",
        "\xff",
        "[" * 5000,
        "projects: 2001-99-99",
        f"projects: {'9' * 5000}",
        "projects: [~nobody-of-that-name]",
        'projects: ["/a\\0b"]',
    ],
)
def test_settings_that_say_something_else_are_refused(text: str, careful_user: Path) -> None:
    settings = careful_user / "config" / "slm-recipe" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_bytes(text.encode("latin-1"))

    with pytest.raises(RecipeError) as raised:
        projects()
    assert raised.value.problems[0].code == "R313"


def test_a_repository_around_the_home_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "download").mkdir(parents=True)
    for folder in (tmp_path / "home", tmp_path):
        (folder / ".git").mkdir()
        (folder / ".git" / "HEAD").write_text("", encoding="utf-8")

    found = project_of(tmp_path / "home" / "download" / "recipe.yaml")

    assert found.roots == (tmp_path / "home" / "download",)


@pytest.mark.parametrize(
    ("option", "url", "sends"),
    [
        ("KEY=host", "https://host/v1", True),
        ("KEY=HOST", "https://host./v1", True),
        ("KEY=host", "https://host:8443/v1", False),
        ("KEY=host:8443", "https://host:8443/v1", True),
        ("KEY=host", "https://other/v1", False),
        ("KEY=host", "http://host/v1", False),
        ("OTHER=host", "https://host/v1", False),
        ("key=host", "https://host/v1", False),
        ("KEY=localhost", "http://localhost:8000/v1", True),
    ],
)
def test_a_key_goes_where_the_user_tied_it_to(option: str, url: str, sends: bool) -> None:
    allowed = from_options([], [], [option])

    assert allowed.may_send("KEY", parse_address(url)) is sends


@pytest.mark.parametrize(
    ("url", "sends"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com:8443/v1", False),
        ("http://api.openai.com/v1", False),
        ("https://api.mistral.ai/v1", False),
        ("https://evil.example/v1", False),
    ],
)
def test_a_providers_key_goes_to_the_provider(url: str, sends: bool) -> None:
    assert Allowed().may_send("OPENAI_API_KEY", parse_address(url)) is sends


@pytest.mark.parametrize(
    ("option", "url", "asks"),
    [
        ("host", "http://host:8000/v1", True),
        ("host:8000", "http://host:8000/v1", True),
        ("host:8001", "http://host:8000/v1", False),
        ("ost", "http://host:8000/v1", False),
        ("10.0.0.5", "http://10.0.0.5/v1", True),
    ],
)
def test_rows_go_to_a_host_that_is_allowed(option: str, url: str, asks: bool) -> None:
    assert from_options([], [option], []).may_ask(parse_address(url)) is asks
