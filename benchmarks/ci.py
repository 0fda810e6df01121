"""How long `recipe ci` takes for 50 changed recipes, beside check-jsonschema on the same 50 files.

    python benchmarks/ci.py

A git repository is made of the shipped recipes that name no local file of rows, 50 in all under names of
their own; then each is edited: a bound, the seed of the splits, the rank. `recipe ci` validates, plans and
compares every one of them; the peer checks the files against the JSON Schema, and no rule beyond it. Every
command runs as processes of its own, one after the other, with compiled bytecode as installed packages have
it; the first is not counted. CPU seconds are those of the process and its children (git), and say more than
the wall clock on a machine that does other things. The peer is installed
with `pip install check-jsonschema`; without it the table has ours alone.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timed_starts import ROOT, Spent, environment, time_process

SCHEMA = ROOT / "schemas" / "recipe.schema.json"
RECIPES, RUNS = 50, 7
GOAL_SECONDS = 2.0
OURS, PEER = "recipe ci", "check-jsonschema"
IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull} | {
    f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def main() -> None:
    """Measure and print one table."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        names = _repository(place)
        ours = [sys.executable, "-m", "engine", "ci", "--from", "main", "--output", "comment.md"]
        rows = {OURS: _measure(ours, place)}
        _show_work(place)
        peer = shutil.which(PEER, path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        if peer:
            rows[PEER] = _measure([peer, "--schemafile", str(SCHEMA), *names], place)
    _show(rows)
    print("again: python benchmarks/ci.py")


def _show(rows: dict[str, list[Spent]]) -> None:
    """Print the table, and whether the goal was met."""
    wall, cpu = (
        {name: statistics.median(one[at] for one in spent) for name, spent in rows.items()}
        for at in (0, 1)
    )
    print(
        "| command | processes | median s | fastest to slowest s | CPU s | CPU, ratio to the peer |"
    )
    print("|---|---|---|---|---|---|")
    for name, spent in rows.items():
        ratio = f"{cpu[name] / cpu[PEER]:.2f}" if PEER in cpu else "not installed"
        spread = f"{min(spent)[0]:.2f} to {max(spent)[0]:.2f}"
        print(
            f"| `{name}` | {len(spent)} | {wall[name]:.2f} | {spread} | {cpu[name]:.2f} | {ratio} |"
        )
    found = "met" if wall[OURS] < GOAL_SECONDS else "missed"
    print(f"\ngoal: under {GOAL_SECONDS:.0f} s of wall clock for {RECIPES} recipes: {found}")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} cores{load}, Python {sys.version.split()[0]}")


def _repository(place: Path) -> list[str]:
    """A repository of 50 recipes on `main`, each of them edited since; return their names."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "recipes").glob("*.yaml"))]
    texts = [text for text in texts if not re.search(r"^\s+- path:", text, flags=re.MULTILINE)]
    names = [f"recipe-{number:02}.yaml" for number in range(RECIPES)]
    written = {name: texts[number % len(texts)] for number, name in enumerate(names)}
    for name, text in written.items():
        own = re.sub(r"^name: .*$", f"name: {name.removesuffix('.yaml')}", text, flags=re.MULTILINE)
        (place / name).write_text(own, encoding="utf-8")
    for words in (
        ["init", "--quiet", "-b", "main"],
        ["add", "."],
        ["commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(["git", *words], cwd=place, env={**os.environ, **IDENTITY}, check=True)
    for name in names:
        text = (place / name).read_text(encoding="utf-8")
        (place / name).write_text(_edited(text), encoding="utf-8")
    return names


def _edited(text: str) -> str:
    """A lower bound, another rank, another seed of the splits."""
    text, bounds = re.subn(
        r"(macro_f1|field_f1): \{min: 0\.\d+\}", r"\1: {min: 0.31}", text, count=1
    )
    text, ranks = re.subn(r"^  rank: \d+", "  rank: 24", text, flags=re.MULTILINE)
    text, seeds = re.subn(r"^splits:\n", "splits:\n  seed: 12345\n", text, flags=re.MULTILINE)
    if "seed: 7" in text.partition("splits:")[2].partition("\n\n")[0]:
        text = text.replace("splits:\n  seed: 12345\n", "splits:\n")
    if not bounds + ranks + seeds:
        raise SystemExit("nothing was edited")
    return text


def _show_work(place: Path) -> None:
    """Say what came out, so that nobody measures nothing."""
    comment = (place / "comment.md").read_text(encoding="utf-8")
    print(next(line for line in comment.splitlines() if line.startswith("## ")), end="\n\n")


def _measure(command: list[str], place: Path) -> list[Spent]:
    with tempfile.TemporaryDirectory() as compiled:
        variables = environment(compiled)
        return [time_process(command, place, variables) for _ in range(RUNS + 1)][1:]


if __name__ == "__main__":
    main()
