"""The settings of another tool as a recipe: every key is taken, or left out with the reason."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.foreign_sources import (
    ON_HUB,
    TOOLS,
    Config,
    columns_of,
    note,
    read_config,
    rows_of,
    sources_of,
    why_left_out,
)
from engine.errors import RecipeError, Severity
from engine.kinds import KINDS
from engine.recipe import check_recipe
from engine.recipe.text.dump import resolved_mapping
from engine.trust.allowed import Allowed

HOLDOUT: Final = 0.2
"""Share of the rows in the holdout: the other tools have no such split."""
VALIDATION: Final = 0.1
NEEDED: Final = ("task.kind", "data.sources", "method.kind", "splits", "data", "method")
"""Keys without which there is no recipe."""


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _positive(value: Any) -> float | None:
    number = _number(value)
    if number is None or not number > 0:
        return None
    return int(number) if number.is_integer() else number


def _modules(value: Any) -> Any:
    if value is True or value in ("all", "all-linear"):
        return "all_linear"
    if isinstance(value, str):
        # A pattern over the names of modules would be matched in another way here.
        names = [one.strip() for one in value.split(",")]
        return names if all(re.fullmatch(r"\w+", name) for name in names) else None
    return list(value) if isinstance(value, list) else None


def _scheduler(value: Any) -> str | None:
    name = str(value).lower().removesuffix("_with_warmup")
    return name if name in ("cosine", "linear", "constant") else None


CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "number": _number,
    "positive": _positive,
    "whole": lambda value: value if isinstance(value, int) else None,
    # Where activations are offloaded to is the backend's choice.
    "flag": lambda value: True if value is True or value in TOOLS["offloaded"] else None,
    "everything": lambda value: "everything" if value is True else None,
    "modules": _modules,
    "scheduler": _scheduler,
}
"""By the column `as` of the table of keys: our value; None where our default says the same, or there is none."""


@dataclass(slots=True, kw_only=True)
class Imported:
    tool: str
    value: dict[str, Any]
    """The recipe."""
    text: str = ""
    """The file of the recipe."""
    taken: dict[str, str] = field(default_factory=dict)
    """Key: ours."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Key: why."""
    unstated: dict[str, str] = field(default_factory=dict)
    """Our key: our default and the tool's, of what the config leaves to the tool, where the two differ."""
    notes: list[str] = field(default_factory=list)

    def put(self, path: str, value: Any) -> None:
        *parents, last = path.split(".")
        node = self.value
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value

    def leave_out(self, key: str, why: str) -> None:
        """Move a key of the config from those taken to those left out."""
        if self.taken.pop(key, None):
            self.left_out[key] = why

    def take_out(self, path: str, why: str) -> bool:
        """Remove a key of the recipe, and name the keys that led to it; False where it is absent or needed."""
        *parents, last = path.split(".")
        node: Any = self.value
        for part in parents:
            node = node.get(part) if isinstance(node, Mapping) else None
        is_there = isinstance(node, Mapping) and last in node
        if not is_there or path in NEEDED or path.split(".", maxsplit=1)[0] == "base_model":
            return False
        del node[last]
        lost = [k for k, ours in self.taken.items() if ours == path or ours.startswith(f"{path}.")]
        for key in lost:
            self.leave_out(key, f"{self.taken[key]}: {why}")
        if not lost:
            self.notes.append(f"{path} is left out: {why}")
        return True


def imported(config: Config, target: Path) -> Imported:
    """Return the recipe of a config, to be written at `target`.

    RecipeError R426 where what the config trains is none of our kinds of training.
    """
    _refuse_other_trainings(config)
    found = config.settings
    name = re.sub(r"[^a-z0-9_-]+", "-", config.path.stem.lower()).strip("-_")[:64] or "imported"
    result = Imported(tool=config.tool, value={"recipe": "v1", "name": name})
    table = {key: row["to"] for row in rows_of(config.tool) for key in row["keys"]}
    for key, value in found.items():
        if key in table and value is not None:
            result.taken[key] = table[key]
        else:
            unset = "it is not set"
            result.left_out[key] = unset if key in table else why_left_out(config.tool, key)
    kind, sources, notes = sources_of(config)
    result.notes += notes
    result.put("task.kind", kind)
    system = found.get("default_system_message") or found.get("default_system")
    if isinstance(system, str):
        result.put("task.system", system)
    _put_base_model(result, config)
    result.put("data.sources", sources)
    for place, value in columns_of(config).items():
        result.put(place, value)
    if "max_samples" in result.taken:
        result.put("data.sample.rows", found["max_samples"])
    _put_splits(result, found)
    _put_method(result, config, kind)
    if metric := KINDS[kind].draft.metric:
        threshold = KINDS[kind].draft.threshold
        result.put(f"acceptance.metrics.{metric}", {"max" if threshold > 1 else "min": threshold})
    _settle(result, config, target)
    return result


