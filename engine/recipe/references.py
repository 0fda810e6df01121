"""References to models, data sets and probes on the hub, on the disk or in a package."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError, StageError
from engine.recipe.model import (
    Baseline,
    BaseModel,
    Endpoint,
    FewerLayers,
    HubRef,
    NewTokenizer,
    PackageRef,
    PathRef,
    Probe,
    Recipe,
    Reference,
    Scratch,
    Source,
)
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import absolute, format_of

PROBE_KINDS: Final = ("multiple_choice", "cloze", "minimal_pairs")

COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "multiple_choice": (("question", "choices", "answer"),),
    "cloze": (("context", "endings", "answer"), ("contexts", "ending", "answer")),
    "minimal_pairs": (("good", "bad"),),
}
"""By kind, the sets of columns that a row may have."""

USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "query"),
    "choices": ("choices", "options"),
    "answer": ("answer", "gold", "label"),
    "context": ("context", "query"),
    "endings": ("endings", "choices"),
    "contexts": ("contexts", "context_options"),
    "ending": ("ending", "continuation"),
    "good": ("good", "sentence_good"),
    "bad": ("bad", "sentence_bad"),
}
"""Column names that a recipe need not specify in `columns`."""


def parts_of(kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for layout in COLUMNS[kind] for part in layout))


def layout_of(
    kind: str, named: Mapping[str, str], present: Collection[str]
) -> dict[str, str] | None:
    """Return the column of each part, for the first set of columns that is complete; None without one."""
    layouts = ({part: column(part, named, present) for part in layout} for layout in COLUMNS[kind])
    return next((layout for layout in layouts if all(layout.values())), None)


def column(part: str, named: Mapping[str, str], present: Collection[str]) -> str:
    if part in named:
        name = named[part]
        return name if name in present or name.partition(".")[0] in present else ""
    return next((name for name in USUAL[part] if name in present), "")


def probes_of(recipe: Recipe) -> tuple[Probe, ...]:
    forgetting = recipe.acceptance.forgetting
    return () if forgetting is None else forgetting.probes


TEACHER: Final[KeyPath] = ("teacher", "model")
SYNTHESIZE: Final[KeyPath] = ("data", "synthesize")
WRITER: Final[KeyPath] = (*SYNTHESIZE, "teacher")
JUDGE: Final[KeyPath] = (*SYNTHESIZE, "keep", "agreement", "judge")


def asked_models(recipe: Recipe) -> Iterator[tuple[KeyPath, Baseline]]:
    """Yield each model that answers or writes rows, at its key; without a teacher that is one of the baselines."""
    if recipe.teacher is not None and recipe.teacher.model.kind == "model":
        yield TEACHER, recipe.teacher.model
    if (value := recipe.data.synthesize) is not None:
        yield WRITER, value.teacher
        if value.agreement.judge is not None:
            yield JUDGE, value.agreement.judge


# A revision is a full commit: a branch or a tag can move.
_HUB: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[0-9a-f]{40}))?")
_PACKAGE: Final = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)//(?P<file>[^#]+)(#sha256=(?P<sha256>[0-9a-f]{64}))?"
)
MODELS: Final = ("model", "encoder_linear", "encoder_tuned")
TOKENIZER: Final[KeyPath] = ("base_model", "scratch", "tokenizer")
"""Key of a blank model with the tokenizer of another one."""
BLOCK: Final = 32
"""Block of llama.cpp's older quantizations; feed-forward parts are multiples of it."""
STEPS: Final[Mapping[str, int]] = {"every_second": 2, "every_third": 3}
"""Words of `base_model.keep_layers`, with the distance from one kept layer to the next."""
PROBES: Final[KeyPath] = ("acceptance", "forgetting", "probes")
_TEACHER_SOURCES: Final[KeyPath] = ("teacher", "inputs", "sources")
GENERAL_TEXT: Final[KeyPath] = ("acceptance", "forgetting", "text")
REPLAY_SOURCES: Final[KeyPath] = ("data", "replay", "sources")
_EACH: Final = "*"
_NAMED: Final[tuple[tuple[KeyPath, str], ...]] = (
    (("base_model",), "model"),
    (TOKENIZER, "model"),
    *((at, "model") for at in (TEACHER, WRITER, JUDGE)),
    (GENERAL_TEXT, "text"),
    (("data", "sources", _EACH), "data set"),
    *((("baselines", _EACH, kind), "model") for kind in MODELS),
    ((*PROBES, _EACH), "probe"),
    ((*_TEACHER_SOURCES, _EACH), "data set"),
    ((*REPLAY_SOURCES, _EACH), "data set"),
)
"""Keys of models, rows and texts, with what they are; `*` for each item of a list."""
_PLACES: Final = frozenset({"hub", "path", "package", "gguf", "endpoint"})
FORMS: Final = "owner/name@COMMIT, a path, or package==version//file"


