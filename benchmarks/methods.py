"""Floors for single methods, each shown by one command: what was asked for, what was measured.

    python benchmarks/methods.py scratch      # tinyshakespeare below the primed compressor, twice the same bytes
    python benchmarks/methods.py packing      # short documents, packed and not
    python benchmarks/methods.py preference   # DPO on shell commands, and the same at twenty times the rate
    python benchmarks/methods.py replay       # general text after training on another kind, with and without replay
    python benchmarks/methods.py student      # the model with fewer layers that ways.py left, as a GGUF file

Each writes its recipes into a work folder and runs them there with the engine; what is there already is not run again
unless the recipe has changed. Data are read below `--data`, as for `results.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import results  # noqa: E402 - it imports the engine
from results_cases import DATA, quickstart_base  # noqa: E402 - the same
from results_rows import Row, Sources, nl2bash  # noqa: E402 - the same
from ways_recipes import FEWER, MODELS, TEACHER  # noqa: E402 - the same
from ways_table import last_run, stages_of  # noqa: E402 - the same

from engine import load_report  # noqa: E402 - the same
from engine.evidence import Metric, Report  # noqa: E402 - the same
from engine.files.digests import sha256_of  # noqa: E402 - the same
from engine.inference.replay import PRODUCT  # noqa: E402 - the same
from engine.metrics.predictions import Judging, Prediction, read_predictions  # noqa: E402 - the same
from engine.metrics.resampling import paired_difference  # noqa: E402 - the same
from engine.recipe import load_recipe  # noqa: E402 - the same
from engine.runtime.gguf.convert import find_tools, write_gguf  # noqa: E402 - the same
from engine.store import Store  # noqa: E402 - the same

SEED: Final = 7
ENDED: Final = ("accepted", "refused", "inconclusive")
COMPRESSOR: Final = 2.516
"""Bits a byte of the last tenth of tinyshakespeare, by xz that has read the rest."""
MINUTES: Final = 5
MOST_RISE: Final = 0.195
"""Bits a byte that general text may cost more after training: between what was measured without replay and with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where the runs of a method stand, and what runs them."""

    folder: Path
    sources: Sources
    command: results.Command
    backend: str = "trl"
    part: float = 1.0
    """Of the rows and tokens that a method is measured with."""

    def some(self, count: int) -> int:
        """Return how many of `count` rows or tokens are used."""
        return max(4, round(count * self.part))

    def rows(self, name: str, rows: Sequence[Row]) -> dict[str, str]:
        """Write rows into a file, and return it as a source of a recipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / name).write_text(text, encoding="utf-8")
        return {"path": name}

    def run(self, name: str, recipe: Mapping[str, Any], *, store: str = "store") -> Report:
        """Run a recipe unless this very one was run to its end. SystemExit with what the engine output."""
        common = {"recipe": "v1", "name": name, "backend": {"name": self.backend}}
        text = yaml.safe_dump({**common, **recipe}, sort_keys=False, allow_unicode=True)
        path, root = self.folder / f"{name}.yaml", self.folder / store
        last = last_run(root, name)
        is_same = path.is_file() and path.read_text("utf-8") == text
        if last is None or not is_same or results.outcome_of(last) not in ENDED:
            if not is_same:
                for lock in self.folder.glob(f"{name}.lock*"):
                    lock.unlink()
            path.write_text(text, encoding="utf-8")
            last, output = results.run_recipe(self.command, path, root)
            if last is None:
                raise SystemExit(f"{name}: {output}")
        return load_report(last, store=root)

    def weights(self, name: str, *, store: str = "store") -> str:
        """Return the sha256 of the weights that the last run of a recipe left."""
        run = last_run(self.folder / store, name)
        if run is None:
            raise SystemExit(f"{name}: no run in {self.folder / store}")
        return sha256_of(run / "model" / "model.safetensors")


