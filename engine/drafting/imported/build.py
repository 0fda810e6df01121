"""The settings of another tool as a recipe: each is taken, or left out with the reason."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.imported.columns import columns_of
from engine.drafting.imported.configs import Config
from engine.drafting.imported.keys import TABLES, why_left_out
from engine.drafting.imported.sources import ON_HUB, sources_of
from engine.errors import RecipeError, Severity
from engine.kinds import KINDS
from engine.recipe import check_recipe
from engine.recipe.model import Recipe
from engine.recipe.text.dump import resolved_mapping
from engine.trust.allowed import Allowed
from engine.values import dataclass

HOLDOUT: Final = 0.2
"""Share of the rows that judges, where the other tool had none: it has no split that only judges."""
VALIDATION: Final = 0.1
MOST_VALIDATION: Final = 0.4
VALIDATED: Final = ("val_set_size", "val_size")
PRECISIONS: Final = (
    *(("bf16", key) for key in ("bf16", "pure_bf16", "bfloat16")),
    *(("fp16", key) for key in ("fp16", "float16")),
)
LOSSES: Final = {
    "dpo": "dpo",
    "sigmoid": "dpo",
    "ipo": "ipo",
    "orpo": "orpo",
    "simpo": "simpo",
    "kto": "kto",
}
BATCH_ROWS: Final = ("micro_batch_size", "per_device_train_batch_size")
BATCH_PASSES: Final = "gradient_accumulation_steps"
METHODS: Final = ("lora", "qlora", "full", "none")
"""What LLaMA-Factory and Axolotl train of a model that a recipe can train too."""


@dataclass(slots=True, kw_only=True)
class Imported:
    """What became of a config."""

    tool: str
    text: str = ""
    taken: list[tuple[str, str]] = field(default_factory=list)
    """(key, ours)."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(key, why)."""
    unstated: list[tuple[str, str]] = field(default_factory=list)
    """(our key, our default beside the tool's) of what the config leaves to the tool, where the two differ."""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A recipe that is being put together."""

    config: Config
    value: dict[str, Any]
    result: Imported

    def put(self, path: str, value: Any) -> None:
        *parents, last = path.split(".")
        node = self.value
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value


def imported(config: Config, target: Path) -> Imported:
    """Return the recipe of a config, to be written at `target`.

    RecipeError R426 where what the config trains is none of our kinds of training.
    """
    result = Imported(tool=config.tool)
    name = re.sub(r"[^a-z0-9_-]+", "-", config.path.stem.lower()).strip("-_")[:64] or "imported"
    draft = _Draft(config=config, value={"recipe": "v1", "name": name}, result=result)
    _refuse_other_trainings(config)
    table = TABLES[config.tool]
    for key, value in config.settings.items():
        ours = table.get(key)
        if ours is None or value is None:
            why = why_left_out(config.tool, key) if ours is None else "it is not set"
            result.left_out.append((key, why))
        else:
            result.taken.append((key, ours))
    _fill(draft)
    recipe = _settle(draft, target)
    result.unstated = _unstated(draft, resolved_mapping(recipe))
    return result


def _refuse_other_trainings(config: Config) -> None:
    found = config.settings
    asked = str(found.get("stage") or found.get("rl") or found.get("type") or "").lower()
    if (
        asked in ("rm", "ppo", "grpo", "gdpo", "ebft", "reinforcement")
        or found.get("reward_model") is True
        or found.get("process_reward_model")
    ):
        raise RecipeError.one(
            "R426",
            f"`{config.path.name}` trains by `{asked or 'reward_model'}`, and a recipe learns from rows alone",
            hint="docs/how-to/choose-a-task-kind.md lists what a recipe can train",
        )
    if modality := _modality(found):
        raise RecipeError.one(
            "R426",
            f"`{config.path.name}` trains on {modality}, and a recipe learns from text",
            hint="docs/how-to/choose-a-task-kind.md lists what a recipe can train",
        )
    rows = ("dataset", "train_dataset", "do_train")
    if config.tool == "llamafactory" and not any(found.get(key) for key in rows):
        raise RecipeError.one(
            "R425",
            f"`{config.path.name}` is no config that can be imported: it asks or exports a model and trains none",
            hint="name the config of the training itself, which names its rows under `dataset`",
        )


def _modality(found: Mapping[str, Any]) -> str:
    """Return what rows of another kind than text a config trains on; empty for text."""
    keys = (
        "processor_type",
        "image_max_pixels",
        "video_max_pixels",
        "image_size",
        "freeze_vision_tower",
    )
    return "images or sounds" if any(found.get(key) for key in keys) else ""


def _fill(draft: _Draft) -> None:
    """Write what the settings come to."""
    found = {key: draft.config.settings[key] for key, _ in draft.result.taken}
    kind, sources, notes = sources_of(draft.config, found)
    draft.result.notes += notes
    draft.value["task"] = {"kind": kind}
    system = found.get("default_system_message") or found.get("default_system")
    if isinstance(system, str):
        draft.value["task"]["system"] = system
    _base_model(draft, found)
    draft.value["data"] = {"sources": sources}
    for place, value in columns_of(draft.config).items():
        draft.put(place, value)
    if "max_samples" in found:
        draft.put("data.sample", {"rows": found["max_samples"]})
    _splits(draft, found)
    _fill_method(draft, found, kind)
    _hosted(draft, found)
    metric = KINDS[kind].draft
    if metric.metric:
        bound = "max" if metric.threshold > 1 else "min"
        draft.put("acceptance.metrics", {metric.metric: {bound: metric.threshold}})


def _fill_method(draft: _Draft, found: Mapping[str, Any], kind: str) -> None:
    """Write how it is trained."""
    kind_of_method = _method_kind(draft.config, found)
    draft.value["method"] = {"kind": kind_of_method}
    if kind_of_method == "qlora" and "method.kind" not in dict(draft.result.taken).values():
        draft.result.notes.append("it loads the model in 4 bits by default: method.kind is qlora")
    lost: list[tuple[str, str]] = []
    if str(other := found.get("finetuning_type") or found.get("adapter") or "lora") not in METHODS:
        key = "finetuning_type" if found.get("finetuning_type") else "adapter"
        lost.append((key, f"no method is `{other}`: method.kind is {kind_of_method}"))
    if (loss := found.get("pref_loss")) and (kind != "preference" or _loss(loss) not in LOSSES):
        lost.append(
            ("pref_loss", "no such loss: method.preference has dpo, ipo, orpo, simpo and kto")
        )
    for key, ours in draft.result.taken:
        simple = SIMPLE.get(ours)
        value = simple(found[key]) if simple is not None else None
        if value is not None:
            draft.put(ours, value)
        elif simple is not None and found[key]:
            lost.append((key, f"{ours} has nothing for `{found[key]}`"))
    draft.result.taken = [one for one in draft.result.taken if one[0] not in dict(lost)]
    draft.result.left_out += lost
    _batches(draft, found)
    _constant_rate(draft, found)
    _steps(draft, found)
    _preference(draft, found, kind)
    _precision(draft, found)


def _hosted(draft: _Draft, found: Mapping[str, Any]) -> None:
    if isinstance(hosted := found.get("fine_tuned_model"), str):
        draft.value["baselines"] = [
            "majority",
            {
                "model": {
                    "name": "hosted",
                    "endpoint": "https://api.openai.com/v1",
                    "model": hosted,
                    "api_key_env": "OPENAI_API_KEY",
                }
            },
        ]
        draft.result.notes.append(
            "the hosted model is a baseline: it is evaluated on the same holdout rows, which are sent to it"
        )


def _base_model(draft: _Draft, found: Mapping[str, Any]) -> None:
    names = ("base_model", "model_name_or_path", "model", "model_name")
    name = next((found[key] for key in names if isinstance(found.get(key), str)), "")
    revision = found.get("revision_of_model") or found.get("model_revision")
    folder = draft.config.path.parent
    if not name:
        draft.value["base_model"] = {"hub": "HuggingFaceTB/SmolLM2-360M-Instruct"}
        draft.value["allow_moving"] = True
        draft.result.notes.append(
            "it names no model that can be trained here: base_model is a small one, choose yours"
        )
    elif ON_HUB.fullmatch(name) and not os.path.exists(folder / name):
        draft.value["base_model"] = {"hub": name}
        if isinstance(revision, str) and re.fullmatch(r"[0-9a-f]{40}", revision):
            draft.value["base_model"]["revision"] = revision
        else:
            draft.value["allow_moving"] = True
            draft.result.notes.append(
                "`recipe pin` writes the commit of what the hub has now; then take allow_moving out"
            )
    else:
        draft.value["base_model"] = {"path": name}


def _splits(draft: _Draft, found: Mapping[str, Any]) -> None:
    """Divide the rows: the share that validated before, and a holdout, which the other tools do not have."""
    asked = next(
        (found[key] for key in VALIDATED if isinstance(found.get(key), int | float)),
        VALIDATION,
    )
    if any(source.get("into") == "holdout" for source in draft.value["data"]["sources"]):
        draft.value["splits"] = {"by": "files", "validation": 0}
        return
    by = "random"
    if asked >= 1:
        draft.value["splits"] = {
            "by": by,
            "train": "all",
            "validation": int(asked),
            "holdout": int(asked),
        }
    else:
        share = float(asked) if 0 < asked <= MOST_VALIDATION else VALIDATION
        if share != asked:
            _leave_out(
                draft,
                VALIDATED,
                f"splits.validation is {share}: rows that steer the training, beside those that judge",
            )
        draft.value["splits"] = {
            "by": by,
            "train": round(1 - share - HOLDOUT, 4),
            "validation": share,
            "holdout": HOLDOUT,
        }
    draft.result.notes.append(
        "splits.holdout is new: rows that only judge, which the config did not hold out"
    )


def _leave_out(draft: _Draft, keys: Sequence[str], why: str) -> None:
    """Name keys that were taken as left out after all."""
    lost = [(key, why) for key, _ in draft.result.taken if key in keys]
    draft.result.taken = [one for one in draft.result.taken if one[0] not in keys]
    draft.result.left_out += lost


def _method_kind(config: Config, found: Mapping[str, Any]) -> str:
    kind = str(found.get("adapter") or found.get("finetuning_type") or "").lower()
    # Axolotl without an adapter trains every weight.
    is_full = kind in ("full", "freeze") or ("base_model" in found and not kind)
    stated = config.settings.keys() & {"load_in_4bit", "load_in_8bit", "load_in_16bit"}
    is_4bit = (
        found.get("load_in_4bit", not stated and config.unstated.get("load_in_4bit")) is True
        or found.get("quantization_bit") == 4
        or kind == "qlora"
    )
    return "full" if is_full else "qlora" if is_4bit else "lora"


def _batches(draft: _Draft, found: Mapping[str, Any]) -> None:
    """Ours is the whole batch: rows of a pass times passes, of which a config may leave one to its tool."""
    if found.keys() & {*BATCH_ROWS, BATCH_PASSES}:
        rows, passes = _batch({**draft.config.unstated, **found})
        if isinstance(rows, int) and isinstance(passes, int):
            draft.put("method.batch_size", rows * passes)


def _batch(found: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the rows of a pass and the passes of a step."""
    rows = next((found[key] for key in BATCH_ROWS if key in found), None)
    return rows, found.get(BATCH_PASSES, 1)


