"""The settings of another tool as a recipe: every key is taken, or left out with the reason."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from engine.drafting.tool_config import KNOWN, ON_HUB, TOOLS, Config, DataSet, data_sets, note
from engine.errors import RecipeError, Severity
from engine.files.reading import parse_json
from engine.kinds import KINDS
from engine.recipe import check_recipe
from engine.recipe.text.compose import dumped
from engine.recipe.text.dump import resolved_mapping
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.trust.allowed import Allowed
from engine.values import put

HOLDOUT: Final = 0.2
"""Share of the rows in the holdout: the other tools have no such split."""
VALIDATION: Final = 0.1
NEEDED: Final = re.compile(r"base_model.*|task(\.kind)?|data(\.sources)?|method(\.kind)?|splits.*")
"""Keys without which there is no recipe."""
Settings = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Imported:
    tool: str
    keys: dict[str, Any]
    """The recipe: dotted key, value."""
    text: str = ""
    """The file of the recipe."""
    taken: dict[str, str] = field(default_factory=dict)
    """Key: ours."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Key: why."""
    unstated: dict[str, str] = field(default_factory=dict)
    """Our key: our default and the tool's, of what the config leaves to the tool, where the two differ."""
    notes: list[str] = field(default_factory=list)

    def leave_out(self, key: str, why: str) -> None:
        """Move a key of the config from those taken to those left out."""
        if self.taken.pop(key, None):
            self.left_out[key] = why

    def take_out(self, path: str, why: str) -> bool:
        """Remove a key of the recipe, and name the keys that led to it; False where it is absent or needed."""
        gone = [key for key in self.keys if f"{key}.".startswith(f"{path}.")]
        if not gone or NEEDED.fullmatch(path):
            return False
        for key in gone:
            del self.keys[key]
        lost = [key for key, ours in self.taken.items() if f"{ours}.".startswith(f"{path}.")]
        for key in lost:
            self.leave_out(key, f"{self.taken[key]}: {why}")
        self.notes += [] if lost else [f"{path} is left out: {why}"]
        return True


def _number(value: Any) -> int | float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else number


def _converted(row: Mapping[str, Any], value: Any, settings: Settings) -> Any:
    """Return our value for that of a key, which the schema checks; None where there is none."""
    kind = row.get("as")
    if kind == "number":
        return _number(value)
    if kind == "share of steps" and settings.get("warmup_ratio") is None:
        warm, steps = _number(value), _number(settings.get("max_steps")) or 0
        if warm is not None and warm >= 1:  # below, it is a share already (transformers 5)
            return round(min(warm / steps, 1.0), 4) if steps > 0 else None
        return warm
    if kind == "modules":
        # A pattern over the names of modules would be matched in another way here: the schema refuses it.
        names = re.split(r"\s*,\s*", value.strip()) if isinstance(value, str) else value
        return "all_linear" if value in (True, "all", "all-linear") else names or None
    if kind == "text":
        return value
    return row.get("values", {}).get(str(value).lower())


