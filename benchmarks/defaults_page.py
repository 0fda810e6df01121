"""The measured part of the page on defaults, out of the cells and the baselines of the grid."""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.render.markdown import table
from engine.render.number_format import amount

DEFAULT: Final = "{}"
"""The changes of a cell that has none."""
TITLES: Final = {
    "banking": "20 intents",
    "clinc": "30 intents",
    "snips": "voice commands",
    "headlines": "headlines",
    "spam": "spam",
    "emotions": "emotions, Indonesian",
}
BASELINES: Final = ("tfidf_svm", "encoder_linear")
MADE: Final = re.compile(r"(<!-- grid: begin -->\n).*?(<!-- grid: end -->)", flags=re.DOTALL)

Line = Mapping[str, Any]


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a JSONL file; none where it is absent."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def with_grid(page: str, cells: Sequence[Line], baselines: Sequence[Line]) -> str:
    """Return the page with what the grid came to between its two marks. ValueError where it has none."""
    if not MADE.search(page):
        raise ValueError("the page has no marks `<!-- grid: begin -->` and `<!-- grid: end -->`")
    text = "\n\n".join(grid(cells, baselines))
    return MADE.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)


def grid(cells: Sequence[Line], baselines: Sequence[Line]) -> Iterator[str]:
    """Yield the blocks: the defaults beside the baselines, then single changes, by training rows; then `keep`."""
    sizes = sorted({cell["rows"] for cell in cells})
    for rows in sizes:
        here = [cell for cell in cells if cell["rows"] == rows]
        yield f"The defaults with {rows} rows:"
        yield _beside_baselines(
            [cell for cell in here if cell["changes"] == DEFAULT],
            [line for line in baselines if line["rows"] == rows],
        )
    for rows in sizes:
        # Changes were tried with one seed, so they stand beside the defaults with that seed.
        here = [cell for cell in cells if cell["rows"] == rows and cell["seed"] == 1]
        if any(cell["changes"] != DEFAULT for cell in here):
            yield f"One change at a time with {rows} rows and seed 1; a dash is a training that was not made:"
            yield _changes(here)
    yield _checkpoints(cells)


def _beside_baselines(cells: Iterable[Line], baselines: Iterable[Line]) -> str:
    trained: dict[str, dict[int, float]] = defaultdict(dict)
    for cell in cells:
        trained[cell["set"]][cell["seed"]] = cell["last"]
    known = {(line["set"], line["seed"]): line for line in baselines}
    rows = []
    for name in (name for name in TITLES if name in trained):
        scores = trained[name]
        seeds = sorted(scores)
        beside = [known.get((name, seed)) for seed in seeds]
        ahead = [
            None if line is None else scores[seed] - max(line[one] for one in BASELINES)
            for seed, line in zip(seeds, beside, strict=True)
        ]
        rows.append([
            TITLES[name],
            _listed(scores[seed] for seed in seeds),
            f"{statistics.mean(scores.values()):.3f}",
            *(_listed(line[one] if line else None for line in beside) for one in BASELINES),
            _listed(ahead, signed=True),
        ])  # fmt: skip
    heads = (
        "set", "trained, by seed", "mean", *(f"`{one}`" for one in BASELINES),
        "ahead of the better one",
    )  # fmt: skip
    return table(heads, rows)


def _listed(values: Iterable[float | None], *, signed: bool = False) -> str:
    return ", ".join(
        "-" if value is None else amount(value, decimals=3, signed=signed) for value in values
    )


def _changes(cells: Sequence[Line]) -> str:
    scores = {(cell["changes"], cell["set"]): cell["last"] for cell in cells}
    changed = {cell["set"] for cell in cells if cell["changes"] != DEFAULT}
    names = [name for name in TITLES if name in changed]
    found = {cell["changes"] for cell in cells if cell["set"] in changed}
    rows = [
        [
            _words(changes),
            *(
                f"{scores[changes, name]:.3f}" if (changes, name) in scores else "-"
                for name in names
            ),
        ]
        for changes in sorted(found, key=lambda one: (one != DEFAULT, one))
    ]
    return table(("changed", *(TITLES[name] for name in names)), rows)


def _words(changes: str) -> str:
    found = json.loads(changes)
    values = {key: f"{one:g}" if isinstance(one, float) else one for key, one in found.items()}
    return ", ".join(f"`{key}: {one}`" for key, one in sorted(values.items())) or "nothing"


def _checkpoints(cells: Sequence[Line]) -> str:
    """Return how the step of lowest validation loss did beside the last one."""
    kept = [cell for cell in cells if cell["best"] is not None]
    gains = [cell["best"] - cell["last"] for cell in kept]
    worst, best = (kept[gains.index(edge(gains))] for edge in (min, max))
    mean = statistics.mean(gains)
    return (
        f"In {len(kept)} of these cells the step of lowest validation loss was kept beside the last one.\n"
        f"On average it scores {abs(mean):.3f} {'less' if mean < 0 else 'more'}:"
        f" less in {sum(gain < 0 for gain in gains)}, at worst {_pair(worst)};\n"
        f"more in {sum(gain > 0 for gain in gains)}, at best {_pair(best)}."
    )


def _pair(cell: Line) -> str:
    where = f"{TITLES[cell['set']]}, {cell['rows']} rows, seed {cell['seed']}"
    return f"{cell['best']:.3f} beside {cell['last']:.3f} ({where}, changed: {_words(cell['changes'])})"
