"""Every way to train, and which backends train it: the one table, which a page of the docs shows and the suites try."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from engine.backends import BACKENDS, load_backend
from engine.backends.base import CompileInputs, Launch
from engine.data.examples.example import Example, content_id
from engine.environment import Device
from engine.errors import Severity
from engine.recipe.model import NewTokenizer, PathRef, Recipe, Replay, Scheduler, Scratch
from engine.runtime.models.start import write_blank_model, write_byte_pairs, write_fewer_layers
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.rendered_files import write_packed, write_rows
from engine.runtime.rendering.renderer import RenderedRow
from engine.runtime.rendering.segments import Segment
from engine.values import replace
from support.launches import CPU, RecordedProgress, make_launch, make_recipe
from support.method_options import OPTIONS
from support.preferences import LOSSES, preference_launch, preference_recipe
from support.rendered import render_rows
from support.tasks import task

ALL: Final = frozenset({"axolotl", "trl", "unsloth"})
BOTH: Final = frozenset({"axolotl", "trl"})
COMPILED: Final = "nanotron"
"""Compiles for another program, and trains nothing here."""
BLANK: Final = Scratch(
    layers=2, width=32, heads=2, kv_heads=2, feed_forward=64, context=128, seed=7,
    tokenizer=NewTokenizer(size=280),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to train."""

    keys: str
    """As the docs name it."""
    method: Mapping[str, Any] = field(default_factory=dict)
    rows: Literal["answers", "texts", "preferences"] = "answers"
    start: Literal["whole", "blank", "fewer layers"] = "whole"
    replays: bool = False
    trains: frozenset[str] = ALL
    """Backends that train it."""
    compiles: bool = False
    """Nanotron's config is compiled."""
    tried_in: str = ""
    """The suite that trains it for real; empty for `test_every_way.py`."""


_TEXT: Final = {"kind": "full", "keep": "last", "early_stopping": None}
WAYS: Final[Mapping[str, Way]] = {
    "lora": Way(keys="`kind: lora`"),
    "qlora": Way(keys="`kind: qlora`", method={"kind": "qlora"}),
    "full": Way(keys="`kind: full`", method={"kind": "full"}),
    **{
        name: Way(
            keys=f"`{one.key}`",
            method=one.method,
            trains=BOTH,
            tried_in="test_method_options.py",
        )
        for name, one in OPTIONS.items()
    },
    "scheduler: cosine": Way(
        keys="`scheduler` with a floor",
        method={"scheduler": Scheduler(name="cosine", floor=0.1)},
    ),
    "scheduler: constant_then_decay": Way(
        keys="`scheduler: {name: constant_then_decay}`",
        method={"scheduler": Scheduler(name="constant_then_decay", decay=0.5, floor=0.1)},
    ),
    "text": Way(keys="`task: {kind: text}`", method=_TEXT, rows="texts", compiles=True),
    "packing": Way(
        keys="`packing`, `tokens`",
        method={**_TEXT, "packing": True, "epochs": 0.0, "tokens": 24 * 128},
        rows="texts",
        trains=BOTH,
    ),
    "replay": Way(keys="`data.replay`", method=_TEXT, rows="texts", replays=True),
    "scratch": Way(
        keys="`base_model.scratch`", method=_TEXT, rows="texts", start="blank", compiles=True
    ),
    "keep_layers": Way(keys="`base_model.keep_layers`", start="fewer layers"),
    **{
        loss: Way(
            keys=f"`preference: {{loss: {loss}}}`",
            method={"loss": loss},
            rows="preferences",
            trains=BOTH,
            tried_in="test_preferences.py",
        )
        for loss in LOSSES
    },
}
TRIED_HERE: Final = {name: way for name, way in WAYS.items() if not way.tried_in}


def way_recipe(backend: str, way: Way, base: Path) -> Recipe:
    """Return a recipe that trains in a way with a backend, from the model in a folder."""
    if way.rows == "preferences":
        return replace(preference_recipe(backend, way.method["loss"]), base_model=_path(base))
    method = {"epochs": 1.0, "early_stopping": None, "keep": "last", **way.method}
    recipe = make_recipe(backend, **method)
    if backend == COMPILED:
        recipe = replace(recipe, backend=replace(recipe.backend, precision="bf16"))
    if way.rows == "texts":
        recipe = replace(recipe, task=task("text"))
    if way.replays:
        recipe = replace(recipe, data=replace(recipe.data, replay=Replay(share=0.2, sources=())))
    return replace(recipe, base_model=BLANK if way.start == "blank" else _path(base))


