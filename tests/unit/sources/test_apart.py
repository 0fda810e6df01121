"""A verb without a network: what it names is fetched and asked by a process apart, tried in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.process.confine import available
from support.chat_service import Service, serving

pytestmark = pytest.mark.skipif(not available().landlock, reason="no Landlock here")
ROOT = Path(__file__).parents[3]

TRIALS = """\
import json, os, socket, sys
from contextlib import ExitStack
from pathlib import Path
from engine.errors import EngineError
from engine.process.confine import confine_main, in_force
from engine.process.policies import rights_of_a_run, rights_of_fetching
from engine.recipe.model import Endpoint
from engine.sources.fetch_process import Named, apart, begin
from engine.trust.hosts import parse_address

server, folder = sys.argv[1], Path(sys.argv[2])
base = server.rpartition("/")[0]

class Quiet:
    notes = []
    def note(self, text): self.notes.append(text)
    def update(self, *_, **__): pass

def tried(call):
    try:
        return call()
    except (EngineError, OSError) as error:
        return error.problems[0].code if isinstance(error, EngineError) else type(error).__name__
    except Exception as error:
        return type(error).__name__

def asked(url):
    from engine.runtime.served.endpoint import Form, ask_endpoint
    endpoint = Endpoint(url=url, model="served", api_key_env="", input_price=0, output_price=0)
    done = ask_endpoint(
        endpoint, [[{"role": "user", "content": "x"}]] * 3, form=Form(), max_tokens=9,
        kept=folder / "answers.jsonl", progress=Quiet(), pause=lambda _: None,
    )
    return [one.text for one in done.replies]

def archive(name):
    given = {"name": name, "version": "1.0", "sha256": None, "folder": str(folder)}
    return Path(apart().ask("archive", given, Quiet())).read_text()

with ExitStack() as held:
    named = Named(packages=("toy",), servers=(base, "http://127.0.0.1:9"))
    begin(named, rights_of_fetching(folder, []), held)
    confine_main(
        rights_of_a_run(project=[], reads=[], writes=[folder]), has_helper=True
    )
    print(json.dumps({
        "opens a socket": tried(lambda: socket.socket().close()),
        "asks a server that is named": tried(lambda: asked(server)),
        "asks another server": tried(lambda: apart().relay(parse_address("http://127.0.0.1:7"))),
        "asks one that is down": tried(lambda: apart().relay(parse_address("http://127.0.0.1:9"))),
        "fetches a package that is named": tried(lambda: archive("toy")),
        "fetches another package": tried(lambda: archive("other")),
        "has the hub's key": "HF_TOKEN" in os.environ,
        "in force": in_force().partition("no network ")[2],
    }))
"""
EXPECTED: Mapping[str, object] = {
    "opens a socket": "PermissionError",
    "asks a server that is named": ["positive"] * 3,
    "asks another server": "X813",
    "asks one that is down": "OSError",
    "fetches a package that is named": "bytes of the archive",
    "fetches another package": "X813",
    "has the hub's key": False,
    "in force": "but through a process apart",
}


class _Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        link = '<a href="/files/toy-1.0-py3-none-any.whl">toy-1.0-py3-none-any.whl</a>'
        body = b"bytes of the archive" if "/files/" in self.path else link.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@cache
def _found() -> dict[str, object]:
    index = ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    threading.Thread(target=index.serve_forever, args=(0.02,), daemon=True).start()
    # Not in the shared memory, where a run may write anyhow.
    with serving(Service()) as service, tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "*",
            "PIP_INDEX_URL": f"http://127.0.0.1:{index.server_port}",
            "HF_TOKEN": "secret",
        }
        ended = subprocess.run(
            [sys.executable, "-P", "-c", TRIALS, service.url, name],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    index.shutdown()
    index.server_close()
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("trial", EXPECTED)
def test_a_verb_reaches_what_its_recipe_names_and_nothing_else(trial: str) -> None:
    assert _found()[trial] == EXPECTED[trial]