def _refuse_other_trainings(config: Config) -> None:
    found, name = config.settings, config.path.name
    asked = str(found.get("stage") or found.get("rl") or "").lower()
    trains = ""
    by_reward = asked in TOOLS["rewards"] or found.get("reward_model") is True
    if by_reward or found.get("process_reward_model"):
        trains = f"by `{asked or 'reward_model'}`, and a recipe learns from rows alone"
    elif any(found.get(key) for key in TOOLS["not text"]):
        trains = "on images or sounds, and a recipe learns from text"
    if trains:
        raise RecipeError.one(
            "R426",
            f"`{name}` trains {trains}",
            hint="docs/how-to/choose-a-task-kind.md lists what a recipe can train",
        )
    rows = ("dataset", "train_dataset", "do_train")
    if config.tool == "llamafactory" and not any(found.get(key) for key in rows):
        raise RecipeError.one(
            "R425",
            f"`{name}` is no config that can be imported: it asks or exports a model and trains none",
            hint="name the config of the training itself, which names its rows under `dataset`",
        )


def _put_base_model(result: Imported, config: Config) -> None:
    found = config.settings
    names = ("base_model", "model_name_or_path", "model")
    name = next((found[n] for n in names if n in result.taken and isinstance(found[n], str)), "")
    revision = str(found.get("revision_of_model") or found.get("model_revision"))
    if name and (not ON_HUB.fullmatch(name) or os.path.exists(config.path.parent / name)):
        result.put("base_model.path", name)
        return
    result.put("base_model.hub", name or "HuggingFaceTB/SmolLM2-360M-Instruct")
    if name and re.fullmatch(r"[0-9a-f]{40}", revision):
        result.put("base_model.revision", revision)
    else:
        result.put("allow_moving", value=True)
        result.notes.append(note("moving" if name else "no model"))


def _put_splits(result: Imported, found: Mapping[str, Any]) -> None:
    """Divide the rows: the share that validated before, and a holdout, which the other tools do not have."""
    if any(source.get("into") == "holdout" for source in result.value["data"]["sources"]):
        result.put("splits", {"by": "files", "validation": 0})
        return
    keys = ("val_set_size", "val_size")
    asked = next((found[k] for k in keys if isinstance(found.get(k), int | float)), VALIDATION)
    if asked >= 1:
        sizes = {"train": "all", "validation": int(asked), "holdout": int(asked)}
    else:
        share = float(asked) if 0 < asked <= 0.4 else VALIDATION
        for key in keys if share != asked else ():
            result.leave_out(key, note("validation", share))
        train = round(1 - share - HOLDOUT, 4)
        sizes = {"train": train, "validation": share, "holdout": HOLDOUT}
    result.put("splits", {"by": "random", **sizes})
    result.notes.append(note("holdout"))