def reference(written: Mapping[str, Any], folder: Path) -> Reference:
    if "hub" in written:
        return HubRef(repo=written["hub"], revision=written.get("revision"))
    if "package" in written:
        name, version = written["package"].split("==")
        return PackageRef(
            name=name, version=version, sha256=written.get("sha256"), file=written["file"]
        )
    return PathRef(
        path=absolute(written["path"], folder),
        written=written["path"],
        sha256=written.get("sha256"),
        pattern=written.get("pattern", ""),
    )


def base_model(written: Mapping[str, Any], folder: Path) -> BaseModel:
    if (blank := written.get("scratch")) is not None:
        named = blank["tokenizer"]
        is_new = "train" in named
        tokenizer = NewTokenizer(size=named["size"]) if is_new else reference(named, folder)
        usual = {"kv_heads": blank["heads"], "feed_forward": feed_forward_of(blank["width"])}
        return Scratch(**{**usual, **blank, "tokenizer": tokenizer})
    place, keep = reference(written, folder), written.get("keep_layers")
    if isinstance(keep, Mapping):
        return FewerLayers(of=place, keep_layers=int(keep["first"]))
    keep = tuple(keep) if isinstance(keep, list) else keep
    return place if keep is None else FewerLayers(of=place, keep_layers=keep)


def feed_forward_of(width: int) -> int:
    """Return the usual width of the feed-forward part: 8/3 of the model's, rounded up to blocks of 32."""
    return -(-8 * width // (3 * BLOCK)) * BLOCK


def written_layers(keep: str | int | tuple[int, ...]) -> Any:
    if isinstance(keep, tuple):
        return list(keep)
    return {"first": keep} if isinstance(keep, int) else keep


def layer_numbers(keep: str | int | Sequence[int], count: int) -> list[int]:
    """Return the numbers of the kept layers of `count`; a model may lack some of them."""
    if isinstance(keep, str):
        return list(range(0, count, STEPS[keep]))
    return list(range(keep)) if isinstance(keep, int) else list(keep)


def kept_layers(keep: str | int | Sequence[int], count: int) -> list[int]:
    """Return the numbers of the kept layers of `count`. StageError X741 for a layer that the model lacks."""
    wanted = layer_numbers(keep, count)
    if wanted[-1] >= count:
        raise StageError.one(
            "X741",
            f"the base model has {count} layers, numbered from 0: there is no layer {wanted[-1]}",
            path="base_model.keep_layers",
            hint=f"name layers up to {count - 1}",
        )
    return wanted


def layers_in_words(keep: str | int | tuple[int, ...]) -> str:
    if isinstance(keep, tuple):
        return f"{len(keep)} layers"
    return (
        f"its first {keep} layers" if isinstance(keep, int) else f"{keep.replace('_', ' ')} layer"
    )


def base_reference(base: BaseModel) -> Reference | None:
    """Return the reference to the base model; of a blank one to its tokenizer, None if that is new, too."""
    if isinstance(base, FewerLayers):
        return base.of
    if isinstance(base, Scratch):
        return None if isinstance(base.tokenizer, NewTokenizer) else base.tokenizer
    return base


def has_new_tokenizer(base: BaseModel) -> bool:
    return isinstance(base, Scratch) and isinstance(base.tokenizer, NewTokenizer)


def written_references(
    value: Mapping[str, Any],
) -> Iterator[tuple[KeyPath, Mapping[str, Any], str]]:
    """Yield every reference in a recipe's text, which may be broken: key path, mapping, and what it refers to."""
    for path, what in _NAMED:
        for at, written in _at(value, path):
            if isinstance(written, Mapping) and not _PLACES.isdisjoint(written):
                yield at, written, what


def _at(value: Any, path: KeyPath, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if not path:
        yield at, value
    elif path[0] == _EACH and isinstance(value, list):
        for position, item in enumerate(value):
            yield from _at(item, path[1:], (*at, position))
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:], (*at, path[0]))


