"""The benchmark of results for tests: its modules, and work folders made of the reports in `tests/examples`."""

import gzip
import json
import sys
from pathlib import Path

from engine.recipe.model import PackageRef
from support.paths import ROOT, SHARED_DATA
from support.reports import report_fields

# at the end: `evaluate` and `data` there must not hide a library of that name
sys.path.append(str(ROOT / "benchmarks"))

from results_cases import Case
from results_rows import Sources


def made_case(**changes: object) -> Case:
    """Return a case of made-up rows."""
    fields: dict[str, object] = {
        "name": "made_up",
        "title": "Made-up rows",
        "origin": "nowhere",
        "read": lambda _: [
            {"text": f"row {number}", "label": "ab"[number % 2]} for number in range(40)
        ],
        "instruction": "a or b?",
        "sizes": (12, 4, 8),
    }
    return Case(**(fields | changes))  # type: ignore[arg-type] # each has the type of its field


def put_report(work: Path, case: str, seed: int, report: str, *, folder: str = "run") -> Path:
    """Lay one of the example reports where a run would have left it."""
    place = work / case / f"seed-{seed}" / folder
    place.mkdir(parents=True)
    (place / "report.json").write_text(json.dumps(report_fields(report)), encoding="utf-8")
    (place / "run.json").write_text("{}", encoding="utf-8")
    return place


class SharedSources(Sources):
    """Reads also what packages hold from the shared data, so that nothing is fetched."""

    def package(self, ref: PackageRef) -> Path:
        """Return the file of that name, unpacked. FileNotFoundError where there is none."""
        path = SHARED_DATA / "vader_rated_snippets" / ref.file.rpartition("/")[2]
        if path.is_file():
            return path
        unpacked = self.packages / path.name
        self.packages.mkdir(exist_ok=True)
        unpacked.write_bytes(gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()))
        return unpacked


__all__ = ["SharedSources", "made_case", "put_report"]
