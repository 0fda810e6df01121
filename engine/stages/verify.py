"""The file that leaves is run as its users will run it, on the same holdout, and judged again.

Three questions: does llama.cpp read every prompt as the same tokens, does the file still meet the
bounds, and how often does it disagree with the merged model. Labels come from constrained decoding;
`valid_output` from free decoding, since a constrained answer is always valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.data.example import Example, read_examples
from engine.evidence import Check, Metric, Status, Verdict, to_json
from engine.exporters.base import gguf_name
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.metrics.scoring import agreement, named_metrics, score
from engine.metrics.verdict import judge_drops, judge_thresholds, verdict
from engine.recipe.model import Recipe
from engine.recipe.prompt import answer_text, messages, parse_answer
from engine.stages.base import Payload, StageContext

NAME = "verify"
REVISION = 2
NEEDS = ("holdout", "merge", "quantize")
AFTER: tuple[str, ...] = ()
TOOLS = ("inferna",)
USES_SOURCES = False
USES_BASE_MODEL = False
USES_DEVICE = True

RESULT = "verify.json"
QUANTIZED = "quantized"
FACTS = "facts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What one model said on the holdout."""

    chosen: list[Prediction]
    free: list[Prediction]
    facts: Mapping[str, Any]


def recipe_slice(recipe: Recipe) -> Payload:
    """Return the task, the export with its bounds, how bounds are decided, and the precision."""
    return {
        "task": recipe.task,
        "export": recipe.export,
        "confidence": recipe.acceptance.confidence,
        "decide_on": recipe.acceptance.decide_on,
        "precision": recipe.backend.precision,
        "seed": recipe.method.seed,
    }


def run(context: StageContext) -> None:
    """Write `verify.json` and the predictions it stands on. StageError X640, X641."""
    examples = read_examples(context.artifacts["holdout"].file("holdout.jsonl"))
    merged = _merged(context, examples)
    quantized = _quantized(context, examples) if context.recipe.export.has_quantized_file else None
    result = _judge(context.recipe, merged, quantized)
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    (context.workdir / RESULT).write_text(f"{text}\n", encoding="utf-8")
    write_predictions(context.workdir / "predictions.merged.jsonl", merged.chosen)
    if quantized is not None:
        write_predictions(context.workdir / "predictions.quantized.jsonl", quantized.chosen)
        write_predictions(context.workdir / "predictions.quantized_free.jsonl", quantized.free)


def _judge(recipe: Recipe, merged: _Said, quantized: _Said | None) -> dict[str, Any]:
    task, confidence = recipe.task, recipe.acceptance.confidence
    seed = recipe.method.seed
    scores = {"merged": score(merged.chosen, task, confidence=confidence, seed=seed)}
    if quantized is None:
        checks = [_reloads(merged.chosen)]
        return {
            "verdict": to_json(verdict(checks)),
            "agreement": None,
            "scores": {**_json(scores), QUANTIZED: None},
            "flips": [],
            "token_parity": None,
        }
    scores[QUANTIZED] = score(quantized.chosen, task, confidence=confidence, seed=seed)
    free = score(quantized.free, task, confidence=confidence, seed=seed)
    same = agreement(merged.chosen, quantized.chosen, confidence=confidence)
    metrics = {**named_metrics(scores[QUANTIZED], free=free), "agreement": same}
    answer = _verdict(recipe, merged, quantized, metrics)
    return {
        "verdict": to_json(answer),
        "agreement": same.value,
        "scores": _json(scores),
        "free": to_json(free),
        "flips": _flips(merged.chosen, quantized.chosen),
        "token_parity": quantized.facts["token_parity"],
        "llama_cpp": quantized.facts["version"],
    }


def _verdict(
    recipe: Recipe, merged: _Said, quantized: _Said, metrics: Mapping[str, Metric]
) -> Verdict:
    drops = [drop for drop in recipe.export.max_drops if drop.metric != "valid_output"]
    free_drops = [drop for drop in recipe.export.max_drops if drop.metric == "valid_output"]
    judge = partial(
        judge_drops,
        task=recipe.task,
        confidence=recipe.acceptance.confidence,
        seed=recipe.method.seed,
    )
    return verdict(
        [
            _parity_check(quantized.facts["token_parity"]),
            *_prompt_check(quantized.facts["other_prompts"], len(quantized.chosen)),
            *judge(drops, merged=merged.chosen, quantized=quantized.chosen),
            *judge(free_drops, merged=merged.free, quantized=quantized.free),
            *judge_thresholds(
                recipe.export.thresholds, metrics, decide_on=recipe.acceptance.decide_on
            ),
        ]
    )


def _parity_check(parity: Mapping[str, Any]) -> Check:
    same, of, first = parity["same"], parity["of"], parity["first_different"]
    note = "prompts that llama.cpp and transformers read as the same tokens"
    return Check(
        name="token_parity",
        status=Status.PASS if same == of and of > 0 else Status.FAIL,
        got=same / of if of else None,
        direction="min",
        bound=1.0,
        decided_on="point",
        n=of,
        note=note if first is None else f"{note}; the first that differs is row {first}",
    )


def _prompt_check(others: int, rows: int) -> list[Check]:
    """Return a warning when `task.json` asks other than training did, for `recipe try` relies on it."""
    if not others:
        return []
    return [
        Check(
            name="task_file",
            status=Status.WARN,
            got=(rows - others) / rows,
            direction="min",
            bound=1.0,
            decided_on="point",
            n=rows,
            note=f"task.json asks {others} holdout rows in other words than training did",
        )
    ]


