import base64
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from engine.cli.main import main
from engine.errors import RecipeError
from engine.trust import allowed, hosts
from engine.trust.allowed import Allowed, forget, from_options, projects, records, trust, trusted
from engine.trust.hosts import AddressKind, is_never_sent, kind_of, parse_address, parse_host


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("http://rows.example/v1", "https://rows.example"),
        ("http://rows.example:80", "https://rows.example"),
        ("http://rows.example:8000/v1", "https://rows.example:8000"),
        ("http://[2001:db8::1]:8000", "https://[2001:db8::1]:8000"),
    ],
)
def test_an_address_in_the_open_is_written_anew_without_the_port_of_http(
    url: str, encrypted: str
) -> None:
    assert parse_address(url).encrypted == encrypted


@pytest.mark.parametrize(
    ("url", "name", "is_loopback"),
    [
        ("https://api.openai.com/v1", "api.openai.com", False),
        ("https://API.OpenAI.com.:443/v1", "api.openai.com", False),
        ("http://localhost:8000/v1", "localhost:8000", True),
        ("http://vllm.localhost", "vllm.localhost:80", True),
        ("http://127.0.0.2:1/", "127.0.0.2:1", True),
        ("http://[::1]:8000/v1", "[::1]:8000", True),
        ("http://[0:0:0:0:0:0:0:1]/v1", "[::1]:80", True),
        ("http://[::ffff:127.0.0.1]/v1", "[::ffff:127.0.0.1]:80", False),
        ("http://gpu_box:8000/v1", "gpu_box:8000", False),
        ("http://localhost.evil.example/v1", "localhost.evil.example:80", False),
        ("https://xn--pi-6kc.openai.com/v1", "xn--pi-6kc.openai.com", False),
    ],
)
def test_an_address_has_one_name(url: str, name: str, is_loopback: bool) -> None:
    found = parse_address(url)

    assert (found.name, found.is_loopback) == (name, is_loopback)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("api.openai.com", "api.openai.com"),
        ("https://API.openai.com/", "api.openai.com"),
        ("gpu:8000", "gpu:8000"),
        ("::1", "[::1]"),
        ("[::1]:8000", "[::1]:8000"),
        ("10.0.0.5", "10.0.0.5"),
    ],
)
def test_a_host_is_allowed_by_its_name(text: str, name: str) -> None:
    assert parse_host(text) == name


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", AddressKind.LOOPBACK),
        ("::1", AddressKind.LOOPBACK),
        ("169.254.169.254", AddressKind.METADATA),
        ("100.100.100.200", AddressKind.METADATA),
        ("168.63.129.16", AddressKind.METADATA),
        ("fd00:ec2::254", AddressKind.METADATA),
        ("::ffff:169.254.169.254", AddressKind.METADATA),
        ("64:ff9b::a9fe:a9fe", AddressKind.METADATA),
        ("2002:a9fe:a9fe::1", AddressKind.METADATA),
        ("::169.254.169.254", AddressKind.METADATA),
        ("169.254.0.1", AddressKind.LINK_LOCAL),
        ("fe80::1%eth0", AddressKind.LINK_LOCAL),
        ("0.0.0.0", AddressKind.UNUSABLE),
        ("::", AddressKind.UNUSABLE),
        ("224.0.0.1", AddressKind.UNUSABLE),
        ("10.0.0.1", AddressKind.PRIVATE),
        ("192.168.0.1", AddressKind.PRIVATE),
        ("100.64.0.1", AddressKind.PRIVATE),
        ("fc00::1", AddressKind.PRIVATE),
        ("::ffff:127.0.0.1", AddressKind.PRIVATE),
        ("93.184.215.14", AddressKind.PUBLIC),
        ("2606:4700::1111", AddressKind.PUBLIC),
    ],
)
def test_every_way_to_write_a_place_is_that_place(address: str, kind: AddressKind) -> None:
    assert kind_of(address) is kind


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "hf_token",
        "GITHUB_TOKEN",
        "GOOGLE_API_KEY",
        "SSH_AUTH_SOCK",
        "PATH",
    ],
)
def test_what_opens_something_else_is_no_key(name: str) -> None:
    assert is_never_sent(name)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "MY_SERVER_KEY", "AZURE_OPENAI_API_KEY", ""])
def test_a_server_has_a_key_of_its_own(name: str) -> None:
    assert not is_never_sent(name)


KEY = "sk-Secret/Key+123=4&5"


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        KEY[::-1],
        f"{KEY[:7]}\n   {KEY[7:]}",
        f"{KEY[:7]}\\n{KEY[7:]}",
        quote(KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        html.escape(KEY),
        json.dumps(KEY)[1:-1],
        KEY.replace("/", "\\/"),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        KEY.encode().hex(),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"us:{KEY}!".encode()).decode(),
    ],
)
def test_no_form_of_a_key_is_left(form: str) -> None:
    output = hosts.redacted(f"before {form} after", [KEY])

    assert output.startswith("before ")
    assert output.endswith(" after")
    assert form not in output
    assert KEY[4:10].lower() not in output.lower()


@pytest.mark.parametrize("key", ["EMPTY", "none", "ollama", "", "test"])
def test_a_word_that_is_no_key_stays_in_answers(key: str) -> None:
    assert (
        hosts.redacted("the label is none, EMPTY or test", [key])
        == "the label is none, EMPTY or test"
    )


def test_a_short_key_goes_where_it_stands_alone() -> None:
    assert hosts.redacted("abc12 xabc12", ["abc12"]) == "[key] xabc12"


def test_every_text_of_an_answer_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.trust.hosts._kept", {KEY})

    output = json.dumps(hosts.redacted_value({KEY: [{"a": f"Bearer {KEY}"}, 1, None, True]}))

    assert output == '{"[key]": [{"a": "Bearer [key]"}, 1, null, true]}'


def test_variables_are_secret_by_their_names() -> None:
    secret = {"MY_API_KEY": "first-value", "GH_TOKEN": "second-value", "db_password": "third-value"}

    assert hosts.secrets_of({**secret, "LANG": "a-language", "AUTH": "1"}) == tuple(secret.values())


# The user's word: where it stands, what it is bound to, and what is not believed.
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

    inside = allowed.project_of(work / "one" / "recipe.yaml", projects())
    beside = allowed.project_of(tmp_path / "recipe.yaml", projects())

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

    found = allowed.project_of(tmp_path / "home" / "download" / "recipe.yaml")

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
