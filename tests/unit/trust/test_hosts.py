import pytest

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
