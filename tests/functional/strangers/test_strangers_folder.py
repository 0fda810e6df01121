"""A folder that a stranger filled: nothing of it is imported, asked about, or taken for a setting of a library."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.project import Project
from support.runs import forget

pytestmark = pytest.mark.thorough

MODULES = (
    *("json.py", "numpy.py", "gguf.py", "inferna.py", "argparse.py", "sitecustomize.py"),
    *("usercustomize.py", "engine/__init__.py", "engine/runtime/llama/worker.py", "conversion.py"),
)
RAN = "import pathlib; pathlib.Path({mark!r}).touch()\n"


@pytest.fixture
def mark(finished: Project) -> Iterator[Path]:
    """A file that stands there once anything of the stranger's has run; its modules lie beside the recipe."""
    mark = finished.folder / "something-ran"
    for name in MODULES:
        path = finished.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RAN.format(mark=str(mark)), encoding="utf-8")
    yield mark
    assert not mark.exists()


@pytest.mark.usefixtures("mark")
def test_asking_an_exported_model_runs_nothing_of_the_folder(finished: Project) -> None:
    (gguf,) = (finished.folder / ".recipe" / "runs").glob("*/*/*.gguf")

    assert finished.run("try", str(gguf.relative_to(finished.folder)), "a good film").code == 0


@pytest.mark.usefixtures("mark")
def test_exporting_and_verifying_run_nothing_of_the_folder(finished: Project) -> None:
    root = finished.folder / ".recipe"
    for stage in ("quantize", "verify"):
        forget(root, stage)

    assert finished.run("run", "recipe.yaml").code == 0


LIGHT = ("validate", "plan", "compile", "fmt")


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("path", [".", "", ":/nowhere"])
@pytest.mark.parametrize("start", [["-m", "engine"], ["-P", "-m", "engine.cli.main"]])
def test_the_command_itself_imports_nothing_from_a_relative_search_path(
    finished: Project, root: Path, path: str, start: list[str]
) -> None:
    # Before a line of ours runs, Python has imported these.
    shutil.rmtree(finished.folder / "engine")
    (finished.folder / "sitecustomize.py").unlink()
    for name in ("usercustomize.py", "argparse.py"):
        (finished.folder / name).unlink()
    (finished.folder / "yaml.py").write_text((finished.folder / "json.py").read_text())
    search = os.pathsep.join([str(root), path])

    done = subprocess.run(
        [sys.executable, *start, "validate", "recipe.yaml"],
        cwd=finished.folder,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
