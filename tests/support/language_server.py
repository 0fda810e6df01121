"""The language server that editors run for YAML, over its standard streams: opened, asked, closed."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

URI = "file:///recipe.yaml"


@dataclass
class Server:
    """A running server with one open document."""

    reads: IO[bytes]
    writes: IO[bytes]
    settings: dict[str, Any]
    number: int = 0
    diagnostics: dict[str, Any] = field(default_factory=dict)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.reads.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.reads.flush()

    def _receive(self) -> Any:
        length = 0
        while line := self.writes.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self.writes.read(length))

    def _answer(self, message: dict[str, Any]) -> None:
        """Answer what the server asks its client."""
        if message.get("method") == "workspace/configuration":
            asked = message["params"]["items"]
            found = [self.settings.get(item.get("section", "")) for item in asked]
            self._send({"id": message["id"], "result": found})
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})

    def ask(self, method: str, params: Any) -> Any:
        """Return the result of a request."""
        self.number += 1
        asked = self.number
        self._send({"id": asked, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == asked and "method" not in message:
                return message.get("result")
            self._keep(message)

    def tell(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        self._answer(message)

    def open(self, text: str) -> list[dict[str, Any]]:
        """Open a document, and return what is wrong with it."""
        document = {"uri": URI, "languageId": "yaml", "version": 1, "text": text}
        self.diagnostics.pop(URI, None)
        self.tell("textDocument/didOpen", {"textDocument": document})
        while URI not in self.diagnostics:
            self._keep(self._receive())
        return list(self.diagnostics[URI])

    def at(self, method: str, line: int, character: int) -> Any:
        """Ask about a place of the open document, from 0."""
        place = {"line": line, "character": character}
        return self.ask(f"textDocument/{method}", {"textDocument": {"uri": URI}, "position": place})


@contextmanager
def language_server(command: list[str], schema: Path) -> Iterator[Server]:
    """Run the server with the schema for every YAML file."""
    settings = {
        "yaml": {"schemas": {schema.as_uri(): "*.yaml"}, "validate": True, "hover": True,
                 "completion": True, "schemaStore": {"enable": False}},
        "http": {}, "editor": {}, "files": {}, "vscode-yaml": {}, "[yaml]": {},
    }  # fmt: skip
    process = subprocess.Popen(
        [*command, "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    server = Server(reads=process.stdin, writes=process.stdout, settings=settings)
    try:
        capabilities = {
            "workspace": {"configuration": True, "didChangeConfiguration": {}},
            "textDocument": {
                "completion": {"completionItem": {}},
                "hover": {"contentFormat": ["markdown"]},
            },
        }
        server.ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        server.tell("initialized", {})
        server.tell("workspace/didChangeConfiguration", {"settings": settings})
        yield server
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
