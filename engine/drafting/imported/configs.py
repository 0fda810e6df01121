"""Configs of other tools as flat settings: YAML of Axolotl and LLaMA-Factory, an Unsloth script, an OpenAI job."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from engine.drafting.foreign_yaml import load_yaml, usual
from engine.drafting.imported.keys import TABLES, known_keys
from engine.drafting.imported.unstated import NONE_KNOWN, OF_TOOLS, of_script
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_text
from engine.recipe.formats import format_of
from engine.recipe.text.paths import as_typed
from engine.recipe.text.source import MAX_BYTES
from engine.values import dataclass

EXPRESSION: Final = object()
"""A value that a script computes, which is not run to know it."""
CALLS: Final = frozenset(
    {
        "from_pretrained", "get_peft_model", "SFTConfig", "SFTTrainer", "TrainingArguments",
        "UnslothTrainingArguments", "DPOConfig", "DPOTrainer", "ORPOConfig", "ORPOTrainer", "KTOConfig",
        "KTOTrainer", "GRPOConfig", "GRPOTrainer", "LoraConfig", "BitsAndBytesConfig",
    }
)  # fmt: skip
"""Calls of a training script whose arguments are settings."""
NO_TEXT: Final = {
    "UnslothVisionDataCollator": "images", "Audio": "sounds", "WhisperProcessor": "sounds",
    "SentenceTransformerTrainer": "embeddings", "FastSentenceTransformer": "embeddings",
}  # fmt: skip
"""Calls of a script that trains on, or makes, other things than text."""
NO_SETTINGS: Final = (
    "model", "tokenizer", "processing_class", "train_dataset", "pretrained_model_name_or_path",
)  # fmt: skip
"""Arguments that are objects of the script, or are read apart."""
MODALITY: Final = "modality"
CALLED: Final = "called"
"""Name of the pairs that hold what a script calls, as it writes it."""
_UNPARSABLE: Final = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises of a script that is none, or nested too deep."""


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
        # A notebook holds pictures too; only its code counts.
        text = read_text(path) if path.suffix == ".ipynb" else read_text(path, limit=MAX_BYTES)
        if path.suffix in (".py", ".ipynb"):
            is_notebook = path.suffix == ".ipynb"
            found = [*(_of_notebook(parse_json(text)) if is_notebook else _of_script(text))]
            calls = {str(value) for name, value in found if name == CALLED}
            return Config(
                tool="unsloth",
                path=path,
                settings=usual(_first(pair for pair in found if pair[0] != CALLED)),
                unstated=of_script(calls),
            )
        value = parse_json(text) if path.suffix == ".json" else load_yaml(text, most=MAX_BYTES)
        if not isinstance(value, Mapping):
            raise _unknown(path, "it is no mapping of keys")
        settings = usual({str(key): one for key, one in value.items()})
    except OSError as error:
        raise _unknown(path, (error.strerror or str(error)).lower()) from error
    except (yaml.YAMLError, *_UNPARSABLE) as error:
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


def _first(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the first value of each name that is known without running the script.

    Most notebooks load what they have trained again, further down: that is another model.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.get(name, EXPRESSION) is EXPRESSION:
            found[name] = value
    return found


def _unknown(path: Path, why: str) -> RecipeError:
    is_rows = format_of(path.name) not in (None, "json", "lines") and path.is_file()
    return RecipeError.one(
        "R425",
        f"`{path.name}` is no config that can be imported: {why}",
        hint=f"it may hold rows: recipe init {as_typed(path)}"
        if is_rows
        else "name an Axolotl or LLaMA-Factory YAML, a training script or notebook, or a job of OpenAI as JSON",
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


def _of_notebook(value: Any) -> Iterator[tuple[str, Any]]:
    cells = value.get("cells") if isinstance(value, Mapping) else None
    left = MAX_BYTES
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, Mapping) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        left -= len(text)
        if left < 0:
            raise ValueError(f"its code is longer than {MAX_BYTES:,} characters")
        # Lines of the notebook itself, such as `!pip install` and `%%capture`, are no Python.
        lines = [line for line in text.split("\n") if not line.lstrip().startswith(("!", "%"))]
        try:
            yield from _of_script("\n".join(lines))
        except _UNPARSABLE:
            continue


def _of_script(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the keyword arguments of the calls that say how a model is trained, and the data set that is loaded."""
    # Warnings would quote the script on the terminal.
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(text)
    names = {
        target.id: node.value
        for node in ast.walk(tree) if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if called in NO_TEXT:
            yield MODALITY, NO_TEXT[called]
        if called == "load_dataset":
            yield (
                "load_dataset",
                [_value(one, names) for one in node.args]
                + [{one.arg: _value(one.value, names) for one in node.keywords if one.arg}],
            )
        if called in CALLS:
            yield CALLED, ast.unparse(node.func)
            yield from _settings_of(node, called, names)


def _settings_of(
    node: ast.Call, called: str, names: Mapping[str, ast.expr]
) -> Iterator[tuple[str, Any]]:
    """Yield the keyword arguments of one call, and the model that it loads or trains."""
    if called.endswith("Trainer"):
        yield "trainer", called
    if isinstance(model := _model_in(node, called, names), str):
        yield "model_name", model
    for one in node.keywords:
        # What is a call itself stands beside this one with its own keywords.
        if one.arg and one.arg not in NO_SETTINGS and not _calls(one.value, names):
            yield one.arg, _value(one.value, names)


def _model_in(node: ast.Call, called: str, names: Mapping[str, ast.expr]) -> Any:
    """Return the model that stands first in a call, or as `model` of a trainer; None where none does."""
    of = node.func.value if isinstance(node.func, ast.Attribute) else None
    if called == "from_pretrained":
        if re.search(r"Tokenizer|Processor|Config", getattr(of, "id", "")):
            return None
        named = [one.value for one in node.keywords if one.arg == "pretrained_model_name_or_path"]
    elif called.endswith("Trainer"):
        named = [one.value for one in node.keywords if one.arg == "model"]
    else:
        return None
    return next((_value(one, names) for one in (*node.args[:1], *named)), None)


def _calls(node: ast.expr, names: Mapping[str, ast.expr]) -> bool:
    """Whether a value is one of the calls whose arguments are settings."""
    node = names.get(node.id, node) if isinstance(node, ast.Name) else node
    func = node.func if isinstance(node, ast.Call) else None
    called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return called in CALLS


def _value(node: ast.expr, names: Mapping[str, ast.expr]) -> Any:
    """Return a literal, or a product of two, each through one name; `EXPRESSION` for what running it would tell."""
    if isinstance(node, ast.Name) and node.id in names:
        node = names[node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        # `lora_alpha=2 * rank`, as many scripts write it.
        sides = [
            _literal(names.get(getattr(one, "id", ""), one)) for one in (node.left, node.right)
        ]
        is_known = all(type(side) in (int, float) for side in sides)
        return sides[0] * sides[1] if is_known else EXPRESSION
    return _literal(node)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (TypeError, *_UNPARSABLE):
        return EXPRESSION


__all__ = ["EXPRESSION", "TABLES", "Config", "read_config"]
