"""How fast a classifier is evaluated, beside public ways of doing it; and that the answers are exact.

    python benchmarks/evaluate.py

The quickstart's base model, and the same model tuned on the tasks (made once, kept in `--store`).
Each contestant runs in a process of its own, on one thread, and is timed in processor time from
prompts to labels. Theory is the ratio of tokens that have to go through the model: P tokens shared
by all prompts, u of a row's own, l of a label (terminator included) and K of them, g generated ones,
R rows, and T* nodes of the label tree that the search really expanded:

    generate        (P + u + g) / (P / R + u + T*)
    lm-eval         K (P + u + l - 1) / (P / R + u + T*)
    server          (tokens it read + g) / (P / R + u + T*)
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from evaluate_cases import CASES, DATA, load_case  # noqa: E402 - the benchmark runs from the tree

from engine.runtime.rendering.chat import load_chat  # noqa: E402 - the same
from engine.runtime.scoring.label_search import common_prefix, make_tree  # noqa: E402 - the same

GOAL_PERCENT = 85
GOAL_MEGABYTES = 400
GOAL_DIFFERENCE = 1e-4
PEERS = {"generate": "transformers", "lm-eval": "lm-eval", "server": "xllamacpp"}
ROWS = {
    ("tuned", "banking77"): {
        "ours": 500, "tree": 500, "plain": 20, "generate": 16, "lm-eval": 1, "server": 200,
    },
    ("tuned", "snips"): {
        "ours": 500, "tree": 500, "plain": 20, "generate": 40, "lm-eval": 12, "server": 200,
    },
    ("tuned", "headlines"): {
        "ours": 500, "tree": 500, "plain": 20, "generate": 40, "lm-eval": 40, "server": 200,
    },
    ("base", "banking77"): {"ours": 50, "generate": 8},
    ("base", "snips"): {
        "ours": 60, "tree": 60, "plain": 8, "generate": 6, "lm-eval": 4, "server": 24,
    },
}  # fmt: skip
"""How many rows each contestant answers: the slow ones few."""
QUICK = 10
"""Divides them, with `--quick`."""

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Token counts of a case, as in the formulae."""

    shared: int
    own: float
    label: float
    labels: int
    nodes: int

    def ours(self, rows: int, expanded: float) -> float:
        """Return the tokens of a row that have to go through the model."""
        return self.shared / rows + self.own + expanded


def main() -> None:
    """Measure and print one table for each model and task, and what was checked."""
    asked = _arguments()
    if asked.contestant:
        _contest(asked)
        return
    if not DATA.exists():
        print(f"skipped: the data are not there ({DATA})")
        return
    folders = _models(asked)
    for (model, case), rows in ROWS.items():
        if model not in asked.models.split(",") or case not in asked.cases.split(","):
            continue
        results: Results = {}
        for name in asked.contestants.split(","):
            if name in rows:
                few = max(1, rows[name] // QUICK) if asked.quick else rows[name]
                results[name] = _run(asked, name, case=case, rows=few, folder=folders[model])
        _print(f"{case}, {model} model", _sizes(case, folders[model], rows), results)
    _more(asked, folders)
    print(f"\n{_versions()}\nagain: python benchmarks/{Path(__file__).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, default=Path(__file__).parent / ".recipe")
    parser.add_argument("--models", default="base,tuned")
    parser.add_argument("--cases", default=",".join([*CASES, "extraction", "gguf"]))
    parser.add_argument("--contestants", default="ours,tree,plain,generate,lm-eval,server")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--reuse", action="store_true", help="what an earlier run measured")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _contest(asked: argparse.Namespace) -> None:
    """Run one contestant in this process and print what it measured."""
    from evaluate_contestants import CONTESTANTS  # brings torch

    measured = CONTESTANTS[asked.contestant](asked.folder, load_case(asked.case), asked.rows)
    print(json.dumps(measured))


def _models(asked: argparse.Namespace) -> dict[str, Path]:
    """Return the folders of the models asked for; made in a process of its own: that takes memory."""
    code = (
        "import sys; from pathlib import Path; import evaluate_model as made;"
        "print(getattr(made, sys.argv[2] + '_model')(Path(sys.argv[1])))"
    )
    store = str(asked.store.resolve())
    return {
        name: Path(_python(["-c", code, store, name]).splitlines()[-1])
        for name in asked.models.split(",")
    }


def _run(
    asked: argparse.Namespace, name: str, *, case: str, rows: int, folder: Path
) -> dict[str, Any]:
    """Return what one contestant measured, from a process of its own."""
    kept = asked.store / "evaluate" / f"{folder.parent.parent.name[:12]}-{case}-{name}-{rows}.json"
    if asked.reuse and kept.exists():
        print(f"{kept.name}: measured earlier", file=sys.stderr, flush=True)
    else:
        print(f"{name} on {rows} rows of {case}", file=sys.stderr, flush=True)
        command = [__file__, "--contestant", name, "--case", case, "--rows", str(rows)]
        out = _python([*command, "--folder", str(folder)])
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(out.splitlines()[-1], encoding="utf-8")
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return result


def _more(asked: argparse.Namespace, folders: dict[str, Path]) -> None:
    """Run the benchmarks of what is not label scoring in transformers; they print tables of their own."""
    few = ["--count", "20", "--one-by-one", "2", "--served", "8"] if asked.quick else []
    if "base" in folders and "extraction" in asked.cases.split(","):
        rows = DATA / "restaurant8k" / "test.json.gz"
        print("\n### extraction (restaurant8k), base model\n", flush=True)
        script = str(Path(__file__).with_name("evaluate_extraction.py"))
        print(
            _python(
                [script, "--model", str(folders["base"]), "--rows", str(rows), *few], check=False
            )
        )
    if "tuned" in folders and "gguf" in asked.cases.split(","):
        print("\n### GGUF file in llama.cpp (banking77), tuned model\n", flush=True)
        script = str(Path(__file__).with_name("evaluate_gguf.py"))
        few = ["--rows", "20", "--peer-rows", "2"] if asked.quick else []
        print(_python([script, "--model", str(folders["tuned"]), *few], check=False))


def _python(arguments: list[str], *, check: bool = True) -> str:
    here = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONPATH": here, "TOKENIZERS_PARALLELISM": "false"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-W", "ignore", *arguments]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=check, text=True, env=environment)
    return ran.stdout


