"""Readers of what a run leaves (bundles, reports), and of tokenizers."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.bundle.contents import ContentsError, pages_of, read_contents
from engine.bundle.tar_archive import Member, write_archive
from engine.bundle.verification import check_bundle, content_problems
from engine.process import __version__
from engine.render.report.page import read_json as read_report
from engine.runtime.models.model_files import require_settings
from support.fuzz_target import Target
from support.paths import EXAMPLES
from support.small_tokenizer import SETTINGS, tokenizer_fields


def of_a_run(name: str) -> bytes:
    """Return a file of a run of the two-layer model that was accepted."""
    return (EXAMPLES / "run" / name).read_bytes()


def _bundled(name: str) -> Callable[[Path], object]:
    """Return what reads the files of a bundle of which one is another, and looks for contradictions."""

    def read(path: Path) -> None:
        contents = {one: of_a_run(one) for one in ("report.json", "recipe.lock.json")}
        contents |= {"recipe.resolved.yaml": of_a_run("recipe.resolved.yaml")}
        contents |= {name: path.read_bytes()}
        members = {
            one: Member(name=one, sha256="", data=data, size=len(data))
            for one, data in contents.items()
        }
        statement = {"predicate": {"pages_written_with": __version__}}
        try:
            list(content_problems(read_contents(members, statement)))
        except ContentsError:
            return

    return read


def _pages(path: Path) -> None:
    """Write every page of a report that can be read."""
    try:
        report = read_report(path.read_text(encoding="utf-8"))
    except ValueError:
        return
    for write in pages_of().values():
        write(report)


def bundles() -> Iterator[Target]:
    for name in ("report.json", "recipe.lock.json"):
        yield Target(
            name=f"bundle/{name}",
            content=of_a_run(name),
            read=_bundled(name),
            load=json.loads,
            weight=2,
        )
    yield Target(
        name="pages/report.json",
        content=of_a_run("report.json"),
        read=_pages,
        load=json.loads,
        weight=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "x.tar"
        write_archive(place, {name: of_a_run(name) for name in ("report.json", "run.json")})
        whole = place.read_bytes()
    yield Target(name="x.bundle.tar", content=whole, read=check_bundle)


def tokenizers() -> Iterator[Target]:
    """What the Rust tokenizer and transformers read; importing them takes seconds."""
    whole = json.dumps(tokenizer_fields()).encode()
    for name, content in (("tokenizer.json", whole), ("tokenizer_config.json", SETTINGS)):
        yield Target(
            name=f"chat-{name.partition('.')[0]}/{name}",
            content=content,
            read=_chat,
            load=json.loads,
            weight=3,
            is_heavy=True,
        )


def _chat(path: Path) -> None:
    from engine.runtime.rendering.chat import load_chat  # imports transformers

    for name, content in (
        ("tokenizer.json", json.dumps(tokenizer_fields()).encode()),
        ("tokenizer_config.json", SETTINGS),
    ):
        if path.name != name:
            (path.parent / name).write_bytes(content)
    require_settings(path.parent)
    load_chat(path.parent).token_ids("the film was good")
