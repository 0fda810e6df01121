"""Run folders that somebody changed before a bundle is made of them, as a table: nothing of it is signed."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from engine.bundle.build import make_bundle
from engine.errors import EngineError
from engine.store.records import REPORTED
from support.forged_bundles import REPORT
from support.tampered_bundles import Bundles, Case


def _exports() -> Iterator[Case]:

    def got(change: Callable[[Path], object], name: str, bundles: Bundles, folder: Path) -> str:
        run = folder / ".recipe" / "runs" / "tiny" / bundles.run.name
        shutil.copytree(bundles.run, run, symlinks=True)
        change(run / name)
        try:
            made = make_bundle(
                run, folder / "b.tar", key=bundles.path.parent / "maker.pem", with_model=True
            )
        except EngineError as error:
            return error.problems[0].code
        return str(made.file)

    def more(path: Path) -> None:
        data = path.read_bytes()
        path.unlink()  # delivered files can be links into the store
        path.write_bytes(data + b"\n")

    def linked(path: Path) -> None:
        path.rename(path.with_name("kept"))
        path.symlink_to("kept")

    def other_outcome(path: Path) -> None:
        record = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**record, "exit_code": 1}), encoding="utf-8")

    # nothing of a bundle stands on the events
    names = [name for name in REPORTED if name not in ("report.md", "events.jsonl")]
    for name in (*names, "model-Q4_K_M.gguf", "task.json", "model/model.safetensors"):
        yield Case(
            group="export of a run with",
            what=f"{name} edited",
            expected="E758",
            got=partial(got, more, name),
        )
    for name in names:
        yield Case(
            group="export of a run with",
            what=f"a link as {name}",
            expected="E758",
            got=partial(got, linked, name),
        )
    for name in names:
        got_ = partial(got, Path.unlink, name)
        expected = "E758" if name == REPORT else "X663"
        yield Case(group="export of a run with", what=f"no {name}", expected=expected, got=got_)
    got_ = partial(got, other_outcome, "run.json")
    yield Case(group="export of a run with", what="run.json edited", expected="E751", got=got_)


CASES: tuple[Case, ...] = tuple(_exports())
"""Every case; what comes of it is the code of the refusal."""
