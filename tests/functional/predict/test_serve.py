"""A served model: OpenAI's own client and plain requests get the answers of `recipe predict`."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.paths import ROOT
from support.project import Outcome, Project

pytestmark = pytest.mark.thorough  # servers are started

ENDED = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
TEXTS = ["a lovely film", "a dreadful film", "it was so good", "never again"]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and how to end it."""

    address: str
    process: subprocess.Popen[str]

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.address}{path}", json=body, headers=headers, timeout=60)


def start(folder: Path, *words: str, **variables: str) -> Server:
    command = [sys.executable, "-m", "engine", "serve", "tiny", "--port", "0", *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("serving tiny on http://"), line + process.stderr.read()
    return Server(line.split()[3].rstrip(","), process)


def end(server: Server) -> int:
    server.process.send_signal(signal.SIGTERM)
    server.process.communicate(timeout=60)
    return server.process.returncode


@pytest.fixture(scope="module")
def server(accepted: Path) -> Iterator[Server]:
    found = start(accepted, "--abstain-below", "0.2")
    yield found
    assert end(found) in ENDED


def test_answers_are_those_of_predict(server: Server, finished: Project) -> None:
    rows = finished.folder / "new.jsonl"
    rows.write_text("".join(f"{json.dumps({'text': text})}\n" for text in TEXTS), encoding="utf-8")
    predicted = finished.run("predict", "tiny", str(rows))
    expected = [json.loads(line) for line in predicted.out.splitlines()]

    found = server.post("/predict", {"texts": TEXTS}).json()["predictions"]
    by_rows = server.post("/predict", {"rows": [{"text": text} for text in TEXTS]}).json()

    assert [one["prediction"] for one in found] == [one["prediction"] for one in expected]
    assert [one["probability"] for one in found] == pytest.approx(
        [one["probability"] for one in expected], abs=1e-3
    )
    assert by_rows["predictions"] == found


def test_openais_own_client_reads_whole_and_streamed_answers(server: Server) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
    message = {"role": "user", "content": TEXTS[0]}

    names = [one.id for one in client.models.list()]
    whole = client.chat.completions.create(model="tiny", messages=[message])
    stream = client.chat.completions.create(model="tiny", messages=[message], stream=True)
    parts = [part.choices[0].delta.content or "" for part in stream]

    assert names == ["tiny"]
    assert whole.choices[0].message.content in ("negative", "positive")
    assert "".join(parts) == whole.choices[0].message.content
    assert 0 < whole.probability <= 1
    assert whole.usage.completion_tokens > 0
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    with pytest.raises(openai.BadRequestError, match="each text is asked by itself"):
        client.chat.completions.create(model="tiny", messages=[message, message])
    client.close()


def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    alone = {text: server.post("/predict", {"text": text}).json() for text in TEXTS}

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda text: server.post("/predict", {"text": text}), TEXTS * 16))

    for text, one in zip(TEXTS * 16, found, strict=True):
        assert one.status_code == 200
        (first,), (other,) = alone[text]["predictions"], one.json()["predictions"]
        assert other["prediction"] == first["prediction"]
    text = httpx.get(f"{server.address}/metrics").text
    assert 'recipe_requests_total{route="/predict",status="200"}' in text


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"texts": []}, 400, "1 to 256 texts"),
        ({"texts": ["  "]}, 400, "blank"),
        ({"text": "x" * 40_000}, 413, "characters"),
        ({"text": "x" * 1_200_000}, 413, "bytes"),
        ({"texts": ["a film", "so lovely " * 200]}, 413, "text 2 has"),
        ({"rows": [{"txt": "x"}]}, 400, "no column `text`"),
        ({"rows": ["x"]}, 400, "object of columns"),
        ([1], 400, "send {"),
    ],
)
def test_a_request_that_cannot_be_answered_gets_the_reason(
    server: Server, body: Any, status: int, word: str
) -> None:
    response = server.post("/predict", body)

    assert response.status_code == status
    assert word in response.json()["error"]["message"]


def test_a_page_of_another_site_gets_no_answer(server: Server) -> None:
    plain = httpx.post(f"{server.address}/predict", content=b'{"text": "x"}')
    named = server.post("/predict", {"text": "x"}, Host="evil.example")

    assert plain.status_code == 415
    assert named.status_code == 400


def refusal(address: str, sent: bytes) -> str:
    """What the server says to bytes after which nothing more comes."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as stream:
        stream.sendall(sent)
        return stream.recv(4096).partition(b"\r\n")[0].decode()


def test_a_head_without_end_is_refused(server: Server) -> None:
    """300 MB of headers took the server 6 GB."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"

    assert refusal(server.address, head + b"X: a\r\n" * 20_000) == "HTTP/1.1 400 Bad Request"
    assert refusal(server.address, head + b"Host: evil\r\n\r\n") == "HTTP/1.1 400 Bad Request"


def test_a_body_that_does_not_come_is_not_waited_for(accepted: Path) -> None:
    server = start(accepted, "--seconds", "1")
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

    assert (
        refusal(server.address, f"{head}Content-Length: 9\r\n\r\n{{".encode()).split()[1] == "408"
    )
    end(server)


def kill_model(server: Server) -> None:
    """Kill the process of the model; the server starts another one by itself, so tests after it have one."""
    child = subprocess.run(
        ["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(child.stdout.split()[0]), signal.SIGKILL)


def test_a_model_process_that_dies_is_started_again(server: Server) -> None:
    kill_model(server)
    statuses = [server.post("/predict", {"text": "x"}).status_code for _ in range(2)]

    assert statuses == [500, 200]


def test_health_says_whether_the_model_is_there(server: Server) -> None:
    before = httpx.get(f"{server.address}/health")
    kill_model(server)
    while not (gone := httpx.get(f"{server.address}/health")).is_error:
        pass  # the signal takes a moment
    statuses = [server.post("/predict", {"text": "x"}).status_code for _ in range(2)]
    after = httpx.get(f"{server.address}/health")

    assert (before.status_code, before.json()) == (200, {"status": "ok", "model": "tiny"})
    assert (gone.status_code, gone.json()["status"]) == (503, "no model")
    assert (statuses[-1], after.status_code) == (200, 200)


def test_a_request_that_has_begun_is_answered_before_the_server_ends(accepted: Path) -> None:
    server = start(accepted)
    host, port = server.address.removeprefix("http://").split(":")
    body = json.dumps({"texts": TEXTS}).encode()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )

    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head.encode())
        begun = client.recv(1024)
        server.process.send_signal(signal.SIGTERM)
        client.sendall(body)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    server.process.communicate(timeout=60)

    assert begun.startswith(b"HTTP/1.1 100")
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]) == len(TEXTS)
    assert server.process.returncode in ENDED
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=60)


def test_a_server_for_others_wants_a_key(accepted: Path, run: Any) -> None:
    refused: Outcome = run(
        "serve", "tiny", "--host", "0.0.0.0", "--store", str(accepted / ".recipe")
    )
    server = start(accepted, "--key-from", "MODEL_KEY", MODEL_KEY="k" * 32)

    without = server.post("/predict", {"text": "x"})
    with_it = server.post("/predict", {"text": "x"}, Authorization=f"Bearer {'k' * 32}")
    end(server)

    assert (refused.code, "R319" in refused.err) == (2, True)
    assert (without.status_code, with_it.status_code) == (401, 200)