def references_of(recipe: Recipe) -> Iterator[tuple[KeyPath, Reference, str]]:
    """Yield every reference of a recipe as `written_references`, and the `gguf` of a model in addition."""
    if (base := base_reference(recipe.base_model)) is not None:
        at = TOKENIZER if isinstance(recipe.base_model, Scratch) else ("base_model",)
        yield at, base, "model"
    for at, source in sources_at(recipe):
        yield at, source.ref, "data set"
    baselines = ((("baselines", at, one.kind), one) for at, one in enumerate(recipe.baselines))
    models: list[tuple[KeyPath, Baseline]] = [*baselines, *asked_models(recipe)]
    for at, model in models:
        if model.ref is not None:
            yield at, model.ref, "model"
        if model.gguf is not None:
            yield at, model.gguf, "gguf"
    forgetting = recipe.acceptance.forgetting
    for number, probe in enumerate(forgetting.probes if forgetting else ()):
        if probe.source is not None:
            yield (*PROBES, number), probe.source.ref, "probe"
    if forgetting and forgetting.text and forgetting.text.source:
        yield GENERAL_TEXT, forgetting.text.source.ref, "text"


def endpoints_of(recipe: Recipe) -> Iterator[tuple[KeyPath, Endpoint]]:
    """Yield every server of a model at the key of the model."""
    baselines = ((("baselines", at, "model"), one) for at, one in enumerate(recipe.baselines))
    models: list[tuple[KeyPath, Baseline]] = [*baselines, *asked_models(recipe)]
    yield from ((at, model.endpoint) for at, model in models if model.endpoint is not None)


def sources_at(recipe: Recipe) -> Iterator[tuple[KeyPath, Source]]:
    """Yield every source at its key: of labelled rows, of rows that a teacher answers, of replayed text."""
    listed: list[tuple[KeyPath, tuple[Source, ...]]] = [(("data", "sources"), recipe.data.sources)]
    if recipe.teacher is not None:
        listed.append((_TEACHER_SOURCES, recipe.teacher.inputs.sources))
    if recipe.data.replay is not None:
        listed.append((REPLAY_SOURCES, recipe.data.replay.sources))
    for path, sources in listed:
        number, pattern = -1, ""
        for source in sources:
            own = source.ref.pattern if isinstance(source.ref, PathRef) else ""
            # A pattern is one item of the recipe's list, and one source for each file.
            number += not own or own != pattern
            pattern = own
            yield (*path, number), source


def named_model(text: str, folder: Path) -> Reference:
    """Return the model that `text` names; a path from `folder` comes before a name of the hub.

    RecipeError R010 for a text of no known form.
    """
    path = absolute(text, folder)
    # Not `Path.exists`, which raises for a name that is too long.
    if text.startswith((".", "/", "~")) or os.path.exists(path):
        return PathRef(path=path, written=text)
    if found := _PACKAGE.fullmatch(text):
        return PackageRef(**found.groupdict())
    if found := _HUB.fullmatch(text):
        return HubRef(repo=found["repo"], revision=found["revision"])
    raise RecipeError.one(
        "R010",
        f"`{text[:200]}` names no model that can be fetched",
        hint=f"name it as {FORMS}; a revision of the hub is the full commit",
    )


def source_format(source: Source, name: str) -> str | None:
    """Return the format of a source with a file of that name; None if it is unknown."""
    # Rows of a hub split were written as Parquet when they were fetched.
    is_hub_split = isinstance(source.ref, HubRef) and not source.hub_file
    return "parquet" if is_hub_split else format_of(name, source.format)
