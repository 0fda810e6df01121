"""What a registry answers, which may be anybody's: read to a limit, followed by https only, and never a bug report."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.publish.card import PublishedFile
from engine.publish.contents import Publication
from engine.publish.registry import Registry
from engine.runtime.served import http_client
from engine.trust.access import NOTHING
from support.registry_server import USER, RegistryServer, registry_server
from support.reports import read_report

ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "no place for the upload": ({"location": ""}, "X835"),
    "a port that is none": ({"location": "http://127.0.0.1:99999/x"}, "X83[56]"),
    "a scheme that is none": ({"location": "file:///etc/passwd"}, "X836"),
    "a host without encryption": ({"location": "http://store.example/x"}, "X836"),
    "the metadata of a cloud": ({"location": "http://169.254.169.254/latest"}, "X836"),
    "a token that is no JSON": ({"wants_token": True, "given_token": b"<html>"}, "X835"),
    "a token that is a list": ({"wants_token": True, "given_token": b"[1]"}, "X835"),
    "tokens without encryption": ({"wants_token": True, "realm": "http://t.example/x"}, "X83[56]"),
    "a model without end": ({"endless": True}, "X832"),
    "a refusal that unpacks to 40 MB": ({"refusal": gzip.compress(b"x" * 40_000_000)}, "X835"),
}


def publication(folder: Path) -> Publication:
    path = folder / "model.gguf"
    path.write_bytes(b"GGUF")
    return Publication(
        run=folder / "run",
        report=read_report("rich"),
        forms=("gguf",),
        files=(PublishedFile.of("model.gguf", path),),
        key="",
        later=(),
    )


@pytest.mark.parametrize("case", ANSWERS)
def test_whatever_a_registry_answers_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    answers, code = ANSWERS[case]
    monkeypatch.setenv("OCI_KEY", USER)
    key = "OCI_KEY" if "given_token" in answers else ""

    with registry_server(RegistryServer(**answers)) as found:
        place = Registry(name=f"{found.host}/team/tiny", variable=key, given=NOTHING)
        with pytest.raises(EngineError, match=code) as caught:
            place.publish(publication(tmp_path), lambda _: None)

    assert len(str(caught.value)) < 1000


def test_a_registry_that_answers_as_it_should_gets_the_model(tmp_path: Path) -> None:
    with registry_server(RegistryServer()) as found:
        place = Registry(name=f"{found.host}/team/tiny", given=NOTHING)
        done = place.publish(publication(tmp_path), lambda _: None)

    assert done.read_back == 3
    assert http_client.MOST_BYTES == 16 << 20


def test_a_token_that_expires_on_the_way_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_KEY", USER)
    server = RegistryServer(wants_token=True, ages=2)

    with registry_server(server) as found:
        place = Registry(name=f"{found.host}/team/tiny", variable="OCI_KEY", given=NOTHING)
        done = place.publish(publication(tmp_path), lambda _: None)

    assert done.read_back == 3
    assert server.tokens > 2


def test_a_tag_is_not_moved_where_it_is_not_known_what_stands_there(tmp_path: Path) -> None:
    server = RegistryServer(manifests={"latest": b"of another model"}, failing="HEAD")

    with registry_server(server) as found:
        place = Registry(name=f"{found.host}/team/tiny", given=NOTHING)
        with pytest.raises(EngineError, match="X835"):
            place.publish(publication(tmp_path), lambda _: None)

    assert server.manifests == {"latest": b"of another model"}
    assert not server.blobs


def test_what_failed_midway_goes_on_where_it_was(tmp_path: Path) -> None:
    server = RegistryServer(failing="PUT")

    with registry_server(server) as found:
        place = Registry(name=f"{found.host}/team/tiny", given=NOTHING)
        with pytest.raises(EngineError, match="X835"):
            place.publish(publication(tmp_path), lambda _: None)
        assert (server.manifests, server.uploads) == ({}, 2)
        server.failing = ""
        done = place.publish(publication(tmp_path), lambda _: None)

    assert (done.read_back, server.uploads) == (3, 2)