def _reloads(chosen: Sequence[Prediction]) -> Check:
    """Check a model that leaves without a quantized file: loaded from its folder, it answers every row."""
    answered = sum(prediction.label is not None for prediction in chosen)
    return Check(
        name="reload",
        status=Status.PASS if chosen and answered == len(chosen) else Status.FAIL,
        got=answered / len(chosen) if chosen else None,
        direction="min",
        bound=1.0,
        decided_on="point",
        n=len(chosen),
        note="rows the exported folder answers after loading; no quantized file was asked for",
    )


def _flips(merged: Sequence[Prediction], quantized: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "target": one.target, "merged": one.label, "quantized": two.label}
        for one, two in zip(merged, quantized, strict=True)
        if one.label != two.label
    ]


def _json(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json(value) for name, value in scores.items()}


def _merged(context: StageContext, examples: Sequence[Example]) -> _Said:
    """Return what the merged model says; free decoding only where a bound asks for it."""
    with_free = any(drop.metric == "valid_output" for drop in context.recipe.export.max_drops)
    precision = context.device.precision(context.recipe.backend.precision)
    payload = {
        "model": context.inputs["merge"],
        "device": context.device.kind,
        "precision": precision,
        "free": with_free,
    }

    def build(folder: Path) -> None:
        from engine.runtime.choosing import choose  # noqa: PLC0415 - brings torch
        from engine.runtime.models import load_model  # noqa: PLC0415 - the same
        from engine.runtime.predict import generate  # noqa: PLC0415 - the same
        from engine.runtime.task_file import make_task_file  # noqa: PLC0415 - the same

        model = context.artifacts["merge"].file("model")
        loaded = load_model(model, device=context.device, precision=precision)
        task = make_task_file(context.recipe.task, loaded.chat)
        prompts = [
            loaded.chat.prompt(messages(context.recipe.task, example.input)) for example in examples
        ]
        choices = choose(loaded, prompts, task.answers, progress=context.progress)
        asked = prompts if with_free else []
        most = task.max_new_tokens
        said = generate(loaded, asked, max_new_tokens=most, progress=context.progress)
        texts = [one.text for one in said]
        _write(context.recipe, folder, examples, choices=choices, texts=texts, facts={})

    return _read(context, "merged", payload, build)


def _quantized(context: StageContext, examples: Sequence[Example]) -> _Said:
    """Return what the quantized file says, run by llama.cpp."""
    name = gguf_name(context.recipe.export.quantizations[0])
    artifact = context.artifacts["quantize"]
    described = json.loads(artifact.file("export.json").read_text(encoding="utf-8"))
    digest = next(item["sha256"] for item in described if item["name"] == name)

    def build(folder: Path) -> None:
        from engine.runtime.chat import load_chat  # noqa: PLC0415 - brings transformers
        from engine.runtime.llama import choose_gguf  # noqa: PLC0415 - the same
        from engine.runtime.task_file import read_task_file  # noqa: PLC0415 - the same

        task = read_task_file(artifact.path)
        chat = load_chat(context.artifacts["merge"].file("model"))
        asked = [messages(context.recipe.task, example.input) for example in examples]
        prompts = [chat.prompt(turns) for turns in asked]
        said = choose_gguf(
            artifact.file(name),
            prompts,
            task.answers,
            threads=context.device.cores,
            workdir=context.scratch,
            progress=context.progress,
            max_new_tokens=task.max_new_tokens,
        )
        pairs = zip(examples, prompts, said.token_ids, strict=True)
        different = [example.id for example, prompt, ids in pairs if chat.token_ids(prompt) != ids]
        facts = {
            "version": said.version,
            "token_parity": {
                "same": len(examples) - len(different),
                "of": len(examples),
                "first_different": different[0] if different else None,
            },
            "other_prompts": sum(
                task.prompt(example.input) != prompt
                for example, prompt in zip(examples, prompts, strict=True)
            ),
        }
        _write(
            context.recipe,
            folder,
            examples,
            choices=said.choices,
            texts=said.texts,
            facts=facts,
        )

    return _read(context, QUANTIZED, {"file": digest}, build)


def _read(
    context: StageContext, name: str, payload: Payload, build: Callable[[Path], None]
) -> _Said:
    """Return predictions, made at most once for this model, holdout and task."""
    made = context.once(
        "predictions",
        {
            "of": name,
            "revision": REVISION,
            "holdout": context.inputs["holdout"],
            "task": asdict(context.recipe.task),
            **payload,
        },
        build,
    )
    return _Said(
        chosen=read_predictions(made.file("chosen.jsonl")),
        free=read_predictions(made.file("free.jsonl")),
        facts=json.loads(made.file(FACTS).read_text(encoding="utf-8")),
    )


def _write(
    recipe: Recipe,
    folder: Path,
    examples: Sequence[Example],
    *,
    choices: Sequence[Any],
    texts: Sequence[str],
    facts: Mapping[str, Any],
) -> None:
    labels, task = recipe.task.labels, recipe.task
    chosen = [
        Prediction(
            id=example.id,
            target=example.target,
            label=labels[choice.index],
            text=answer_text(task, labels[choice.index]),
            probability=choice.probability,
        )
        for example, choice in zip(examples, choices, strict=True)
    ]
    free = [
        Prediction(
            id=example.id,
            target=example.target,
            label=parse_answer(task, text),
            text=text,
            probability=None,
        )
        for example, text in zip(examples, texts, strict=bool(texts))
    ]
    write_predictions(folder / "chosen.jsonl", chosen)
    write_predictions(folder / "free.jsonl", free)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