def scratch(bench: Bench) -> Iterator[str]:
    """Train a blank model on tinyshakespeare, twice in stores of their own."""
    source = bench.rows("shakespeare.jsonl", _chunks(bench.sources))
    recipe = {
        "task": {"kind": "text"},
        "base_model": {
            "scratch": {
                "layers": 6,
                "width": 192,
                "heads": 6,
                "context": 128,
                "seed": SEED,
                "tokenizer": {"train": "byte_pairs", "size": 512},
            }
        },
        "data": {"sources": [source], "checks": {"leakage": "warn", "near_duplicates": "off"}},
        "splits": {"by": "files_order", "train": "all", "validation": 0.01, "holdout": 0.1},
        "method": {
            "kind": "full",
            "packing": True,
            "tokens": bench.some(960_000),
            "learning_rate": 2e-3,
            "batch_size": 8,
            "max_length": 128,
            "seed": SEED,
        },
        "acceptance": {"metrics": {"bits_per_byte": {"max": COMPRESSOR}}},
        "export": {"formats": ["safetensors"]},
    }
    first, second = (bench.run("scratch", recipe, store=store) for store in ("one", "two"))
    for baseline in first.baselines:
        yield f"{baseline.name}: {baseline.scores.metric('bits_per_byte').value:.3f} bits a byte"
    yield f"blank model: {_value(first, 'bits_per_byte')} bits a byte, below {COMPRESSOR} was asked: {first.outcome}"
    yield f"training: {_training(first)}; at most {MINUTES} minutes were asked"
    weights = {bench.weights("scratch", store=store) for store in ("one", "two")}
    same = "the same bytes" if len(weights) == 1 else "OTHER BYTES"
    yield f"trained twice: {same}, {_value(second, 'bits_per_byte')} bits a byte"


def packing(bench: Bench) -> Iterator[str]:
    """Train on short documents with as many tokens a step and an epoch: padded, not padded, packed."""
    source = bench.rows("speeches.jsonl", [{"text": text} for text in _speeches(bench.sources)])
    loose = {"packing": False, "batch_size": 26}
    plain = {"name": bench.backend, "overrides": {"attn_implementation": "sdpa"}}
    for name, method, backend in (
        ("padded", loose, plain),
        ("unpacked", loose, {"name": bench.backend}),
        ("packed", {"packing": True, "batch_size": 8}, {"name": bench.backend}),
    ):
        found = bench.run(
            name,
            {
                "task": {"kind": "text"},
                "base_model": quickstart_base(),
                "data": {"sources": [source], "checks": {"leakage": "warn"}},
                "splits": {
                    "by": "random",
                    "train": bench.some(1600),
                    "validation": bench.some(40),
                    "holdout": bench.some(200),
                    "seed": SEED,
                },
                "baselines": [],
                "backend": backend,
                "method": {
                    "kind": "lora",
                    "epochs": 1,
                    "max_length": 128,
                    "seed": SEED,
                    **method,
                },
                "acceptance": {"metrics": {"bits_per_byte": {"max": 8}}},
                "export": {"formats": ["safetensors"]},
            },
        )
        training = found.training
        empty = training.padding if training else None
        share = "not counted" if empty is None else f"{empty:.1%} (at most 5 % was asked)"
        yield f"{name}: {_value(found, 'bits_per_byte')} bits a byte; {_training(found)}; empty: {share}"


def preference(bench: Bench) -> Iterator[str]:
    """Tune on pairs of commands, the wrong one being that of the most similar other request."""
    source = bench.rows("pairs.jsonl", _pairs(bench.sources, 660))
    for name, rate in (("dpo", 5e-5), ("dpo-twenty", 1e-3)):
        found = bench.run(
            name,
            {
                "task": {"kind": "preference", "system": "You answer with one command."},
                "base_model": quickstart_base(),
                "data": {
                    "sources": [source],
                    "checks": {"truncation": "drop", "leakage": "drop", "duplicates": "drop"},
                },
                "splits": {
                    "train": bench.some(300),
                    "validation": bench.some(30),
                    "holdout": bench.some(300),
                    "seed": SEED,
                },
                "baselines": ["longer_answer", "untouched"],
                "stop_if_baseline_passes": False,
                "method": {
                    "kind": "lora",
                    "preference": {"loss": "dpo"},
                    "epochs": 1,
                    "min_steps": 1,
                    "learning_rate": rate,
                    "max_length": 256,
                    "seed": SEED,
                },
                "acceptance": {
                    "metrics": {"preference_accuracy": {"min": 0.5}},
                    "over_baselines": {"preference_accuracy": {"min_gain": 0.0}},
                    "drift": {"chosen_log_probability": {"max_drop": 0.2}},
                },
                "export": {"formats": ["safetensors"]},
            },
        )
        right = _value(found, "preference_accuracy")
        yield f"{name}: learning rate {rate:g}, {right} right; {_training(found)}; {found.outcome}"
        for one in found.baselines:
            yield f"  {one.name}: {one.scores.metric('preference_accuracy').value:.3f} right"
        yield from _comparisons(found)
        yield from _checks(found)


