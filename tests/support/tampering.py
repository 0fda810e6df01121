"""Tables of tampered evidence: what was done to it, what must come of it, and what came.

`python -m support.tampering` prints both: of bundles and of reproductions.
"""

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering[Material]:
    """One thing that somebody does to evidence who would like it to say yes."""

    group: str
    what: str
    expected: str
    got: Callable[[Material, Path], str]
    """Does it in an empty folder, and returns what the engine says."""

    @property
    def name(self) -> str:
        return f"{self.group}: {self.what}"


Row = tuple[str, str, str, str]
"""Group, case, expected, got."""


def rows_of[Material](
    cases: Iterable[Tampering[Material]], make: Callable[[Path], Material], scratch: Path
) -> Iterator[Row]:
    """Yield the row of each case; `make` makes what all of them begin with."""
    (scratch / "made").mkdir(parents=True)
    material = make(scratch / "made")
    for number, case in enumerate(cases):
        folder = scratch / str(number)
        folder.mkdir()
        # a real file: what a run starts asks for its number
        with (scratch / "shown").open("w") as out, redirect_stdout(out), redirect_stderr(out):
            got = case.got(material, folder)
        shutil.rmtree(folder)
        yield case.group, case.what, case.expected, got


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown, and their counts by what came of them."""
    lines = ["| case | expected | got |", "|---|---|---|"]
    lines += [f"| {group}: {what} | {wanted} | {got} |" for group, what, wanted, got in rows]
    wrong = sum(wanted != got for *_, wanted, got in rows)
    counts = Counter(got for *_, got in rows)
    shares = ", ".join(f"{count} {got}" for got, count in counts.most_common())
    return "\n".join([*lines, "", f"{len(rows)} cases: {shares}; {wrong} not as expected"])


def main() -> int:
    """Make the runs once, print both tables; 1 where a case did not end as it must."""
    import conftest  # noqa: F401 - the environment of all tests
    from support import (
        tampered_bundles,
        tampered_exports,
        tampered_reproductions,
        tampered_rows,
    )
    from support.module_server import CONVERTER, served

    with served(CONVERTER), tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cases = (*tampered_bundles.CASES, *tampered_rows.CASES, *tampered_exports.CASES)
        bundles = list(rows_of(cases, tampered_bundles.material, folder / "b"))
        runs = list(
            rows_of(tampered_reproductions.CASES, tampered_reproductions.material, folder / "r")
        )
    for title, rows in (("Tampered bundles", bundles), ("Tampered reproductions", runs)):
        sys.stdout.write(f"## {title}\n\n{table(rows)}\n\n")
    return int(any(wanted != got for *_, wanted, got in (*bundles, *runs)))


if __name__ == "__main__":
    sys.exit(main())