def _sizes(name: str, folder: Path, rows: dict[str, int]) -> Sizes:
    chat, case = load_chat(folder), load_case(name)
    asked = [chat.token_ids(prompt) for prompt in case.prompts(chat, rows["ours"])]
    answers = [chat.token_ids(answer) for answer in case.answers(chat)]
    shared = common_prefix(asked)
    return Sizes(
        shared=shared,
        own=sum(map(len, asked)) / len(asked) - shared,
        label=sum(map(len, answers)) / len(answers),
        labels=len(answers),
        nodes=sum(len(branch.tokens) for branch in make_tree(answers).branches),
    )


def _print(title: str, sizes: Sizes, results: Results) -> None:
    print(f"\n### {title}\n")
    print(
        f"P = {sizes.shared}, u = {sizes.own:.1f}, K = {sizes.labels}, l = {sizes.label:.1f}, "
        f"T = {sizes.nodes}\n"
    )
    print("| contestant | rows | rows a CPU-second | ours is faster by | theory | of theory |")
    print("|---|---|---|---|---|---|")
    ours = results.get("ours")
    for name, result in results.items():
        speed = result["rows"] / result["seconds"]
        line = f"| {_named(name, result)} | {result['rows']} | {speed:.3g}"
        if ours is None or name in ("ours", "tree", "plain"):
            print(f"{line} | | | |")
            continue
        ratio = ours["rows"] / ours["seconds"] / speed
        theory = _tokens(name, sizes, result) / sizes.ours(ours["rows"], ours["expanded"])
        print(f"{line} | {ratio:.1f} | {theory:.1f} | {100 * ratio / theory:.0f} % |")
    _print_checks(results)


def _named(name: str, result: dict[str, Any]) -> str:
    more = {
        "ours": lambda: f"**ours**, best first (T* = {result['expanded']:.1f})",
        "tree": lambda: "ours, the whole tree",
        "plain": lambda: "one pass for each row and label",
        "generate": lambda: f"transformers `generate`, row by row (g = {result['generated']:.1f})",
        "lm-eval": lambda: "lm-evaluation-harness, multiple choice",
        "server": lambda: (
            f"llama.cpp server, grammar, {result['file']} "
            f"(read {result['read']:.1f}, g = {result['generated']:.1f})"
        ),
    }
    return more[name]()


def _tokens(name: str, sizes: Sizes, result: dict[str, Any]) -> float:
    """Return the tokens of a row that a peer sends through the model."""
    if name == "generate":
        return float(sizes.shared + sizes.own + result["generated"])
    if name == "lm-eval":
        return sizes.labels * (sizes.shared + sizes.own + sizes.label - 1)
    return float(result["read"] + result["generated"])


def _print_checks(results: Results) -> None:
    print()
    ours, tree, plain = (results.get(name) for name in ("ours", "tree", "plain"))
    if ours and tree:
        same = sum(
            one == other for one, other in zip(ours["answers"], tree["answers"], strict=False)
        )
        print(
            f"- best first gives the answer of the whole tree on {same} of {min(ours['rows'], tree['rows'])} rows"
        )
    if tree and plain:
        pairs = list(zip(tree["scores"], plain["scores"], strict=False))
        apart = max(_apart(one, other, forced=tree["forced"]) for one, other in pairs)
        same = sum(
            one == other for one, other in zip(tree["answers"], plain["answers"], strict=False)
        )
        print(
            f"- the tree gives the answer of plain scoring on {same} of {len(pairs)} rows; log-probabilities "
            f"differ by {apart:.1e} at most (goal {GOAL_DIFFERENCE:.0e})"
        )
    for name, one in (("best first", ours), ("the whole tree", tree)):
        if one:
            print(
                f"- peak memory above the loaded weights, {name}: {one['megabytes']:.0f} MB (goal {GOAL_MEGABYTES})"
            )
    others = {name: result for name, result in results.items() if name in PEERS}
    for name, result in others.items():
        if ours:
            pairs = list(zip(ours["answers"], result["answers"], strict=False))
            same = sum(one == other for one, other in pairs)
            print(f"- {name} gives our answer on {same} of {len(pairs)} rows")


def _apart(one: list[float], other: list[float], *, forced: int) -> float:
    """Return the largest difference; what all labels begin with stands in the other's scores only."""
    shift = one[0] - other[0] if forced else 0.0
    return max(abs(a - b - shift) for a, b in zip(one, other, strict=True))


def _versions() -> str:
    tools = ("torch", "transformers", "lm-eval", "xllamacpp")
    named = ", ".join(f"{tool} {importlib.metadata.version(tool)}" for tool in tools)
    processor = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    today = dt.datetime.now(tz=dt.UTC).date()
    return f"{today}, one thread of {processor}, Python {platform.python_version()}, {named}"


if __name__ == "__main__":
    main()