def replay(bench: Bench) -> Iterator[str]:
    """Train on plays in verse, far from general text, with and without the base model's own texts."""
    source = bench.rows("plays.jsonl", _chunks(bench.sources))
    for name, data in (
        ("plain", {}),
        ("replayed", {"replay": {"from": "base_model", "share": 0.1}}),
    ):
        found = bench.run(
            name,
            {
                "task": {"kind": "text"},
                "base_model": quickstart_base(),
                "data": {"sources": [source], "checks": {"leakage": "warn"}, **data},
                "splits": {
                    "by": "random",
                    "train": bench.some(40),
                    "validation": bench.some(5),
                    "holdout": bench.some(20),
                    "seed": SEED,
                },
                "baselines": ["zero_shot"],
                "stop_if_baseline_passes": False,
                "method": {
                    "kind": "full",
                    "packing": True,
                    "epochs": 1,
                    "learning_rate": 5e-4,
                    "batch_size": 4,
                    "max_length": 256,
                    "seed": SEED,
                },
                "acceptance": {
                    "metrics": {"bits_per_byte": {"max": 8}},
                    "forgetting": {
                        "probes": ["builtin"],
                        "max_drop": 0.5,
                        "text": {"bits_per_byte": {"max_rise": MOST_RISE}},
                    },
                },
                "export": {"formats": ["safetensors"]},
            },
        )
        text = found.forgetting.text if found.forgetting else None
        rise = f"{_signed(text.rise)} of {text.documents} documents" if text else "not measured"
        yield f"{name}: {_value(found, 'bits_per_byte')} bits a byte; {_training(found)}; {found.outcome}"
        yield f"  rise on general text: {rise}"
        yield from _checks(found)
    judging = Judging.of(load_recipe(bench.folder / "plain.yaml")[0])
    plain, replayed = (_general_text(bench, name) for name in ("plain", "replayed"))
    apart = paired_difference("bits_per_byte", replayed, plain, judging).metric
    yield f"replayed less plain, by document: {_signed(apart)}"


def _general_text(bench: Bench, name: str) -> list[Prediction]:
    """Return what the last run of a recipe measured of general text with its tuned model."""
    store = Store(bench.folder / "store")
    run = last_run(store.root, name)
    trained = stages_of(run, store)["train"].key if run else ""
    for file in store.root.glob("store/*/*/artifact.json"):
        made = json.loads(file.read_text("utf-8"))
        if made["stage"] == PRODUCT and made["payload"]["payload"]["model"] == trained:
            return read_predictions(store.folder(made["key"]) / "files" / "predictions.jsonl")
    raise SystemExit(f"{name}: its run has no likelihoods of general text")


def student(bench: Bench) -> Iterator[str]:
    """Make GGUF files of the teacher and of the model with fewer layers that `ways.py` left, and ask the second one."""
    ways = bench.folder.parents[1] / "ways"
    recipe = yaml.safe_load((ways / f"{FEWER}.yaml").read_text("utf-8"))
    sizes = {}
    for name in (TEACHER, FEWER):
        file = bench.folder / f"{name}-Q8_0.gguf"
        bench.folder.mkdir(parents=True, exist_ok=True)
        write_gguf(ways / MODELS / name, file, "Q8_0", threads=1, tools=find_tools())
        sizes[name] = file.stat().st_size
        yield f"{name}: {sizes[name] / 1e6:.1f} MB as Q8_0"
    yield f"the student has {sizes[FEWER] / sizes[TEACHER]:.1%} of the teacher's bytes; at most 55 % were asked"
    recipe["export"] = {
        "formats": ["gguf"],
        "quantization": "Q8_0",
        "after_quantization": {"macro_f1": {"max_drop": 0.03}},
    }
    at = replace(bench, folder=ways, backend=recipe["backend"]["name"])
    found = at.run(f"{FEWER}-gguf", {**recipe, "name": f"{FEWER}-gguf"})
    beside = found.against_teacher
    if beside is not None and beside.size_ratio is not None and beside.speed_ratio is not None:
        yield f"parameters: {beside.parameters / 1e6:.1f} M, {beside.size_ratio:.1%} of the teacher's"
        yield f"rows a second: {beside.speed_ratio:.2f} times the teacher's; at least 2 were asked"
    for rung in found.ladder:
        yield f"{rung.name}: macro-F1 {rung.scores.metric('macro_f1').value:.3f}"
    yield from _checks(found)
    for check in found.verify.checks if found.verify else ():
        yield f"  verify {check.name}: {check.got}: {check.status}"


