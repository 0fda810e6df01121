"""The public sets of the results page: where their rows are from, and the recipe that asks for a model of them.

One list, `CASES`. Every recipe is written by the same rule (`recipe_of`): what is trained is left to the engine's
defaults, and what must hold does not depend on the set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import results_rows
import yaml
from results_rows import PARTS, SLOTS, Row, Sources

from engine.kinds import KINDS, Decoding
from engine.recipe.baselines import BASELINES
from engine.recipe.metrics import is_lower_better, primary

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
"""Where sets that no package holds are looked for, a folder each."""
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
"""Names the base model."""

WANTED: Final = (
    "majority",
    "tfidf_svm",
    "encoder_linear",
    "encoder_tuned",
    "zero_shot",
    "few_shot",
)
"""Baselines, as far as the installed engine has them and the kind of task can be answered by them."""
QUANTIZATIONS: Final = ("Q4_K_M", "Q8_0")
SEEDS: Final = (1, 2, 3)
"""Those of each set, in the end."""
UNFINISHED: Final = ("failed", "interrupted", "stopped")
"""Outcomes after which a run is tried again: they say nothing of a set."""

GAIN: Final = 0.02
"""What a model must gain over each baseline, in its main metric."""
DROP: Final = 0.03
"""What the exported file may lose of it."""
AGREEMENT: Final = 0.90
FLOOR: Final = 0.05
"""Of kinds without labels, because a recipe must name one absolute bound; with labels it is what guessing gives."""
BITS: Final = 8
"""Bits a byte of text takes without any model."""
CHECKS: Final = {
    "duplicates": "drop",
    "conflicting_labels": "drop",
    "leakage": "drop",
    "truncation": "drop",
    "empty": "drop",
}
SPARE: Final = 1.25
"""Rows written for each row needed: seeds draw differently, and checks leave rows out."""


class Group(StrEnum):
    """What a set was to those who chose the engine's defaults."""

    HELD_APART = "held apart"
    """Its rows had no part in any default."""
    DEVELOPMENT = "development"
    """Defaults were tuned on other rows of it: results use rows whose text has an odd sha256, tuning even ones."""
    TARGET = "target"
    """As in `DEVELOPMENT`, but the recipe asks for a target, as users do, and ends where a baseline reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One set and what is asked of it."""

    name: str
    title: str
    group: Group = Group.HELD_APART
    kind: str = "classification"
    language: str = "English"
    origin: str
    """Repository and commit, or package."""
    read: Callable[[Sources], Iterable[Row]]
    instruction: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of `task`."""
    data: Mapping[str, Any] = field(default_factory=lambda: {"label": {"column": "label"}})
    """How rows become examples: further keys of `data`."""
    splits_by: Any = "stratified"
    sizes: tuple[int, int, int] = (300, 100, 300)
    """Rows to train on, to validate on, and held out."""
    metric: str = ""
    """What the model is judged by, where that is not the main metric of the kind."""
    target: float | None = None
    """The lowest value of it that the user would ship; None for the common rule."""
    note: str = ""

    @property
    def judged_by(self) -> str:
        """The metric that the page shows and the recipe bounds."""
        pattern = str(self.task.get("answer_pattern", ""))
        return self.metric or primary(self.kind, answer_pattern=pattern)

    @property
    def baselines(self) -> list[str]:
        """Those of `WANTED` that this engine has for the kind."""
        return [name for name in WANTED if not self.why_not(name)]

    def why_not(self, baseline: str) -> str:
        """Return why a baseline is not among the recipe's; empty where it is."""
        if baseline not in BASELINES:
            return f"this version of the engine has no baseline `{baseline}`"
        if not KINDS[self.kind].can_be_answered_by(baseline):
            return "this baseline does not answer such tasks"
        return ""

    def labels(self, rows: Iterable[Row]) -> tuple[str, ...]:
        """Return the labels of a task that has some: those of its bins, or those of the rows."""
        label = self.data.get("label")
        if label is None:
            return ()
        if "bins" in label:
            return tuple(label["bins"])
        found = [row[label["column"]] for row in rows]
        return tuple(
            sorted({name for one in found for name in ([one] if isinstance(one, str) else one)})
        )

    def rows(self, sources: Sources) -> list[Row]:
        """Return the rows that results may use, in the order of their digests, a quarter more than are needed.

        FileNotFoundError where the data are absent.
        """
        found = list(self.read(sources))
        allowed = found if self.group is Group.HELD_APART else _odd(found)
        order = sorted({_normal(row["text"]): row for row in allowed}.values(), key=_rank)
        return order[: math.ceil(SPARE * sum(self.sizes))]


