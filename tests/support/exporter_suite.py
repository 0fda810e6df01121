"""What every exporter promises; `tests/contract/test_exporters.py` runs it over each of the table."""

import hashlib
from pathlib import Path
from typing import Any

from engine.exporters import ExportSpec, load_exporter
from engine.recipe.model import Task

TASK = Task(
    kind="classification",
    instruction="Is it {labels}?",
    system="Be brief.",
    input="{text}",
    labels=("good", "bad"),
    schema=None,
    output="text",
)
SPEC = ExportSpec(task=TASK, quantization="Q4_K_M", threads=2)


class ExporterSuite:
    """Subclassed once; `exporter` and `exported` are fixtures of the subclass."""

    def test_it_is_found_by_its_own_name(self, exporter: Any) -> None:
        assert exporter is load_exporter(exporter.NAME)

    def test_its_check_finds_nothing_missing_where_it_works(self, exporter: Any) -> None:
        assert exporter.check(lambda _name: "1.0") == ()

    def test_every_file_it_names_is_there_with_that_size_and_digest(self, exported: Any) -> None:
        files, roots = exported

        assert files
        for file in files:
            path = next(root / file.name for root in roots if (root / file.name).exists())
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert (path.stat().st_size, digest) == (file.bytes, file.sha256)

    def test_it_describes_every_file_it_writes(self, exported: Any, exporter: Any) -> None:
        files, (workdir, _) = exported

        written = {
            path.relative_to(workdir).as_posix() for path in workdir.rglob("*") if path.is_file()
        }
        described = {file.name for file in files if (workdir / file.name).exists()}
        required = {"model-Q4_K_M.gguf", "task.json"} if exporter.REQUIRES else set()
        assert written - required == described

    def test_names_stay_below_the_folder(self, exported: Any) -> None:
        files, _ = exported

        assert not [file for file in files if Path(file.name).is_absolute() or ".." in file.name]

    def test_the_files_carry_its_name(self, exported: Any, exporter: Any) -> None:
        files, _ = exported

        assert {exporter.NAME} == {file.format for file in files}
