"""Refusals before anything is spent on a base model: damage, and models that method or export cannot take."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.artifacts.results import read_json, write_json
from engine.artifacts.stage import StageContext
from engine.backends.base import numbered
from engine.environment import own_llama_cpp, version_of
from engine.errors import Problem, Severity, StageError
from engine.files import reading
from engine.inference.ladder import CORPUS
from engine.recipe.model import FewerLayers, Method, Scratch
from engine.recipe.sweeps import methods_of
from engine.recipe.text.words import nearest
from engine.runtime.models.weights import weight_files

FILE: Final = "vocabulary.gguf"
HINT: Final = (
    "set `export: {formats: [safetensors]}`, or take a base model whose tokenizer llama.cpp knows"
)


MATRIX = 2
TRANSPOSED = ("gpt2", "openai-gpt")
"""Models whose matrices transformers holds with inputs first: the merge does not know an adapter beside these."""


def refuse_unfit(method: Method, base: Path) -> None:
    """Refuse what the base model in the folder `base` does not have, or cannot have beside it.

    StageError X621 for an adapter that could not be merged, X730 for layers, X731 for modules.
    """
    config = reading.read_json(base / "config.json")
    kind, inner = config.get("model_type"), config.get("text_config")
    found = list[Problem]()
    if method.kind != "full" and kind in TRANSPOSED:
        message = (
            f"the matrices of a {kind} lie transposed, and no adapter beside them can be merged"
        )
        hint = "set method.kind: full, or take another base model"
        found.append(Problem(code="X621", message=message, path="method.kind", hint=hint))
    sizes = inner if isinstance(inner, dict) else config
    count = sizes.get("num_hidden_layers", config.get("n_layer"))
    modules: Iterable[str] = ()
    if _named(method):
        modules = [
            tensor.name.removesuffix(".weight")
            for file in weight_files(base)
            for tensor in file.tensors
            if len(tensor.shape) == MATRIX
        ]
    found += unfit(method, layers=count if isinstance(count, int) else None, modules=modules)
    if found:
        raise StageError(found)


def unfit(method: Method, *, layers: int | None, modules: Iterable[str]) -> Iterator[Problem]:
    """Yield X730 and X731 of a base model of so many layers, with matrices whose names end so; none for no names."""
    only = method.train_only
    for key, named in (("layers", method.layers), ("train_only.layers", only and only.layers)):
        numbers = numbered(named) if named else ()
        # Without the number the trainer says it, when it has loaded the model.
        beyond = [one for one in numbers if layers is not None and not -layers <= one < layers]
        if beyond:
            asked = f"layer {beyond[0]}" if beyond[0] >= 0 else f"the last {-beyond[0]}"
            yield Problem(
                code="X730",
                message=f"the base model has {layers} layers, and {asked} is asked for",
                path=f"method.{key}",
                hint=f"name layers below {layers}, or last_{layers} at most",
            )
    known = frozenset(modules)
    whole = any("." in one for one in known)
    for at, name in _named(method) if known else ():
        # Of what has no full names the last part alone can be looked up.
        wanted = name if whole else name.rpartition(".")[2]
        if not any(f".{one}".endswith(f".{wanted}") for one in known):
            near = nearest(name, sorted({one.rpartition(".")[2] for one in known}))
            yield Problem(
                code="X731",
                message=f"the base model has no module `{name}`",
                path=at,
                hint=f"did you mean `{near}`?" if near else "delete it",
            )


def _named(method: Method) -> list[tuple[str, str]]:
    targets = () if isinstance(method.target_modules, str) else method.target_modules
    return [("method.target_modules", one) for one in targets] + [
        (f"method.ranks.{name}", name) for name, _ in method.ranks
    ]


FACTS = "base_check.json"
VOCABULARY_REVISION = 2
"""Bumped when the same vocabulary would now be judged otherwise."""


def check_base_model(context: StageContext, base: Path) -> None:
    """Refuse a base model in the folder `base` that cannot be what it says; note what is merely odd.

    StageError: X604, X692, X693, X770, X771, X773, X774, X843, X845, X846 what the files hold; X772, X844 what the
    GGUF converter and llama.cpp do not know; X621, X730, X731 what the method asks of it.
    """
    for method in methods_of(context.recipe):
        refuse_unfit(method, base)
    from engine.runtime.models import base_check  # brings torch

    recipe = context.recipe
    is_blank = isinstance(recipe.base_model, Scratch)
    # A blank model's vocabulary, and so its shapes, may come of the rows.
    rows = context.inputs["data"] if is_blank else ""
    payload = {"base_model": context.base_model, "rows": rows, "revision": base_check.REVISION}
    check_base = partial(base_check.check_base, base, has_numbers=not is_blank)
    lines = kept_lines(context, "base_check", payload, check_base)
    if not isinstance(recipe.base_model, Scratch | FewerLayers):
        # Settings under which trained weights predict text worse than under others.
        device, precision = context.device, context.precision
        payload = {
            "base_model": context.base_model,
            "device": device.kind,
            "precision": precision,
            "revision": base_check.READING_REVISION,
        }
        check = partial(base_check.reading_problems, base, device=device, precision=precision)
        lines += kept_lines(context, "reading_check", payload, check)
    if recipe.export.has_quantized_file:
        lines += _check_converter(context, base, rows)
    for line in lines:
        context.progress.note(line)


def kept_lines(
    context: StageContext,
    product: str,
    payload: Mapping[str, Any],
    find: Callable[[], Iterable[Problem]],
    *,
    file: str = FACTS,
) -> list[str]:
    """Return a line for each remark that `find` makes, found once for an equal payload. StageError for its errors."""

    def build(folder: Path) -> None:
        found = [*find()]
        if errors := [one for one in found if one.severity is Severity.ERROR]:
            raise StageError(errors)
        write_json(folder / file, [one.headline() for one in found])

    return [*map(str, read_json(context.cached(product, payload, build), file))]


def _check_converter(context: StageContext, base: Path, rows: str) -> list[str]:
    """Return that llama.cpp reads few texts of the corpus otherwise (X844); StageError for more.

    StageError X772: the GGUF converter does not know the tokenizer.
    """
    # No plan reads a vocabulary.
    from engine.inference.exported_files import TOOLS
    from engine.inference.template_check import corpus, known_texts
    from engine.process.start import working_folder
    from engine.runtime.gguf.convert import write_vocabulary  # brings torch
    from engine.runtime.llama.client import Request, ask_gguf
    from engine.runtime.rendering.chat import kept_chat

    has_turns = context.recipe.task.spec.has_turns

    def check() -> Iterator[Problem]:
        chat = kept_chat(base, asks=has_turns)
        # White space around a text shows a mark that swallows it.
        words = known_texts()["words"] if has_turns else ()
        asked = [chat.prompt([{"role": "user", "content": f" {one} "}]) for one in words]
        texts = [*corpus(), *asked]
        with working_folder() as folder:
            write_vocabulary(base, folder / FILE)
            # What a converter of the user's own writes has no tensor, and is taken for a damaged file.
            if own_llama_cpp() is not None:
                return
            read = ask_gguf(
                folder / FILE,
                Request(read=texts),
                threads=context.device.threads,
                progress=context.progress,
            ).read
        pairs = zip(texts, chat.all_token_ids(texts), read, strict=True)
        different = [place for place, (_, one, two) in enumerate(pairs) if one != two]
        of_corpus = sum(place < len(corpus()) for place in different)
        is_rare = len(different) == of_corpus and of_corpus <= (1 - CORPUS) * len(corpus())
        if different:
            yield Problem(
                code="X844",
                message=f"llama.cpp would read {len(different)} of {len(texts)} texts as other tokens than the model's"
                f" own tokenizer does, such as {texts[different[0]][:60]!r}",
                path="export.formats",
                hint=HINT,
                severity=Severity.WARNING if is_rare else Severity.ERROR,
            )

    payload = {
        "base_model": context.base_model,
        "rows": rows,
        "versions": {tool: version_of(tool) for tool in TOOLS},
        "has_turns": has_turns,
        "revision": VOCABULARY_REVISION,
    }
    return kept_lines(context, "vocabulary_check", payload, check)
