"""Configs of other tools as flat settings: YAML of Axolotl and LLaMA-Factory, a job of OpenAI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.drafting.foreign_yaml import load_yaml, usual
from engine.drafting.imported.keys import TABLES, known_keys
from engine.drafting.imported.unstated import NONE_KNOWN, OF_TOOLS
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_text
from engine.recipe.formats import format_of
from engine.recipe.text.paths import as_typed
from engine.recipe.text.source import MAX_BYTES
from engine.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one config."""

    tool: str
    path: Path
    settings: Mapping[str, Any]
    unstated: Mapping[str, Any] = NONE_KNOWN
    """What the tool takes for keys that do not stand in it."""


def read_config(path: Path) -> Config:
    """Return the settings of a file; RecipeError R425 where it is a config of none of the tools."""
    try:
        text = read_text(path, limit=MAX_BYTES)
        value = parse_json(text) if path.suffix == ".json" else load_yaml(text, most=MAX_BYTES)
        if not isinstance(value, Mapping):
            raise _unknown(path, "it is no mapping of keys")
        settings = usual({str(key): one for key, one in value.items()})
    except OSError as error:
        raise _unknown(path, (error.strerror or str(error)).lower()) from error
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise _unknown(path, f"it cannot be read: {reason}") from error
    if "recipe" in settings:
        raise _unknown(path, "it is a recipe already")
    jobs = settings.get("data") if settings.get("object") == "list" else None
    if isinstance(jobs, list) and len(jobs) == 1 and isinstance(jobs[0], Mapping):
        settings = usual({str(key): one for key, one in jobs[0].items()})
    elif isinstance(jobs, list):
        raise _unknown(path, f"it lists {len(jobs)} jobs: keep the one that you mean")
    # What is sent to start a job has no `object` yet.
    is_asked = {"model", "training_file"} <= settings.keys()
    if str(settings.get("object", "")).startswith("fine_tuning.job") or is_asked:
        return Config(tool="openai", path=path, settings=_flat_job(settings))
    tool = _tool(settings, path)
    return Config(tool=tool, path=path, settings=settings, unstated=OF_TOOLS[tool])


def _unknown(path: Path, why: str) -> RecipeError:
    is_rows = format_of(path.name) not in (None, "json", "lines") and path.is_file()
    return RecipeError.one(
        "R425",
        f"`{path.name}` is no config that can be imported: {why}",
        hint=f"it may hold rows: recipe init {as_typed(path)}"
        if is_rows
        else "name an Axolotl or LLaMA-Factory YAML, or a job of OpenAI as JSON",
    )


def _tool(settings: Mapping[str, Any], path: Path) -> str:
    """Return the tool whose own names the keys are, by how many of them it knows alone."""
    own = {
        "axolotl": {"base_model", "sequence_len", "datasets", "lora_r", "pretraining_dataset"},
        "llamafactory": {
            *(
                "model_name_or_path",
                "finetuning_type",
                "stage",
                "cutoff_len",
                "lora_rank",
                "template",
            ),
            "train_dataset",
        },
    }
    scores = {
        tool: (len(names & settings.keys()), len(known_keys(tool) & settings.keys()))
        for tool, names in own.items()
    }
    best = max(scores, key=scores.__getitem__)
    if not scores[best][0]:
        raise _unknown(
            path, "none of its keys names a model or data as Axolotl or LLaMA-Factory do"
        )
    return best


def _flat_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's fields with its hyperparameters beside them; `auto` says nothing."""
    method = job.get("method")
    kind = str(method.get("type", "")) if isinstance(method, Mapping) else ""
    inner = method.get(kind) if isinstance(method, Mapping) else None
    found = {**job, **({"type": kind} if kind else {})}
    for part in (job, inner):
        given = part.get("hyperparameters") if isinstance(part, Mapping) else None
        found |= (
            {k: v for k, v in given.items() if v != "auto"} if isinstance(given, Mapping) else {}
        )
    # What stands in these two stands beside them now.
    whole = ("hyperparameters", "method")
    return {k: v for k, v in found.items() if k not in whole and v not in (None, [], {})}


__all__ = ["TABLES", "Config", "read_config"]