@cache
def rows_of(tool: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of the table of keys that are taken, by the keys of one tool."""
    table = parse_json(schema_text("import-taken.json"))
    return {key: row for row in table for key in (*row.get("both", ()), *row.get(tool, ()))}


def imported(config: Config, target: Path) -> Imported:
    """Return the recipe of a config, to be written at `target`.

    RecipeError R426 where what the config trains is none of our kinds of training.
    """
    for key, fits, why in TOOLS["refused"]:
        value = str(config.settings.get(key) or "").lower()
        if re.fullmatch(fits, value):
            raise RecipeError.one(
                "R426",
                f"`{config.path.name}` trains {why.format(key=key, value=value)}",
                hint="docs/how-to/choose-a-task-kind.md lists what a recipe can train",
            )
    result = Imported(tool=config.tool, keys={})
    sets = list(data_sets(config, result.notes))
    kind = _kind_of(config, sets)
    result.keys |= {"task.kind": kind, "method.kind": "lora"}
    if kind == "preference":
        loss = "kto" if config.settings.get("stage") == "kto" else "dpo"
        result.keys["method.preference.loss"] = loss
    for key, value in config.settings.items():
        _take(result, key, value, config.settings)
    _put_base_model(result, config)
    _put_data(result, config, sets)
    _put_splits(result, config)
    _put_method(result, config)
    if metric := KINDS[kind].draft.metric:
        bound = KINDS[kind].draft.threshold
        result.keys[f"acceptance.metrics.{metric}.{'max' if bound > 1 else 'min'}"] = bound
    _settle(result, config, target)
    return result


def _kind_of(config: Config, sets: list[DataSet]) -> str:
    # Of two answers, one is better.
    if config.settings.get("rl") or any(one.keys.get("converter") == "pair" for one in sets):
        return "preference"
    if config.tool == "llamafactory":
        return str(TOOLS["stages"].get(str(config.settings.get("stage")), "chat"))
    trained = [one for one in sets if one.into == "train"]
    if any(one.at.startswith("pretraining") for one in trained):
        return "text"
    types = [one.keys.get("type") for one in trained]
    words = ["custom" if isinstance(one, Mapping) else str(one) for one in types]
    kinds = {next(k for begin, k in TOOLS["types"] if re.match(begin, one)) for one in words}
    # One data set that is text, else one that is a chat, decides for all.
    return next((k for _, k in TOOLS["types"] if k in kinds), "chat")


def _take(result: Imported, key: str, value: Any, settings: Settings) -> None:
    """Put the value of a key where the table of keys says; name the key as taken or left out."""
    row = rows_of(result.tool).get(key)
    if row is None or value is None:
        result.left_out[key] = "it is not set" if row else _why_left_out(result.tool, key)
        return
    ours = result.taken[key] = row["to"]
    converted, choices = _converted(row, value, settings), row.get("values")
    if converted is not None:
        result.keys[ours] = converted
    # Where a row has neither `as` nor `values`, several keys decide together.
    elif value and ("as" in row or (choices and str(value).lower() not in choices)):
        why = row.get("else", "{ours} has nothing for `{value}`")
        result.leave_out(key, why.format(ours=ours, value=value))


def _why_left_out(tool: str, key: str) -> str:
    """Return why a key is not taken, and where ours is."""
    for row in parse_json(schema_text("import-left-out.json")):
        if re.fullmatch("|".join(row["keys"]), key):
            return str(row["why"])
    if key in KNOWN[tool]:
        return "no key of a recipe does this"
    near = nearest(key, KNOWN[tool] | rows_of(tool).keys())
    what = f"did you mean `{near}`?" if near else "look up what it did"
    return f"not a key that is known here: {what}"


def _put_base_model(result: Imported, config: Config) -> None:
    name = config.first("base_model", "model_name_or_path", "model")
    name = name if isinstance(name, str) else ""
    revision = str(config.first("revision_of_model", "model_revision"))
    if name and (not ON_HUB.fullmatch(name) or os.path.exists(config.path.parent / name)):
        result.keys["base_model.path"] = name
        return
    result.keys["base_model.hub"] = name or "HuggingFaceTB/SmolLM2-360M-Instruct"
    if name and re.fullmatch(r"[0-9a-f]{40}", revision):
        result.keys["base_model.revision"] = revision
    else:
        result.keys["allow_moving"] = True
        result.notes.append(note("moving" if name else "no model"))


def _put_data(result: Imported, config: Config, sets: list[DataSet]) -> None:
    is_tested = any(one.into == "holdout" for one in sets)
    sources: list[dict[str, Any]] = []
    for one in sets:
        into = {"into": one.into} if is_tested else {}
        sources += ({**source, **into} for source in one.sources(config.path.parent))
        result.notes += one.notes() if one.at else ()
    if not sources:
        sources = [{"path": "data/rows.jsonl"}]
        result.notes.append(note("no data"))
    result.keys["data.sources"] = sources
    # One recipe reads all its rows by the same columns.
    is_pair = bool(config.settings.get("rl"))
    columns = [one.columns(is_pair=is_pair) for one in sets if one.at and one.into == "train"]
    if columns and all(one == columns[0] for one in columns):
        result.keys |= columns[0]


def _put_splits(result: Imported, config: Config) -> None:
    """Divide the rows: the share that validated before, and a holdout, which the other tools do not have."""
    if any(source.get("into") == "holdout" for source in result.keys["data.sources"]):
        result.keys |= {"splits.by": "files", "splits.validation": 0}
        return
    keys = ("val_set_size", "val_size")
    given = (config.settings.get(key) for key in keys)
    asked = next((one for one in given if isinstance(one, int | float)), VALIDATION)
    sizes: dict[str, Any]
    if asked >= 1:
        sizes = {"train": "all", "validation": int(asked), "holdout": int(asked)}
    else:
        share = float(asked) if 0 < asked <= 0.4 else VALIDATION
        for key in keys if share != asked else ():
            result.leave_out(key, note("validation", share))
        train = round(1 - share - HOLDOUT, 4)
        sizes = {"train": train, "validation": share, "holdout": HOLDOUT}
    result.keys |= {f"splits.{name}": one for name, one in {"by": "random", **sizes}.items()}
    result.notes.append(note("holdout"))


def _put_method(result: Imported, config: Config) -> None:
    """Write what several keys of a training decide together."""
    keys = result.keys
    # Axolotl without an adapter trains every weight.
    if config.tool == "axolotl" and not config.settings.get("adapter"):
        keys["method.kind"] = "full"
    # Ours is the complete batch: rows of a pass times passes, of which a config may leave one to its tool.
    rows, passes = keys.get("method.micro_batch_size"), keys.get("method.batch_size")
    if rows or passes:
        usual = TOOLS["unstated"][config.tool]["batch_size"]
        keys["method.batch_size"] = (rows or usual) * (passes or 1)
    if (steps := keys.get("method.max_steps", 0)) > 0:
        # Other tools count no epochs where they are given steps.
        keys["method.min_steps"] = steps
    if keys.get("method.scheduler") == "constant":
        # Without warm-up in other tools, whatever their keys say.
        result.take_out("method.warmup_ratio", note("constant"))
        keys["method.warmup_ratio"] = 0.0


def _settle(result: Imported, config: Config, target: Path) -> None:
    """Take out, with its reason, whatever a rule of recipes refuses, until the recipe is valid."""
    # A line break in the name of a file would end the comment and write a line of the recipe.
    name = "".join(one if one.isprintable() else "?" for one in config.path.name)
    head = f"# Imported from {name} ({config.tool}): look at every line. `recipe schema KEY` explains one.\n"
    stem = re.sub(r"[^a-z0-9_-]+", "-", config.path.stem.lower()).strip("-_")[:64] or "imported"
    while True:
        tree: dict[str, Any] = {"recipe": "v1", "name": stem}
        tree |= {section: {} for section in ("task", "base_model", "data", "splits")}
        for key, value in result.keys.items():
            put(tree, key, value)
        result.text = head + dumped(tree, sort_keys=False, width=110)
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
    rows = rows_of(config.tool)
    stated = {*result.keys, *(rows[key]["to"] for key in config.settings.keys() & rows.keys())}
    stated |= {"method.epochs"} if "max_steps" in config.settings else set()
    usual = TOOLS["unstated"][config.tool].items()
    return {
        key: f"{ours}, where the tool takes {value}"
        for key, ours, value in ((f"method.{name}", method.get(name), one) for name, one in usual)
        if key not in stated and ours is not None and ours != value
    }
