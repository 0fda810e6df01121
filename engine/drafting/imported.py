"""The settings of another tool as a recipe: every key is taken, or left out with the reason."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.tool_config import (
    ON_HUB,
    TOOLS,
    Config,
    Entry,
    columns_of,
    entries_of,
    kind_of,
    note,
    rows_of,
    sources_of,
    why_left_out,
)
from engine.errors import RecipeError, Severity
from engine.kinds import KINDS
from engine.recipe import check_recipe
from engine.recipe.text.dump import resolved_mapping
from engine.trust.allowed import Allowed
from engine.values import put

HOLDOUT: Final = 0.2
"""Share of the rows in the holdout: the other tools have no such split."""
VALIDATION: Final = 0.1
NEEDED: Final = re.compile(r"base_model.*|task(\.kind)?|data(\.sources)?|method(\.kind)?|splits")
"""Keys without which there is no recipe."""


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
        put(self.value, path, value)

    def leave_out(self, key: str, why: str) -> None:
        """Move a key of the config from those taken to those left out."""
        if self.taken.pop(key, None):
            self.left_out[key] = why

    def take_out(self, path: str, why: str) -> bool:
        """Remove a key of the recipe, and name the keys that led to it; False where it is absent or needed."""
        *parents, last = path.split(".")
        node: Any = self.value
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node or NEEDED.fullmatch(path):
            return False
        del node[last]
        lost = [k for k, ours in self.taken.items() if f"{ours}.".startswith(f"{path}.")]
        for key in lost:
            self.leave_out(key, f"{self.taken[key]}: {why}")
        if not lost:
            self.notes.append(f"{path} is left out: {why}")
        return True


def _number(value: Any) -> int | float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
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


CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "number": _number,
    "text": lambda value: value,
    "modules": _modules,
}
"""By the column `as` of the table of keys: our value, which the schema checks; None where there is none."""


def imported(config: Config, target: Path) -> Imported:
    """Return the recipe of a config, to be written at `target`.

    RecipeError R426 where what the config trains is none of our kinds of training.
    """
    asked = str(config.first("stage", "rl") or "").lower()
    trains = ""
    by_reward = asked in TOOLS["rewards"] or config.settings.get("reward_model") is True
    if by_reward or config.first("process_reward_model"):
        trains = f"by `{asked or 'reward_model'}`, and a recipe learns from rows alone"
    elif config.first(*TOOLS["not text"]):
        trains = "on images or sounds, and a recipe learns from text"
    if trains:
        raise RecipeError.one(
            "R426",
            f"`{config.path.name}` trains {trains}",
            hint="docs/how-to/choose-a-task-kind.md lists what a recipe can train",
        )
    name = re.sub(r"[^a-z0-9_-]+", "-", config.path.stem.lower()).strip("-_")[:64] or "imported"
    sections: dict[str, Any] = {section: {} for section in ("task", "base_model", "data", "splits")}
    result = Imported(tool=config.tool, value={"recipe": "v1", "name": name, **sections})
    entries = list(entries_of(config, result.notes))
    kind = kind_of(config, entries)
    result.put("task.kind", kind)
    result.put("method.kind", "lora")
    for key, value in config.settings.items():
        _take(result, key, value)
    _put_base_model(result, config)
    _put_data(result, config, entries)
    _put_splits(result, config)
    _put_method(result, config)
    if kind == "preference":
        preference = result.value["method"].get("preference", {})
        # The loss comes first.
        usual = {"loss": "kto" if config.settings.get("stage") == "kto" else "dpo"}
        result.put("method.preference", {**usual, **preference})
    if metric := KINDS[kind].draft.metric:
        threshold = KINDS[kind].draft.threshold
        result.put(f"acceptance.metrics.{metric}", {"max" if threshold > 1 else "min": threshold})
    _settle(result, config, target)
    return result


def _take(result: Imported, key: str, value: Any) -> None:
    """Put the value of a key where the table of keys says; name the key as taken or left out."""
    row = rows_of(result.tool).get(key)
    if row is None or value is None:
        result.left_out[key] = "it is not set" if row else why_left_out(result.tool, key)
        return
    ours = result.taken[key] = row["to"]
    word = str(value).lower()
    if "values" in row:
        converted, is_known = row["values"].get(word), word in row["values"]
    elif "as" in row:
        converted, is_known = CONVERSIONS[row["as"]](value), False
    else:  # several keys decide together
        return
    if converted is not None:
        result.put(ours, converted)
    elif value and not is_known:
        why = row.get("else", "{ours} has nothing for `{value}`")
        result.leave_out(key, why.format(ours=ours, value=value))


def _put_base_model(result: Imported, config: Config) -> None:
    name = config.first("base_model", "model_name_or_path", "model")
    name = name if isinstance(name, str) else ""
    revision = str(config.first("revision_of_model", "model_revision"))
    if name and (not ON_HUB.fullmatch(name) or os.path.exists(config.path.parent / name)):
        result.value["base_model"] = {"path": name}
        return
    result.value["base_model"] = {"hub": name or "HuggingFaceTB/SmolLM2-360M-Instruct"}
    if name and re.fullmatch(r"[0-9a-f]{40}", revision):
        result.put("base_model.revision", revision)
    else:
        result.put("allow_moving", value=True)
        result.notes.append(note("moving" if name else "no model"))


def _put_data(result: Imported, config: Config, entries: list[Entry]) -> None:
    is_tested = any(entry["into"] == "holdout" for entry in entries)
    sources: list[dict[str, Any]] = []
    for entry in entries:
        into = {"into": entry["into"]} if is_tested else {}
        sources += ({**source, **into} for source in sources_of(entry, config.path.parent))
        kind, at = entry.get("type"), entry.get("at", "")
        if not at:
            continue
        if isinstance(kind, Mapping):
            result.notes += [note("type key", key, at) for key in kind if key not in TOOLS["type"]]
        elif not re.match(TOOLS["known types"], str(kind)):
            result.notes.append(note("type", kind, at))
        own = (*TOOLS["entry"], "at", "into")
        result.notes += [note("entry key", key, at) for key in entry if key not in own]
    if not sources:
        sources = [{"path": "data/rows.jsonl"}]
        result.notes.append(note("no data"))
    result.put("data.sources", sources)
    # One recipe reads all its rows by the same columns.
    is_pair = bool(config.settings.get("rl"))
    columns = [
        columns_of(e, is_pair=is_pair) for e in entries if "at" in e and e["into"] == "train"
    ]
    if columns and all(one == columns[0] for one in columns):
        for place, value in columns[0].items():
            result.put(place, value)


def _put_splits(result: Imported, config: Config) -> None:
    """Divide the rows: the share that validated before, and a holdout, which the other tools do not have."""
    if any(source.get("into") == "holdout" for source in result.value["data"]["sources"]):
        result.put("splits", {"by": "files", "validation": 0})
        return
    keys = ("val_set_size", "val_size")
    asked = next(
        (v for key in keys if isinstance(v := config.settings.get(key), int | float)), VALIDATION
    )
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


def _put_method(result: Imported, config: Config) -> None:
    """Write what several keys of a training decide together."""
    settings, method = config.settings, result.value["method"]
    # Axolotl without an adapter trains every weight.
    if config.tool == "axolotl" and not settings.get("adapter"):
        method["kind"] = "full"
    # Ours is the complete batch: rows of a pass times passes, of which a config may leave one to its tool.
    rows, passes = method.get("micro_batch_size"), method.get("batch_size")
    if rows or passes:
        usual = TOOLS["unstated"][config.tool]["batch_size"]
        method["batch_size"] = (rows or usual) * (passes or 1)
    steps = method.get("max_steps", 0)
    if steps > 0:
        # Other tools count no epochs where they are given steps.
        method["min_steps"] = steps
    warm = _number(settings.get("warmup_steps"))
    if warm is not None and "warmup_ratio" not in method and (warm < 1 or steps > 0):
        # Below 1 it is a share already (transformers 5).
        method["warmup_ratio"] = warm if warm < 1 else round(min(warm / steps, 1.0), 4)
        del result.left_out["warmup_steps"]
        result.taken["warmup_steps"] = "method.warmup_ratio"
    if method.get("scheduler") == "constant":
        # Without warm-up in other tools, whatever their keys say.
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
            result.unstated = _differing(result, config, resolved_mapping(recipe)["method"])
            return
        errors = [one for one in problems if one.severity is Severity.ERROR]
        if not any(result.take_out((e.path or "").split("[")[0], e.message) for e in errors):
            raise RecipeError.one(
                "R425",
                f"no valid recipe comes of `{config.path.name}`: {errors[0].path}: {errors[0].message}",
                hint=errors[0].hint,
            )


def _differing(result: Imported, config: Config, method: Mapping[str, Any]) -> dict[str, str]:
    """Return our defaults with those of the tool, where the config sets neither."""
    stated, rows = {*result.value["method"]}, rows_of(config.tool)
    stated |= {
        rows[key]["to"].removeprefix("method.") for key in config.settings.keys() & rows.keys()
    }
    stated |= {"epochs"} if "max_steps" in config.settings else set()
    stated |= {"warmup_ratio"} if "warmup_steps" in config.settings else set()
    return {
        f"method.{name}": f"{ours}, where the tool takes {value}"
        for name, value in TOOLS["unstated"][config.tool].items()
        if name not in stated and (ours := method.get(name)) is not None and ours != value
    }