def _put_method(result: Imported, config: Config, kind: str) -> None:
    """Write how it is trained: what a row of the table converts, then what several keys decide together."""
    found = {key: config.settings[key] for key in result.taken}
    rows = {row["to"]: row for row in rows_of(config.tool)}
    other = "finetuning_type" if found.get("finetuning_type") else "adapter"
    adapter = str(found.get(other) or "").lower()
    is_4bit = found.get("load_in_4bit") is True or found.get("quantization_bit") == 4
    # Axolotl without an adapter trains every weight.
    is_full = adapter in ("full", "freeze") or ("base_model" in found and not adapter)
    method = "full" if is_full else "qlora" if is_4bit or adapter == "qlora" else "lora"
    result.put("method.kind", method)
    if str(found.get(other) or "lora") not in TOOLS["methods"]:
        result.leave_out(other, f"no method is `{found[other]}`: method.kind is {method}")
    loss = str(found.get("rl") or found.get("pref_loss") or found.get("stage") or "dpo").lower()
    pref = str(found.get("pref_loss") or "").lower()
    if pref and (kind != "preference" or pref not in TOOLS["losses"]):
        result.leave_out("pref_loss", note("loss"))
    for key, ours in list(result.taken.items()):
        if convert := CONVERSIONS.get(rows[ours].get("as", "")):
            value = convert(found[key])
            if value is not None:
                result.put(ours, value)
            elif found[key]:
                result.leave_out(key, f"{ours} has nothing for `{found[key]}`")
    # Ours is the complete batch: rows of a pass times passes, of which a config may leave one to its tool.
    pair = [rows["method.micro_batch_size"], rows["method.batch_size"]]
    given = [[found[key] for key in row["keys"] if key in found] for row in pair]
    sizes = [one[0] if one else row["unstated"] for one, row in zip(given, pair, strict=True)]
    if any(given) and all(isinstance(one, int) for one in sizes):
        result.put("method.batch_size", sizes[0] * sizes[1])
    _put_steps(result, config.settings)
    if kind == "preference":
        result.put("method.preference.loss", TOOLS["losses"].get(loss, "dpo"))
        betas = (found.get(key) for key in ("rl_beta", "pref_beta"))
        if (beta := next((one for one in betas if isinstance(one, int | float)), None)) is not None:
            result.put("method.preference.beta", beta)
    for precision, keys in TOOLS["precisions"].items():
        if any(found.get(key) is True for key in keys):
            result.put("backend.precision", precision)
            break


def _put_steps(result: Imported, settings: Mapping[str, Any]) -> None:
    """Write what follows of a number of steps, of steps that warm up, and of a rate that stays constant."""
    method = result.value["method"]
    steps = _positive(settings.get("max_steps"))
    if steps is not None:
        # Other tools count no epochs where they are given steps.
        method["min_steps"] = steps
    warm = _number(settings.get("warmup_steps"))
    if warm is not None and "warmup_ratio" not in method and (warm < 1 or steps):
        # Below 1 it is a share already (transformers 5).
        ratio = warm if warm < 1 or steps is None else round(min(warm / steps, 1.0), 4)
        method["warmup_ratio"] = ratio
        del result.left_out["warmup_steps"]
        result.taken["warmup_steps"] = "method.warmup_ratio"
    names = {ours: str(settings[key]).lower() for key, ours in result.taken.items()}
    if names.get("method.scheduler") == "constant":
        # Without warm-up in other tools, whatever their keys say.
        if "warmup_ratio" in method:
            result.take_out("method.warmup_ratio", note("constant"))
        method["warmup_ratio"] = 0.0


def _settle(result: Imported, config: Config, target: Path) -> None:
    """Take out, with its reason, whatever a rule of recipes refuses, until the recipe is valid."""
    # A line break in the name of a file would end the comment and write a line of the recipe.
    name = "".join(one if one.isprintable() else "?" for one in config.path.name)
    head = f"# Imported from {name} ({config.tool}): look at every line. `recipe schema KEY` explains one.\n"
    while True:
        body = yaml.safe_dump(result.value, sort_keys=False, allow_unicode=True, width=110)
        result.text = head + body
        recipe, problems = check_recipe(
            target, read=lambda _: result.text.encode(), given=Allowed(everything=True)
        )
        if recipe is not None:
            result.unstated = _unstated(result, config, resolved_mapping(recipe)["method"])
            return
        errors = [one for one in problems if one.severity is Severity.ERROR]
        if not any(result.take_out((e.path or "").split("[")[0], e.message) for e in errors):
            raise RecipeError.one(
                "R425",
                f"no valid recipe comes of `{config.path.name}`: {errors[0].path}: {errors[0].message}",
                hint=errors[0].hint,
            )


def _unstated(result: Imported, config: Config, method: Mapping[str, Any]) -> dict[str, str]:
    """Return our defaults with those of the tool, where the config sets neither."""
    theirs = {r["to"]: r["unstated"] for r in rows_of(config.tool) if "unstated" in r}
    theirs["method.batch_size"] *= theirs.pop("method.micro_batch_size")
    stated = {f"method.{key}" for key in result.value["method"]}
    stated |= {r["to"] for r in rows_of(config.tool) if config.settings.keys() & set(r["keys"])}
    stated |= {"method.epochs"} if "max_steps" in config.settings else set()
    stated |= {"method.warmup_ratio"} if "warmup_steps" in config.settings else set()
    return {
        path: f"{ours}, where the tool takes {value}"
        for path, value in theirs.items()
        if path not in stated
        and (ours := method.get(path.removeprefix("method."))) is not None
        and ours != value
    }


__all__ = ["Imported", "imported", "read_config"]
