"""Train sound models in many ways and count what is taken for a fault: a false alarm.

    PYTHONPATH=tests python benchmarks/clean_runs.py --runs 100 --seed 1
    PYTHONPATH=tests python benchmarks/clean_runs.py --runs 1 --seed 1 --first 41     # one case again

Twelve tiny architectures in turn (tied, untied, sharded, bf16, grouped heads, sliding windows), each with a kind of
training, options, sizes, rates, rows and seeds that are drawn; every tenth by Axolotl, the others by TRL, in forks of
a process that has imported the libraries. A run goes until `evaluate`: up to there all looks at the base model, the
rows, the trainer and the scores are taken; what GGUF needs of the base model is looked at too. Ends with 1 where one
did not end with 0. Warnings are counted by code.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from survival import prepared, tools

from support import forked_runs
from support.clean_models import MODELS, make_clean_model
from support.project import Outcome, Project, rows, write_project

FOLDER_ONLY: Final = ("gemma2", "phi3")
"""The converter reads these with SentencePiece's own file, which the tiny tokenizer does not have."""
BY_AXOLOTL: Final = 10
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {},
    {"dora": True},
    {"rslora": True, "alpha": 8},
    {"neftune_alpha": 5},
    {"loraplus_lr_ratio": 4},
    {"loss_on": "everything"},
    {"gradient_checkpointing": True},
)
SHOWN: Final = re.compile(r"\b[A-Z]\d{3}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sound run."""

    number: int
    model: str
    backend: str
    method: dict[str, Any]
    rows_seed: int

    def __str__(self) -> str:
        method = ", ".join(f"{key} {value}" for key, value in self.method.items())
        return f"{self.number}: {self.model}, {self.backend}, {method}, rows {self.rows_seed}"


def case_of(number: int, seed: int) -> Case:
    """Draw a case; the same one each time."""
    draw = random.Random(f"{seed} {number}")
    kind = draw.choice(("lora", "lora", "qlora", "full"))
    batch = draw.choice((4, 8, 16))
    method: dict[str, Any] = {
        "kind": kind,
        "epochs": draw.choice((1, 2, 3)),
        "batch_size": batch,
        "micro_batch_size": draw.choice((batch // 2, batch)),
        "learning_rate": draw.choice((5e-4, 2e-3, 5e-3)) / (1 if kind != "full" else 10),
        "evaluations_per_epoch": draw.choice((1, 2)),
        "keep": draw.choice(("best", "last")),
        "seed": draw.randrange(1000),
    }
    if kind == "full":
        method |= {"rank": None, "alpha": None}
    else:
        method |= {"rank": draw.choice((2, 8, 16)), "dropout": draw.choice((0.0, 0.05))}
        method |= {"alpha": 2 * method["rank"], **draw.choice(OPTIONS)}
    rows_seed = draw.randrange(1000)
    # The last one drawn, so that the cases of a seed are otherwise what they were before.
    method["weight_decay"] = draw.choice((0.0, 0.1))
    return Case(
        number=number,
        model=[*MODELS][number % len(MODELS)],
        backend="axolotl" if number % BY_AXOLOTL == BY_AXOLOTL - 1 else "trl",
        method=method,
        rows_seed=rows_seed,
    )


def write_case(case: Case, folder: Path) -> None:
    """Write the project of a case with its model."""
    write_project(folder, folder)
    (folder / "base").unlink()
    make_clean_model(folder / "base", case.model)
    text = "".join(f"{text},{label}\n" for text, label in rows(140, case.rows_seed))
    (folder / "rows.csv").write_text(f"text,label\n{text}", encoding="utf-8")
    formats = ["safetensors"] if case.model in FOLDER_ONLY else ["safetensors", "gguf"]
    Project(folder=folder, run=lambda *_: Outcome(code=0, out="", err="")).edit(
        baselines=["majority", "tfidf_svm"],
        splits__seed=case.rows_seed,
        export={"formats": formats},
        backend={"name": case.backend, "precision": "bf16" if "bf16" in case.model else "fp32"},
        **{f"method__{key}": value for key, value in case.method.items()},
    )


def codes_in(log: str) -> set[str]:
    """Return the codes that a run has shown."""
    return set(SHOWN.findall(log))


def main(words: Sequence[str] | None = None) -> int:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(words)
    shown, refused, began = Counter[str](), 0, time.monotonic()
    with prepared("clean-") as work:
        for number in range(options.first, options.first + options.runs):
            case = case_of(number, options.seed)
            folder = work / "case"
            folder.mkdir()
            write_case(case, folder)
            run = ["run", "recipe.yaml", "--until", "evaluate"]
            code = forked_runs.start(folder, run, setup=tools()).wait()
            log = (folder / "forked.log").read_text(encoding="utf-8")
            shown.update(codes_in(log))
            refused += code != 0
            print(f"{case}: {code} {' '.join(sorted(codes_in(log)))}", flush=True)
            if code:
                print(log, flush=True)
            shutil.rmtree(folder)
    warnings = ", ".join(f"{code} {count}" for code, count in sorted(shown.items()))
    print(f"{options.runs} runs in {time.monotonic() - began:.0f} s: {refused} false alarms")
    print(f"codes that were shown, by runs: {warnings or 'none'}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
