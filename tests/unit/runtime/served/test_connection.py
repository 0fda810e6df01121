"""Where requests go, and how much of an answer is read, over real sockets of this machine."""

import gzip
import itertools
import json
import os
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.recipe.model import Endpoint
from engine.runtime.served import http_client as chat_server
from engine.runtime.served.endpoint import Form, Served, ask_endpoint
from engine.trust import hosts
from engine.trust.hosts import UnsafeAddressError, parse_address, places_of
from support.chat_service import Service, Trouble, serving
from support.stage_bench import Quiet

KEY = "sk-a/key+that=is-secret"


def ask(url: str, folder: Path, *, rows: int = 3, key: str = "") -> Served:
    endpoint = Endpoint(url=url, model="served", api_key_env=key, input_price=0, output_price=0)
    return ask_endpoint(
        endpoint,
        [[{"role": "user", "content": f"row {row}"}] for row in range(rows)],
        form=Form(),
        max_tokens=20,
        kept=folder / "answers.jsonl",
        progress=Quiet(),
        pause=lambda _seconds: None,
    )


@contextmanager
def answering(
    head: str, body: Iterator[bytes], *, context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A server that sends one head, and parts of a body until it is left alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                wrap = context.wrap_socket if context else None
                with suppress(OSError), wrap(client, server_side=True) if wrap else client as talk:
                    talk.recv(65536)
                    talk.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
                    for part in body:
                        talk.sendall(part)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def code_of(url: str, folder: Path) -> str:
    with pytest.raises(EngineError) as raised:
        ask(url, folder)
    return raised.value.problems[0].code


def bomb() -> Iterator[bytes]:
    """Gigabytes of zeros, packed."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for _ in range(6 * 1024):
        yield packer.compress(bytes(1 << 20))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 6000000000\r\n", lambda: itertools.repeat(bytes(1 << 20))),
        ("Connection: close\r\n", lambda: itertools.repeat(bytes(1 << 20))),
        ("Content-Encoding: gzip\r\nConnection: close\r\n", bomb),
        ("Content-Encoding: br\r\nContent-Length: 1\r\n", lambda: iter([b"x"])),
        ("Content-Encoding: gzip\r\nContent-Length: 2\r\n", lambda: iter([b"xx"])),
    ],
    ids=["long", "endless", "bomb", "packed otherwise", "packed badly"],
)
def test_an_answer_is_read_to_its_limit(head: str, body: Any, tmp_path: Path) -> None:
    with answering(head, body()) as url:
        assert code_of(url, tmp_path) == "E763"


def test_an_answer_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_server, "ANSWER_SECONDS", 0.2)
    with answering("Connection: close\r\n", itertools.repeat(b" ")) as url:
        assert code_of(url, tmp_path) == "E763"


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, "null", "[]", "1" * 5000, '{"choices": 1}', "\x00"]
)
def test_an_answer_of_another_form_is_reported(body: str, tmp_path: Path) -> None:
    trouble = Trouble(status=200, body=body)
    with serving(Service(trouble=lambda _body, _before: trouble)) as service:
        assert code_of(service.url, tmp_path) in ("E724", "E726")


def test_half_a_character_is_kept_as_none(tmp_path: Path) -> None:
    with serving(Service(answer=lambda _body: "a\ud800b")) as service:
        served = ask(service.url, tmp_path, rows=1)

    assert served.replies[0].text == "a?b"


def test_an_honest_answer_may_be_packed(tmp_path: Path) -> None:
    body = gzip.compress(json.dumps(Service().completion({"model": "m"})).encode())
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    with answering(head, itertools.repeat(body)) as url:
        assert [reply.text for reply in ask(url, tmp_path, rows=2).replies] == ["positive"] * 2


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving(Service()) as elsewhere:
        headers = {"Location": f"{elsewhere.url}/chat/completions"}
        trouble = Trouble(status=307, body="", headers=headers)
        with serving(Service(trouble=lambda _body, _before: trouble)) as service:
            assert code_of(service.url, tmp_path) == "E724"

    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        ("http://rows.example/v1", "169.254.169.254"),
        ("http://rows.example/v1", "::ffff:169.254.169.254"),
        ("http://rows.example/v1", "fe80::1"),
        ("http://rows.example/v1", "0.0.0.0"),
        ("http://localhost/v1", "10.0.0.1"),
        ("http://vllm.localhost/v1", "93.184.215.14"),
    ],
)
def test_a_name_is_judged_by_where_it_leads(
    url: str, leads: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", (leads, 80))]
    if "localhost" not in url:
        places = places[1:]
    monkeypatch.setattr(hosts, "getaddrinfo", lambda *_args, **_more: places)

    with pytest.raises(UnsafeAddressError):
        places_of(parse_address(url))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert code_of(url, tmp_path) == "E761"


def test_a_name_is_resolved_once_and_that_place_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    with serving(Service()) as service:
        port = int(service.url.rpartition(":")[2].partition("/")[0])

        def resolve(host: str, *_args: Any, **_more: Any) -> list[Any]:
            asked.append(host)
            place = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
            return [(2, 1, 6, "", (place, port))]

        monkeypatch.setattr(hosts, "getaddrinfo", resolve)
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        ask(f"http://rows.example:{port}/v1", tmp_path)

    assert asked == ["rows.example"]
    assert {header["Host"] for header in service.headers} == {f"rows.example:{port}"}


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate of a host that its own key has signed, and the key."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / f"{host}.pem", folder / f"{host}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


@pytest.mark.parametrize(("host", "answers"), [("rows.example", True), ("other.example", False)])
def test_the_certificate_must_be_that_of_the_name(
    host: str, answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    monkeypatch.setenv("THEIR_KEY", KEY)
    monkeypatch.setenv("no_proxy", "*")
    body = json.dumps(Service().completion({"model": "m"})).encode()
    head = f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    with answering(head, itertools.repeat(body), context=context) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        place = [(2, 1, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(hosts, "getaddrinfo", lambda *_args, **_more: place)
        if answers:
            found = ask(f"https://rows.example:{port}/v1", tmp_path, rows=1, key="THEIR_KEY")
            assert found.replies[0].text == "positive"
        else:
            assert code_of(f"https://rows.example:{port}/v1", tmp_path) == "E721"


def test_a_kind_of_proxy_that_nobody_speaks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "odd://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert code_of("http://rows.example/v1", tmp_path) == "E721"


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(Service()) as service:
        assert len(ask(service.url, tmp_path).replies) == 3


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "hf_token"])
def test_no_other_variable_is_read(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, KEY)
    with serving(Service()) as service, pytest.raises(EngineError) as raised:
        ask(service.url, tmp_path, key=variable)

    assert raised.value.problems[0].code == "R310"
    assert service.asked == []


def test_a_key_does_not_cross_the_network_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    with pytest.raises(EngineError) as raised:
        ask("http://rows.example/v1", tmp_path, key="THEIR_KEY")

    (problem,) = raised.value.problems
    assert (problem.code, problem.hint) == ("R311", "https://rows.example")


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_a_key_that_is_echoed_is_kept_and_shown_nowhere(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    body = {"error": {"message": f"bad {KEY}", "code": status}} if status != 200 else None
    trouble = Trouble(status=status, body=body, headers={"X-Echo": KEY})
    service = Service(
        answer=lambda _body: f"positive {KEY} {KEY.upper()}",
        models={"served": f"owner {KEY}"},
        trouble=lambda _body, _before: trouble if body else None,
    )
    output = ""
    with serving(service):
        try:
            output = repr(ask(service.url, tmp_path, key="THEIR_KEY"))
        except EngineError as error:
            output = f"{error} {error.problems}"

    kept = tmp_path / "answers.jsonl"
    text = output + (kept.read_text(encoding="utf-8") if kept.exists() else "")
    assert "[key]" in text
    assert KEY.lower() not in text.lower()


def test_an_older_file_of_answers_is_read_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    with serving(Service()) as service:
        ask(service.url, tmp_path, rows=1)
        kept = tmp_path / "answers.jsonl"
        kept.write_text(kept.read_text(encoding="utf-8").replace("positive", KEY), encoding="utf-8")
        served = ask(service.url, tmp_path, rows=1, key="THEIR_KEY")

    assert served.replies[0].text == "[key]"


def test_a_pipe_in_the_place_of_the_answers_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "answers.jsonl")
    with serving(Service()) as service:
        assert code_of(service.url, tmp_path) == "E750"
