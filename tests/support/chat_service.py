"""A small server on this machine that behaves like an OpenAI-compatible one, or misbehaves as a test asks."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What is answered instead of an answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Service:
    """What the server says, and what it was asked."""

    answer: Callable[[Body], str] = lambda _body: "positive"
    """The text of an answer, by the request."""
    trouble: Callable[[Body, int], Trouble | None] = lambda _body, _asked: None
    """What goes wrong instead, by the request and how many came before; None for nothing."""
    models: dict[str, str] | None = field(default_factory=lambda: {"served": "somebody"})
    """Who owns each model; None for a server without a list."""
    usage: bool = True
    finish: str = "stop"
    key: str = ""
    asked: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    now: int = 0

    def completion(self, body: Body) -> Body:
        """What an answer looks like on the wire."""
        text = self.answer(body)
        answer: Body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": self.finish,
                }
            ],
        }
        if self.usage:
            answer["usage"] = {"prompt_tokens": 10, "completion_tokens": len(text.split())}
        return answer


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Run the service on a port of its own while the block lasts."""
    server = _Server(service)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        service = self.server.service
        if self._is_refused():
            return
        if service.models is None:
            self._say(404, {"detail": "Not Found"})
            return
        listed = [
            {"id": name, "object": "model", "owned_by": owner}
            for name, owner in service.models.items()
        ]
        self._say(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        service = self.server.service
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_refused():
            return
        with service.lock:
            before = len(service.asked)
            service.asked.append(body)
            service.headers.append(dict(self.headers))
            service.now += 1
            service.most_at_once = max(service.most_at_once, service.now)
        trouble = service.trouble(body, before)
        if trouble is None:
            self._say(200, service.completion(body))
        else:
            self._say(trouble.status, trouble.body, trouble.headers)
        with service.lock:
            service.now -= 1

    def _is_refused(self) -> bool:
        service = self.server.service
        wanted = f"Bearer {service.key}"
        if service.key and self.headers.get("Authorization") != wanted:
            given = self.headers.get("Authorization", "")
            self._say(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
            return True
        return False

    def _say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        payload = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has
        """Nothing to show."""