def _path(base: Path) -> PathRef:
    return PathRef(path=base, written=str(base))


def refusals(recipe: Recipe) -> list[str]:
    """Return the codes with which the backend of a recipe refuses it on every machine."""
    found = load_backend(recipe.backend.name).check(recipe)
    return [one.code for one in found if one.severity is Severity.ERROR]


def way_launch(backend: str, way: Way, folder: Path, base: Path) -> Launch:
    """Make the base model and the rows of a way, and compile: three steps or a few more."""
    recipe = way_recipe(backend, way, base)
    device = replace(CPU, cores=1)
    started = _started(way, folder, base)
    if way.rows == "preferences":
        return preference_launch(recipe, folder, started)
    if way.rows == "answers":
        return make_launch(recipe, folder, started, device=device)
    return _launch_of_texts(recipe, way, folder, started, device)


def _started(way: Way, folder: Path, base: Path) -> Path:
    made = folder / "start"
    if way.start == "whole":
        return base
    made.mkdir(parents=True)
    if way.start == "fewer layers":
        write_fewer_layers(base, made, (0,))
    else:
        write_byte_pairs((text for _, text in _texts(60)), made, size=280)
        write_blank_model(BLANK, made)
    return made


def _texts(count: int, *, start: int = 0) -> list[tuple[str, str]]:
    made = (f"story {n} of a long day by the river" for n in range(start, start + count))
    return [(f"{start}:{number}", text) for number, text in enumerate(made)]


def _launch_of_texts(recipe: Recipe, way: Way, folder: Path, base: Path, device: Device) -> Launch:
    chat, rows = load_chat(base, asks=False), folder / "rows"
    rows.mkdir(parents=True)
    length = recipe.method.max_length
    counts = {}
    for split, count, start in (("train", 24, 0), ("validation", 8, 100)):
        examples = [
            Example(id=content_id(text, ""), origin=place, input=text, target="")
            for place, text in _texts(count, start=start)
        ]
        limits = LengthLimits(max_length=length, truncation="fail")
        made = list(render_rows(examples, task=recipe.task, chat=chat, limits=limits).rows)
        if way.replays and split == "train":
            made += [_replayed(number, chat) for number in range(6)]
        if recipe.method.packing:
            write_packed(rows / f"{split}.jsonl", made, chat, length)
        else:
            write_rows(rows / f"{split}.jsonl", made)
        counts[split] = len((rows / f"{split}.jsonl").read_text("utf-8").splitlines())
    setting = CompileInputs(
        device=device,
        precision=device.precision(recipe.backend.precision),
        train_rows=counts["train"],
        validation_rows=counts["validation"],
    )
    return Launch(
        config=load_backend(recipe.backend.name).compile(recipe, setting).text,
        rows=rows,
        base_model=base,
        folder=folder / "launch",
        method=recipe.method,
        setting=setting,
        progress=RecordedProgress(),
    )


def _replayed(number: int, chat: Any) -> RenderedRow:
    text = f"what the base model wrote by itself, {number}"
    tokens = len(chat.token_ids(text))
    segment = Segment(text=text, supervised=True)
    return RenderedRow(
        id=f"sample.{number}", origin="", segments=(segment,), tokens=tokens, supervised=tokens
    )


def table() -> str:
    """Return the Markdown table of ways and backends."""
    names = [*sorted(ALL), COMPILED]
    head = f"| way | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    lines: dict[str, str] = {}
    for way in WAYS.values():
        cells = ["trains" if name in way.trains else "refuses" for name in sorted(ALL)]
        cells.append("compiles" if way.compiles else "refuses")
        lines[way.keys] = f"| {way.keys} | {' | '.join(cells)} |"
    assert set(names) == set(BACKENDS)
    return head + "\n".join(lines.values()) + "\n"