METHODS: Final[Mapping[str, Callable[[Bench], Iterator[str]]]] = {
    "scratch": scratch,
    "packing": packing,
    "preference": preference,
    "replay": replay,
    "student": student,
}


# Rows


def _speeches(sources: Sources) -> list[str]:
    text = sources.open("tinyshakespeare/input.txt").read()
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _chunks(sources: Sources, characters: int = 4000) -> list[Row]:
    """Return the text in order, whole speeches joined up to so many characters."""
    parts: list[str] = []
    for part in _speeches(sources):
        if parts and len(parts[-1]) + len(part) <= characters:
            parts[-1] += f"\n\n{part}"
        else:
            parts.append(part)
    return [{"text": part} for part in parts]


def _pairs(sources: Sources, count: int) -> list[Row]:
    """Return pairs in the order of their digests; commands are drawn from all of the set."""
    rows = sorted(
        {row["text"]: row for row in nl2bash(sources)}.values(),
        key=lambda row: sha256(row["text"].encode()).hexdigest(),
    )
    rejected = _nearest([row["text"] for row in rows], [row["answer"] for row in rows], count)
    return [
        {"prompt": row["text"], "chosen": row["answer"], "rejected": other}
        for row, other in zip(rows[:count], rejected, strict=True)
    ]


def _nearest(texts: Sequence[str], answers: Sequence[str], count: int) -> list[str]:
    """Return for each of the first texts the answer of the most similar other one that has another answer."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(texts)
    scores = (weights[:count] @ weights.T).toarray()
    found = []
    for at, row in enumerate(scores):
        others = (int(place) for place in (-row).argsort() if answers[place] != answers[at])
        found.append(answers[next(others)])
    return found


# Texts


def _value(report: Report, metric: str) -> str:
    if report.holdout is None:
        return "no number"
    found = report.holdout.metric(metric)
    if found.value is None or found.interval is None:
        return "no number"
    return f"{found.value:.4f} ({found.interval.low:.4f} to {found.interval.high:.4f})"


def _signed(found: Metric) -> str:
    if found.value is None or found.interval is None:
        return "no number"
    return f"{found.value:+.4f} ({found.interval.low:+.4f} to {found.interval.high:+.4f})"


def _training(report: Report) -> str:
    found = report.training
    if found is None:
        return "not trained"
    seconds = "" if found.cpu_seconds is None else f", {found.cpu_seconds:.0f} s of processor time"
    return f"{found.steps} steps in {found.seconds:.0f} s{seconds}"


def _comparisons(report: Report) -> Iterator[str]:
    for one in report.comparisons:
        if one.difference is not None and one.interval is not None:
            inside = one.interval
            yield f"  over {one.name}, paired: {one.difference:+.3f} ({inside.low:+.3f} to {inside.high:+.3f})"


def _checks(report: Report) -> Iterator[str]:
    for check in report.gate.checks if report.gate else ():
        got = "no number" if check.got is None else f"{check.got:.4f}"
        yield f"  gate {check.name}: {got}, {check.direction} {check.bound:g}: {check.status}"


def main(words: Sequence[str] | None = None, command: results.Command | None = None) -> int:
    """Run one method and print what it came to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--data", type=Path, default=DATA, help="as in results.py")
    parser.add_argument("--work", type=Path, default=ROOT / ".recipe" / "methods")
    parser.add_argument(
        "--part", type=float, default=1.0, help="of the rows and tokens: quicker, and less sure"
    )
    options = parser.parse_args(words)
    folder = (options.work / options.method).resolve()
    bench = Bench(
        folder=folder,
        sources=Sources(data=options.data, packages=folder / "packages"),
        command=command or results.engine_command,
        part=options.part,
    )
    if options.part != 1:
        sys.stdout.write(f"with {options.part:g} of the rows and tokens\n")
    for line in METHODS[options.method](bench):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