def _odd(rows: list[Row]) -> list[Row]:
    """Return the rows whose text has a digest that begins with an odd byte, and no twin among the others."""
    is_odd = [sha256(row["text"].encode()).digest()[0] % 2 == 1 for row in rows]
    even = {_normal(row["text"]) for row, odd in zip(rows, is_odd, strict=True) if not odd}
    return [
        row
        for row, odd in zip(rows, is_odd, strict=True)
        if odd and _normal(row["text"]) not in even
    ]


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _rank(row: Row) -> str:
    return sha256(row["text"].encode()).hexdigest()


def quickstart_base() -> dict[str, Any]:
    """Return the base model of the quickstart, as its recipe names it."""
    base: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text("utf-8"))["base_model"]
    return base


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is the same for all recipes of a run of the benchmark."""

    base: Mapping[str, Any]
    backend: Mapping[str, Any] = field(default_factory=dict)
    """Empty for the engine's default."""
    formats: tuple[str, ...] = ("gguf",)


def recipe_of(
    case: Case,
    *,
    labels: tuple[str, ...],
    rows: Mapping[str, Any],
    seed: int,
    settings: Settings,
    only: str = "",
) -> str:
    """Return the text of a recipe; `rows` is its source.

    Of `method` it says the kind and the seed. Without a target it asks for a gain over every baseline; the absolute
    bound, which a recipe must have, is then one that guessing reaches, and no baseline ends the run before training.

    With `only`, a quantization, it asks for nothing but that absolute bound, so that this file is made and measured
    whatever the verdict was.
    """
    train, validation, holdout = case.sizes
    task = {"kind": case.kind, "instruction": case.instruction, **case.task}
    recipe: dict[str, Any] = {
        "recipe": "v1",
        "name": f"{case.name}-{seed}".replace("_", "-"),
        "description": f"{case.title}.",
        "task": {key: value for key, value in task.items() if value != ""},
        "base_model": dict(settings.base),
        "data": {"sources": [dict(rows)], **case.data, "checks": dict(CHECKS)},
        "splits": {
            "by": case.splits_by,
            "train": train,
            "validation": validation,
            "holdout": holdout,
            "seed": seed,
        },
        "baselines": case.baselines,
        "stop_if_baseline_passes": case.target is not None and not only,
        "method": {"kind": "lora", "seed": seed},
        "acceptance": _acceptance(case, len(labels), is_open=bool(only)),
        "export": {
            "formats": list(settings.formats),
            "quantization": [only] if only else list(QUANTIZATIONS),
            "after_quantization": _kept(case),
        },
    }
    if labels:
        recipe["task"]["labels"] = list(labels)
    if settings.backend:
        recipe["backend"] = dict(settings.backend)
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)


def _acceptance(case: Case, classes: int, *, is_open: bool) -> dict[str, Any]:
    metric = case.judged_by
    if case.target is not None and not is_open:
        return {"metrics": {metric: {"min": case.target}}}
    if is_lower_better(metric, case.kind):
        bound: dict[str, float] = {"max": BITS}
    else:
        bound = {"min": round(1 / classes, 3) if classes else FLOOR}
    gains = {} if is_open else {"over_baselines": {metric: {"min_gain": GAIN}}}
    return {"metrics": {metric: bound}, **gains}


def _kept(case: Case) -> dict[str, Any]:
    kept: dict[str, Any] = {case.judged_by: {"max_drop": DROP}}
    if KINDS[case.kind].decoding is Decoding.LABEL_SCORING:
        # an answer that is written token by token differs from its first tie on, and its score hardly
        kept["agreement"] = {"min": AGREEMENT}
    return kept


def _fields(names: Iterable[str]) -> dict[str, Any]:
    return {
        "schema": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "additionalProperties": False,
        }
    }


_VADER: Final = "package vaderSentiment 3.3.2 (Hutto and Gilbert 2014), MIT"
_EVALS: Final = "package evals 3.0.1.post1 (OpenAI)"
_POLYAI: Final = "PolyAI-LDN/task-specific-datasets at 57ec275, CC BY 4.0"
_SGD: Final = "google-research-datasets/dstc8-schema-guided-dialogue at e852981, dev files 1, 5 and 7, CC BY-SA 4.0"
_SENTIMENT: Final = {
    "label": {
        "column": "rating",
        "bins": {
            "negative": {"max": -0.5},
            "neutral": {"min": -0.4999, "max": 0.4999},
            "positive": {"min": 0.5},
        },
    }
}
_PARARULE: Final = "pararule-plus-multi-step-deductive-reasoning"
_ANSWER: Final = {"answer": {"column": "answer"}}

