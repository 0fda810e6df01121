"""The options of `method`, each with what it changes in the compiled config of every backend."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.recipe.model import TrainOnly

PLAIN = {"axolotl": frozenset({"plugins"}), "trl": frozenset({"shared_prefix"})}
"""Lines that change where the rows of a batch no longer share their start."""
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option."""

    method: Mapping[str, Any]
    """Fields of `Method`; the last one is the option itself."""
    lines: Mapping[str, set[str]]
    """Keys of the compiled config that it adds, changes or takes away, by backend."""
    trained: int
    """Parameters of the tiny model that are trained."""
    adapter: Mapping[str, Any] = field(default_factory=dict)
    """What then stands in adapter_config.json."""

    @property
    def key(self) -> str:
        """The key of the recipe."""
        return list(self.method)[-1]


def _both(
    *names: str, axolotl: frozenset[str] = NONE, trl: frozenset[str] = NONE
) -> Mapping[str, set[str]]:
    return {"axolotl": {*names, *axolotl}, "trl": {*names, *trl}}


OPTIONS = {
    "dora": Option(
        method={"dora": True},
        lines=_both(axolotl=frozenset({"peft_use_dora"}), trl=frozenset({"use_dora"})),
        trained=9216,
        adapter={"use_dora": True},
    ),
    "rslora": Option(
        method={"rslora": True},
        lines=_both(axolotl=frozenset({"peft_use_rslora"}), trl=frozenset({"use_rslora"})),
        trained=8192,
        adapter={"use_rslora": True},
    ),
    "loraplus_lr_ratio": Option(
        method={"loraplus_lr_ratio": 16.0}, lines=_both("loraplus_lr_ratio"), trained=8192
    ),
    "ranks": Option(
        method={"ranks": (("down_proj", 8), ("q_proj", 2))},
        lines=_both("lora_rank_pattern", "lora_alpha_pattern"),
        trained=9216,
        adapter={
            "rank_pattern": {"down_proj": 8, "q_proj": 2},
            "alpha_pattern": {"down_proj": 16, "q_proj": 4},
        },
    ),
    "layers: last": Option(
        method={"layers": "last_1"},
        lines=_both(
            axolotl=frozenset({"peft_layers_to_transform", "plugins"}),
            trl=frozenset({"layers_to_transform"}),
        ),
        trained=4096,
        adapter={"layers_to_transform": [1]},
    ),
    "layers: a list": Option(
        method={"layers": (0,)},
        lines=_both(
            axolotl=frozenset({"peft_layers_to_transform"}), trl=frozenset({"layers_to_transform"})
        ),
        trained=4096,
        adapter={"layers_to_transform": [0]},
    ),
    "neftune_alpha": Option(
        method={"neftune_alpha": 5.0},
        lines=_both("neftune_noise_alpha", axolotl=PLAIN["axolotl"], trl=PLAIN["trl"]),
        trained=8192,
    ),
    "loss_on": Option(
        method={"loss_on": "everything"},
        lines=_both("train_on_inputs", axolotl=PLAIN["axolotl"], trl=PLAIN["trl"]),
        trained=8192,
    ),
    "train_only: layers": Option(
        method={"kind": "full", "train_only": TrainOnly(layers="last_1")},
        lines=_both("unfrozen_parameters", axolotl=frozenset({"plugins"})),
        trained=36992,
    ),
    "train_only: embeddings": Option(
        method={"kind": "full", "train_only": TrainOnly(layers=(0,), embeddings=True)},
        lines=_both("unfrozen_parameters", axolotl=frozenset({"plugins"})),
        trained=57472,
    ),
}