def _steps(draft: _Draft, found: Mapping[str, Any]) -> None:
    """Write that a number of steps is not only the most of them, and which share of it warms up.

    Other tools count no epochs where they are given steps.
    """
    steps = _positive(found.get("max_steps"))
    if steps is not None:
        draft.put("method.min_steps", steps)
    warm = _number(draft.config.settings.get("warmup_steps"))
    if warm is None or "warmup_ratio" in draft.value["method"] or not (warm < 1 or steps):
        return
    # Below 1 it is a share already (transformers 5).
    draft.put("method.warmup_ratio", warm if warm < 1 else round(min(warm / steps, 1.0), 4))
    draft.result.left_out = [one for one in draft.result.left_out if one[0] != "warmup_steps"]
    draft.result.taken.append(("warmup_steps", "method.warmup_ratio"))


def _unstated(draft: _Draft, resolved: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return our defaults beside those of the tool, where the config says neither."""
    config, method = draft.config, resolved["method"]
    table = TABLES[config.tool]
    # What became of other keys, as of the two that make a batch, stands in the draft.
    stated = {table[key] for key in config.settings if key in table}
    stated |= {f"method.{key}" for key in draft.value["method"]}
    stated |= {"method.epochs"} if "max_steps" in config.settings else set()
    stated |= {"method.warmup_ratio"} if "warmup_steps" in config.settings else set()
    theirs = {table[key]: value for key, value in config.unstated.items() if key in table}
    theirs.pop("method.micro_batch_size", None)
    if None not in (batch := _batch(config.unstated)):
        theirs["method.batch_size"] = batch[0] * batch[1]
    return [
        (path, f"{ours}, where the tool takes {value}")
        for path, value in theirs.items()
        if path not in stated
        and (ours := method.get(path.removeprefix("method."))) is not None
        and ours != value
    ]


def _preference(draft: _Draft, found: Mapping[str, Any], kind: str) -> None:
    if kind != "preference":
        return
    asked = str(
        found.get("rl")
        or found.get("pref_loss")
        or found.get("stage")
        or found.get("type")
        or "dpo"
    ).lower()
    loss = LOSSES.get(_loss(asked), "dpo")
    draft.put("method.preference", {"loss": loss})
    beta = next(
        (
            found[key]
            for key in ("rl_beta", "pref_beta", "beta")
            if isinstance(found.get(key), int | float)
        ),
        None,
    )
    if beta is not None:
        draft.put("method.preference.beta", beta)


def _loss(value: object) -> str:
    """Return the name of a loss; TRL takes a list of several too."""
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(one).lower()


def _precision(draft: _Draft, found: Mapping[str, Any]) -> None:
    for name, key in PRECISIONS:
        if found.get(key) is True:
            draft.put("backend.precision", name)
            return


def _positive(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    whole = int(number) if number.is_integer() else number
    return whole if number > 0 else None


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _flag(value: Any) -> bool | None:
    # Where the values between go is the backend's.
    return True if value is True or value in ("unsloth", "offload", "offload_disk") else None


def _modules(value: Any) -> Any:
    if value is True or value in ("all", "all-linear"):
        return "all_linear"
    if isinstance(value, str):
        # A pattern over the names of modules says less than their list, and would be matched otherwise.
        names = [one.strip() for one in value.split(",")]
        return names if all(re.fullmatch(r"\w+", name) for name in names) else None
    return list(value) if isinstance(value, list) else None


def _scheduler(value: Any) -> str | None:
    name = str(value).lower()
    return (
        name
        if name in ("cosine", "linear", "constant")
        else "constant"
        if name == "constant_with_warmup"
        else None
    )


def _constant_rate(draft: _Draft, found: Mapping[str, Any]) -> None:
    """Write that there is no warm-up beside a scheduler that has none in other tools, whatever their keys say."""
    names = {ours: str(found[key]).lower() for key, ours in draft.result.taken}
    if names.get("method.scheduler") != "constant":
        return
    why = "there is no warm-up where the rate is constant"
    if "method.warmup_ratio" in names:
        _name(draft, "method.warmup_ratio", why)
    draft.put("method.warmup_ratio", 0.0)


SIMPLE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "method.learning_rate": _positive,
    "method.weight_decay": _number,
    "method.warmup_ratio": _number,
    "method.max_steps": _positive,
    "method.seed": lambda value: value if isinstance(value, int) else None,
    "method.gradient_checkpointing": _flag,
    "method.loraplus_lr_ratio": _positive,
    "method.neftune_alpha": _positive,
    "method.packing": _flag,
    "method.alpha": _positive,
    "method.dropout": _number,
    "method.rank": _positive,
    "method.micro_batch_size": _positive,
    "method.batch_size": lambda value: value if isinstance(value, int) else None,
    "method.epochs": _positive,
    "method.scheduler": _scheduler,
    "method.rslora": _flag,
    "method.dora": _flag,
    "method.target_modules": _modules,
    "method.max_length": _positive,
    "method.evaluations_per_epoch": _positive,
    "method.early_stopping.patience": _positive,
    "method.loss_on": lambda value: "everything" if value is True else None,
}  # fmt: skip
"""Of each of our keys, the value that another tool's comes to; None where its own default says the same."""


def _settle(draft: _Draft, target: Path) -> Recipe:
    """Take out, with its reason, whatever a rule of recipes refuses, until the recipe is valid."""
    while True:
        draft.result.text = _text(draft)
        recipe, problems = check_recipe(
            target, read=lambda _: draft.result.text.encode(), given=Allowed(everything=True)
        )
        if recipe is not None:
            return recipe
        errors = [one for one in problems if one.severity is Severity.ERROR]
        paths = ((one.path or "").split("[")[0] for one in errors)
        path = next((one for one in paths if one and _can_go(draft, one)), "")
        if not path:
            first = errors[0]
            raise RecipeError.one(
                "R425",
                f"no valid recipe comes of `{draft.config.path.name}`: {first.path}: {first.message}",
                hint=first.hint,
            )
        why = next(one.message for one in errors if (one.path or "").split("[")[0] == path)
        _take_out(draft, path)
        _name(draft, path, why)


def _can_go(draft: _Draft, path: str) -> bool:
    """Whether a key stands in the draft and can be left out of it."""
    *parents, last = path.split(".")
    node: Any = draft.value
    for part in parents:
        node = node.get(part) if isinstance(node, Mapping) else None
    is_there = isinstance(node, Mapping) and last in node
    is_needed = path in ("task.kind", "data.sources", "method.kind", "splits", "data", "method")
    return is_there and not is_needed and parents[:1] != ["base_model"] and path != "base_model"


def _take_out(draft: _Draft, path: str) -> None:
    *parents, last = path.split(".")
    node = draft.value
    for part in parents:
        node = node[part]
    del node[last]


def _name(draft: _Draft, path: str, why: str) -> None:
    """Move the keys that led to a place of ours from those taken to those left out."""
    lost = [
        (key, ours)
        for key, ours in draft.result.taken
        if ours == path or ours.startswith(f"{path}.")
    ]
    draft.result.taken = [one for one in draft.result.taken if one not in lost]
    draft.result.left_out += [(key, f"{ours}: {why}") for key, ours in lost]
    if not lost:
        draft.result.notes.append(f"{path} is left out: {why}")


def _text(draft: _Draft) -> str:
    body = yaml.safe_dump(draft.value, sort_keys=False, allow_unicode=True, width=110)
    # A line break in the name of a file would end the comment and write a line of the recipe.
    name = "".join(one if one.isprintable() else "?" for one in draft.config.path.name)
    head = f"# Imported from {name} ({draft.config.tool}): look at every line."
    return f"{head} `recipe schema KEY` explains one.\n{body}"
