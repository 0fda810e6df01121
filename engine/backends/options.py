"""Options of `method` as Axolotl and TRL take them: layers counted from an end, ranks by module, what is left unfrozen.

How many layers a base model has is known where it is trained, so the last ones are numbered -1, -2 and so on;
`engine.runtime.training.parts` counts them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from engine.recipe.model import Json, Method

ADAMW = ("adamw_torch_fused", "default: AdamW, one kernel for all weights")
"""The optimizer's name in all, and why: apart for each weight it takes three times as long on a CPU."""
EMBEDDINGS = "embeddings"
"""Among what is left unfrozen: the embeddings and the output layer."""
LAYER = "layers."
"""Before the number of a layer that is left unfrozen."""


def numbered(layers: str | tuple[int, ...]) -> list[int]:
    """Return layers by their numbers; `last_2` is -2, -1."""
    if isinstance(layers, str):
        return list(range(-int(layers.removeprefix("last_")), 0))
    return sorted(layers)


def counts_from_end(method: Method) -> bool:
    """Return whether layers are named that only the base model can count."""
    return isinstance(method.layers, str)


def adapter_lines(method: Method, keys: Mapping[str, str]) -> Iterator[tuple[str, Json, str]]:
    """Yield the lines of an adapter's options; `keys` says what the backend calls them."""
    if method.dora:
        yield keys["dora"], True, "method.dora"
    if method.rslora:
        yield keys["rslora"], True, "method.rslora"
    if method.ranks:
        yield keys["ranks"], dict(method.ranks), "method.ranks"
        if alphas := alpha_pattern(method):
            yield keys["alphas"], alphas, "method.ranks"
    if method.layers is not None:
        yield keys["layers"], list[Json](numbered(method.layers)), "method.layers"


def alpha_pattern(method: Method) -> dict[str, Json]:
    """Return the alphas with which alpha / rank is the same in all modules; none with rslora.

    There the effect is meant to fall with the rank at one alpha: https://arxiv.org/abs/2312.03732.
    """
    if method.rslora:
        return {}
    ratio = Fraction(method.alpha, method.rank)
    # Whole, which R348 sees to.
    return {name: int(ratio * rank) for name, rank in method.ranks}


def unfrozen(method: Method) -> list[Json]:
    """Return what full training moves, in words of `engine.runtime.training.parts`; nothing for everything."""
    only = method.train_only
    if only is None:
        return []
    named: list[Json] = [f"{LAYER}{number}" for number in numbered(only.layers or ())]
    return [*named, EMBEDDINGS] if only.embeddings else named