CASES: Final = (
    Case(
        name="tweets",
        title="Sentiment of tweets",
        origin=_VADER,
        read=results_rows.rated("tweets"),
        instruction="Is the sentiment of this tweet {labels}? Answer with one word.",
        data=_SENTIMENT,
    ),
    Case(
        name="amazon",
        title="Sentiment of sentences of product reviews",
        origin=_VADER,
        read=results_rows.rated("amazonReviewSnippets"),
        instruction="Is the sentiment of this sentence of a product review {labels}? Answer with one word.",
        data=_SENTIMENT,
    ),
    Case(
        name="editorials",
        title="Sentiment of sentences of newspaper editorials",
        origin=_VADER,
        read=results_rows.rated("nytEditorialSnippets"),
        instruction="Is the sentiment of this sentence of an editorial {labels}? Answer with one word.",
        data=_SENTIMENT,
    ),
    Case(
        name="pidgin",
        title="Sentiment of tweets in Nigerian Pidgin",
        language="Nigerian Pidgin",
        origin="hausanlp/NaijaSenti at 0d10f1d, CC BY 4.0",
        read=results_rows.csv_rows(
            ("naijasenti_pcm/train.tsv", "naijasenti_pcm/dev.tsv", "naijasenti_pcm/test.tsv"),
            "tweet",
            "label",
            "\t",
        ),
        instruction="Is the sentiment of this tweet {labels}? Answer with one word.",
        note="a language that the base model was hardly shown",
    ),
    Case(
        name="grammar",
        title="Whether a sentence is grammatical",
        origin="alexwarstadt/blimp at 3e56b06, first 100 pairs of each file, CC BY",
        read=results_rows.blimp,
        instruction="Is this sentence acceptable or unacceptable English?",
    ),
    Case(
        name="likelihood",
        title="Whether an action makes an event more or less likely",
        origin=f"{_EVALS}, crepe, MIT",
        read=results_rows.evals(
            "crepe/samples",
            {name: name for name in ("less likely", "equally likely", "more likely")},
        ),
        instruction="Does the action make the event less likely, equally likely or more likely?",
    ),
    Case(
        name="deduction",
        title="Whether a statement follows from facts and rules",
        origin=f"{_EVALS}, pararule-plus-multi-step-deductive-reasoning, MIT",
        read=results_rows.evals(f"{_PARARULE}/{_PARARULE}", {"true": "true", "false": "false"}),
        instruction="Is the last statement true or false?",
        note="four steps of reasoning",
    ),
    Case(
        name="dialogue_acts",
        title="What a user's turn in a dialogue does",
        kind="multilabel",
        origin=_SGD,
        read=results_rows.dialogue_acts,
        instruction="What does the user do in this turn of a dialogue? Choose from: {labels}.",
        splits_by={"group": "dialogue"},
    ),
    Case(
        name="restaurant8k",
        title="Slots of messages to a restaurant",
        kind="extraction",
        origin=_POLYAI,
        read=results_rows.restaurant8k,
        instruction="Take the message to a restaurant apart.",
        task=_fields(SLOTS),
        data=_ANSWER,
        splits_by="random",
    ),
    Case(
        name="addresses",
        title="Parts of addresses in the United States",
        kind="extraction",
        origin="datamade/usaddress at aa7699b, MIT",
        read=results_rows.us_addresses,
        instruction="Take the address apart into its parts.",
        task=_fields(PARTS),
        data=_ANSWER,
        splits_by="random",
    ),
    Case(
        name="bash",
        title="A shell command for a description",
        kind="generation",
        origin="TellinaTool/nl2bash at 466c5fe, MIT",
        read=results_rows.nl2bash,
        instruction="Write the shell command.",
        task={"max_new_tokens": 64},
        data=_ANSWER,
        splits_by="random",
        sizes=(300, 60, 200),
        metric="exact_match",
        note="a command that is nearly right is wrong",
    ),
    Case(
        name="sql",
        title="A query of a database for a question, of queries never seen",
        kind="generation",
        origin="jkkummerfeld/text2sql-data at 5050bad, advising, CC BY 4.0",
        read=results_rows.text2sql,
        instruction="Write the SQL query.",
        task={"max_new_tokens": 200},
        data=_ANSWER,
        splits_by={"group": "query"},
        sizes=(300, 60, 200),
        metric="exact_match",
        note="no query of the holdout stands in the training rows",
    ),
    Case(
        name="gsm8k",
        title="Arithmetic word problems",
        kind="generation",
        origin="openai/grade-school-math at 3101c7d, MIT",
        read=results_rows.gsm8k,
        instruction="Solve the problem step by step. End with #### and the number.",
        task={"max_new_tokens": 160, "answer_pattern": "#### (-?[0-9.,]+)"},
        data=_ANSWER,
        splits_by="random",
        sizes=(200, 40, 120),
        note="beyond a model of this size",
    ),
    Case(
        name="dialogues",
        title="What the assistant says in dialogues about bookings",
        kind="chat",
        origin=_SGD,
        read=results_rows.dialogues,
        data={},
        splits_by="random",
        sizes=(180, 30, 80),
    ),
    Case(
        name="proposals",
        title="Text of technical proposals",
        kind="text",
        origin="python/peps at ba4deeb, every fourth document, public domain or CC0",
        read=results_rows.peps,
        data={},
        splits_by="random",
        sizes=(90, 15, 60),
    ),
    Case(
        name="banking77",
        title="Intents of messages to a bank, 20 of 77",
        group=Group.DEVELOPMENT,
        origin=_POLYAI,
        read=results_rows.of_labels(
            results_rows.csv_rows(
                ("banking77/train.csv", "banking77/test.csv"), "text", "category"
            ),
            20,
        ),
        instruction="Which intent does this message to a bank have? Answer with one of: {labels}.",
    ),
    Case(
        name="clinc150",
        title="Intents of an assistant, the 30 of travel and work",
        group=Group.DEVELOPMENT,
        origin="clinc/oos-eval at 828f809, CC BY 3.0",
        read=results_rows.clinc150,
        instruction="What does the speaker want? Answer with one of: {labels}.",
    ),
    Case(
        name="snips",
        title="Intents of a voice assistant",
        group=Group.DEVELOPMENT,
        origin="MiuLab/SlotGated-SLU at 61f0307 (sonos/nlu-benchmark, CC0)",
        read=results_rows.snips,
        instruction="What does the speaker want from the assistant? Answer with one of: {labels}.",
    ),
    Case(
        name="headlines",
        title="Satirical headlines",
        group=Group.DEVELOPMENT,
        origin=f"{_EVALS}, sarcasm, MIT",
        read=results_rows.evals("sarcasm/samples", {"0": "serious", "1": "satirical"}),
        instruction="Is this headline serious or satirical?",
    ),
    Case(
        name="sms_spam",
        title="Unwanted text messages",
        group=Group.DEVELOPMENT,
        origin="SMS Spam Collection v.1 (Almeida and Gomez Hidalgo)",
        read=results_rows.sms_spam,
        instruction="Is this text message ham or spam?",
        sizes=(300, 100, 600),
    ),
    Case(
        name="emotions",
        title="Emotions of tweets in Indonesian",
        group=Group.DEVELOPMENT,
        language="Indonesian",
        origin="IndoNLP/indonlu at ce728f6, Apache-2.0",
        read=results_rows.csv_rows(
            ("indonlu_emot_id/train.csv", "indonlu_emot_id/valid.csv", "indonlu_emot_id/test.csv"),
            "tweet",
            "label",
        ),
        instruction="Which emotion does this tweet show? Answer with one of: {labels}.",
        note="a language that the base model was not taught",
    ),
    Case(
        name="movies",
        title="Sentiment of sentences of film reviews",
        group=Group.DEVELOPMENT,
        origin=_VADER,
        read=results_rows.rated("movieReviewSnippets"),
        instruction="Is the sentiment of this sentence of a film review {labels}? Answer with one word.",
        data=_SENTIMENT,
        note="the quickstart was written on it",
    ),
    Case(
        name="spam_filter",
        title="A spam filter of macro-F1 0.85",
        group=Group.TARGET,
        origin="SMS Spam Collection v.1 (Almeida and Gomez Hidalgo)",
        read=results_rows.sms_spam,
        instruction="Is this text message ham or spam?",
        sizes=(300, 100, 600),
        target=0.85,
        note="a linear model suffices",
    ),
)
"""Sets held apart, then those of development, then recipes with a target."""
