"""A file of a package, from an index on the loopback interface or a folder of archives."""

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError
from engine.recipe.model import PackageRef
from engine.sources import fetch, package
from engine.store import Artifact, Store, make_key


def zip_of(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


ROWS = b"text,label\nfine,good\n"
WHEEL = zip_of({"toy/rows.csv": ROWS, "toy/__init__.py": b"raise SystemExit('executed')"})
SDIST = zip_of({"toy-1.0/rows.csv": ROWS + b"more,good\n"})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Index:
    """What the server answers, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    status: int = 200
    cut: int = 0
    password: str = ""
    asked: list[str] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    index: Index

    def do_GET(self) -> None:
        index = self.index
        index.asked.append(self.path)
        if index.password and not self._let_in():
            return self._answer(401, b"", {"WWW-Authenticate": "Basic"})
        if index.status != 200:
            return self._answer(index.status, b"")
        if self.path == "/index/toy/":
            return self._page()
        name = self.path.rsplit("/", 1)[-1]
        if name not in index.files:
            return self._answer(404, b"")
        content = index.files[name]
        if index.cut:
            index.cut -= 1
            return self._answer(200, content[:10], {"Content-Length": str(len(content))})
        return self._answer(200, content)

    def _let_in(self) -> bool:
        expected = base64.b64encode(f"me:{self.index.password}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _page(self) -> None:
        files = [
            {"filename": name, "url": f"../../files/{name}", "hashes": self._hashes(name)}
            for name in self.index.files
        ]
        body = {"meta": {"api-version": "1.0"}, "name": "toy", "files": files}
        kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        self._answer(200, json.dumps(body).encode(), kind)

    def _hashes(self, name: str) -> dict[str, str]:
        declared = self.index.declared.get(name, sha256(self.index.files[name]))
        return {"sha256": declared} if declared else {}

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """An index, and an environment that names no other."""
    served = Index()
    handler = type("Bound", (Handler,), {"index": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/index"
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOME", str(tmp_path))
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet:
    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def read(folder: Path, **changes: Any) -> bytes:
    store = Store(folder / "store")

    def cached(name: str, payload: Mapping[str, Any], build: Any) -> Artifact:
        return store.put(name, make_key({"product": name, **payload}), build)

    fields = {"name": "toy", "version": "1.0", "sha256": None, "file": "toy/rows.csv", **changes}
    return fetch(PackageRef(**fields), cached, Quiet()).read_bytes()


def problem_of(folder: Path, **changes: Any) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        read(folder, **changes)
    (problem,) = caught.value.problems
    return problem.code, f"{problem.message} | {problem.hint}"


def both(index: Index) -> None:
    index.files = {"toy-1.0-py3-none-any.whl": WHEEL, "toy-1.0.zip": SDIST}


def test_the_sha256_chooses_between_wheel_and_sdist(index: Index, tmp_path: Path) -> None:
    both(index)

    assert read(tmp_path, sha256=sha256(WHEEL)) == ROWS
    assert read(tmp_path, sha256=sha256(SDIST), file="toy-1.0/rows.csv") == ROWS + b"more,good\n"


def test_what_is_in_the_store_is_not_asked_for_again(index: Index, tmp_path: Path) -> None:
    both(index)
    read(tmp_path, sha256=sha256(WHEEL))
    asked = len(index.asked)
    read(tmp_path, sha256=sha256(WHEEL))

    assert len(index.asked) == asked


def test_without_a_pin_the_wheel_for_any_platform_is_taken(index: Index, tmp_path: Path) -> None:
    both(index)

    assert read(tmp_path) == ROWS


def test_a_version_is_the_same_however_it_is_written(index: Index, tmp_path: Path) -> None:
    both(index)

    assert read(tmp_path, version="1.0.0", name="Toy") == ROWS


def test_an_unknown_version_names_the_nearest(index: Index, tmp_path: Path) -> None:
    both(index)
    code, text = problem_of(tmp_path, version="1.1")

    assert code == "D341"
    assert "nearest: `1.0`" in text


def test_an_unknown_package_is_reported(index: Index, tmp_path: Path) -> None:
    assert problem_of(tmp_path, name="toys")[0] == "D341"
    assert index.asked == ["/index/toys/"]


def test_a_pin_that_no_archive_has_shows_what_there_is(index: Index, tmp_path: Path) -> None:
    both(index)
    code, text = problem_of(tmp_path, sha256="0" * 64)

    assert code == "D340"
    assert "0" * 64 in text
    assert sha256(WHEEL) in text


def test_bytes_that_differ_from_the_published_sha256_are_refused(
    index: Index, tmp_path: Path
) -> None:
    both(index)
    index.declared["toy-1.0-py3-none-any.whl"] = "1" * 64
    code, text = problem_of(tmp_path, sha256="1" * 64)

    assert code == "D340"
    assert sha256(WHEEL) in text


def test_an_index_without_hashes_is_searched_by_content(index: Index, tmp_path: Path) -> None:
    both(index)
    index.declared = dict.fromkeys(index.files, "")

    assert read(tmp_path, sha256=sha256(SDIST), file="toy-1.0/rows.csv").startswith(ROWS)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_an_index_that_refuses_is_named_by_host_and_status(
    index: Index, tmp_path: Path, status: int
) -> None:
    index.status = status
    code, text = problem_of(tmp_path)

    assert code == "D342"
    assert "127.0.0.1" in text
    assert str(status) in text


def test_an_index_that_is_not_there_is_reported(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/index")
    code, text = problem_of(tmp_path)

    assert code == "D342"
    assert "secret" not in text
    assert index.asked == []


def test_credentials_of_the_url_are_used_and_never_shown(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(index)
    index.password = "secret"
    with_password = index.url.replace("://", "://me:secret@")
    refused = problem_of(tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", with_password)

    assert refused[0] == "D342"
    assert "credentials" in refused[1]
    assert read(tmp_path) == ROWS


def test_a_connection_that_breaks_is_tried_again(index: Index, tmp_path: Path) -> None:
    both(index)
    index.cut = 2

    assert read(tmp_path, sha256=sha256(WHEEL)) == ROWS


def test_archives_of_a_folder_are_found_and_without_an_index_nothing_else(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy-1.0-py3-none-any.whl").write_bytes(WHEEL)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    assert read(tmp_path, sha256=sha256(WHEEL)) == ROWS
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "absent"))
    assert problem_of(tmp_path / "other")[0] == "D341"
    assert index.asked == []


def test_a_failed_fetch_leaves_nothing_that_counts_as_complete(
    index: Index, tmp_path: Path
) -> None:
    both(index)
    problem_of(tmp_path, file="toy/nothing.csv", sha256=sha256(WHEEL))

    assert read(tmp_path, sha256=sha256(WHEEL)) == ROWS


@pytest.fixture
def kept(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, after a project has fetched the wheel; small archives are kept too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(package, "WORTH", 0)
    both(index)
    assert read(tmp_path / "first", sha256=sha256(WHEEL)) == ROWS
    index.asked.clear()
    return tmp_path / "cache"


def test_another_project_takes_the_archive_from_the_users_cache(
    index: Index, kept: Path, tmp_path: Path
) -> None:
    assert read(tmp_path / "second", sha256=sha256(WHEEL)) == ROWS
    assert index.asked == []


@pytest.mark.parametrize("harm", ["other bytes", "a link", "a folder", "nothing", "too large"])
def test_what_is_wrong_with_the_cache_is_mended_by_the_index(
    index: Index, kept: Path, tmp_path: Path, harm: str
) -> None:
    (file,) = [path for path in kept.rglob("*.whl") if path.is_file()]
    content = file.read_bytes()
    file.unlink()
    if harm == "other bytes":
        file.write_bytes(content[:-1])
    elif harm == "a link":
        (tmp_path / "elsewhere").write_bytes(content)
        file.symlink_to(tmp_path / "elsewhere")
    elif harm == "a folder":
        file.mkdir()
    elif harm == "too large":
        with file.open("wb") as stream:
            stream.truncate(1 << 40)  # sparse

    assert read(tmp_path / "second", sha256=sha256(WHEEL)) == ROWS
    assert index.asked != []
    if harm != "a folder":
        assert (file.is_symlink(), file.read_bytes()) == (False, content)


def test_the_cache_answers_for_no_other_package_or_version(
    index: Index, kept: Path, tmp_path: Path
) -> None:
    """Else a recipe could say that it trusts one package and get another's bytes without asking the index."""
    for changes in ({"name": "other"}, {"version": "1.1"}):
        code, _ = problem_of(tmp_path / "second", sha256=sha256(WHEEL), **changes)
        assert code == "D341"


def test_small_archives_are_not_kept(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    both(index)
    read(tmp_path, sha256=sha256(WHEEL))

    assert not (tmp_path / "cache" / "slm-recipe-packages").exists()
