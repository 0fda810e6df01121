"""Whether config.json and the order of the layers are those that a base model's weights were trained with.

Settings such as the base of positions, the activation or the number of heads fit weights of the same shapes whatever
they say. A model that was trained predicts ordinary text best as it was trained: it is asked as it stands, and
then with each of a few other settings. Weights that nothing has trained have no right setting, and are not asked.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from transformers import CONFIG_MAPPING
from transformers.initialization import no_init_weights
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import Problem, Severity
from engine.files.reading import read_json
from engine.runtime.models.load import DTYPES, load_whole
from engine.runtime.models.one_thread import one_thread
from engine.runtime.models.tensor_check import FLOATS, NORM, SAME_MODEL
from engine.runtime.models.torch_device import torch_device
from engine.runtime.models.weights import weight_files
from engine.runtime.rendering.chat import kept_tokenizer
from engine.values import Value

REVISION: Final = 5
"""Bumped when the same model would now be judged otherwise."""
TEXT: Final = (
    "The river rises in the hills north of the town and flows south for about forty miles before it reaches the sea."
    " In spring, when the snow melts, the water is high and brown, and the people who live near the banks move their"
    " animals to higher ground. By the end of summer it is so low that children can walk across it without getting"
    " their knees wet.\n\nFor a long time there was only one bridge. It was built of stone in the year 1742, after a"
    " flood had carried away the old wooden one, and it was wide enough for a single cart. Farmers who came to the"
    " market on Saturday mornings often had to wait for an hour or more until it was their turn to cross. A second"
    " bridge, made of steel, was opened in 1931, and the old one is now used by people on foot and on bicycles.\n\n"
)
"""Asked twice in a row: what was read far back shows wrong positions."""
LEAST: Final = 0.02
"""Nats a token by which another setting must be better; models that were trained further can like one a little more."""
ERRORS: Final = 3.0
"""Standard errors of that gain, over the tokens of the text, that it must have."""
CERTAIN: Final = 0.25
"""Nats a token from which the model is refused."""
ODD: Final = 0.35
"""Loss, as a share of guessing any token, from which rarer mistakes are tried; SmolLM2 of 135 M has 0.24."""
BLIND: Final = 0.65
"""The same from which a model that was trained on such text is not read as it was trained."""
STEPS: Final = (10.0, 0.1)
"""Factors of other bases of positions: models have 10,000 to 10,000,000, and one step may be too near to show."""
ACTIVATIONS: Final = ("silu", "gelu_pytorch_tanh", "relu")
SETTINGS: Final = (
    *("sliding_window", "layer_types", "partial_rotary_factor", "clip_qkv"),
    *("final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar"),
    *("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"),
    *("num_experts_per_tok", "norm_topk_prob", "routed_scaling_factor", "logit_scale"),
)
"""Settings that fit any weights, and that an architecture has a usual value of."""
ACTIVATION_KEYS: Final = ("hidden_act", "hidden_activation", "activation_function")
FULL: Final = "full_attention"
WINDOW: Final = 256
"""Tokens of a window from which the text says nothing of it."""
SHORT: Final = 48
"""Tokens, asked twice in a row too, by which a way must be better before the whole text is asked."""
FIRST: Final = 24
"""The same for an activation: with another one the SmolLM2 of 135 M loses 0.67 nats a token by them."""
MATRIX: Final = 2
TINY: Final = 1e-6
FEW_LAYERS: Final = 3
"""Of fewer, none has two neighbours."""
PAIRS: Final = 3
"""Pairs of layers, or of matrices, that are tried in each other's place."""
UNLIKE: Final = 0.1
"""By which matrices must be more like those of the layers around after an exchange; in SmolLM2 none is by 0.09."""
AROUND: Final = (-2, -1, 1, 2)
"""Layers that a matrix is compared with."""
OF_ATTENTION: Final = re.compile(r"[qkvo]_proj|qkv|c_attn|attention\.dense")
"""Changes from one layer to the next as it likes, and says nothing of their order."""
UNLIKE_SETTINGS: Final = (RuntimeError, ValueError, TypeError, KeyError, AttributeError)
"""Of other shapes than the weights have, or a setting that the architecture does not take."""
LAYER: Final = re.compile(r"^(.*\.)(\d+)(\..*)$")
STACK: Final = re.compile(r"^(.*?\.)(\d+)\.")
Weights = Mapping[str, torch.Tensor]
Change = Callable[[Any], object]


def is_trained(folder: Path) -> bool:
    """Say whether a norm of a model has different numbers: each begins with one number, and any training changes it."""
    for file in weight_files(folder):
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                if (
                    len(tensor.shape) == 1
                    and tensor.shape[0]
                    and NORM.search(tensor.name)
                    and tensor.dtype in FLOATS
                ):
                    weight = source.get_tensor(tensor.name)
                    if tensor.name.endswith(".weight") and bool((weight != weight[0]).any()):
                        return True
    return False


class Way(Value):
    """Another way to read the weights of a model."""

    what: str
    change: Change | None = None
    """Of config.json."""
    weights: Weights | None = None
    """In the place of those of the same names."""
    is_far: bool = False
    """Shows in what was read far back."""
    shows_at_once: bool = False
    """Shows in the first tokens."""


def reading_problems(folder: Path, *, device: Device, precision: str) -> Iterator[Problem]:
    """Yield X846 for weights that predict ordinary text better in another way than config.json and their files say."""
    if read_json(folder / "config.json").get("quantization_config") or not is_trained(folder):
        return
    reader = Reader(folder, device=device, precision=precision)
    guess = math.log(reader.config.vocab_size)
    tried = [*reader.positions(), *reader.activations(), *reader.settings()]
    tried += [*reader.orders(), *reader.exchanges()]
    # Written this way round, so that NaN is odd too.
    is_odd = not float(reader.as_it_stands[:SHORT].mean()) <= ODD * guess
    if is_odd:
        tried += [*reader.heads(), *reader.halves()]
    better = [(gain, way.what) for way in tried if (gain := reader.gain(way, guess))]
    if not better and not is_odd:
        return
    found = float(reader.whole[: len(reader.whole) // 2].mean())
    if better:
        gain, what = max(better)
        yield Problem(
            code="X846",
            message=f"the base model predicts ordinary text better {what}: by {gain:.2g} nats a token, where it"
            f" has {found:.3g} as it stands",
            path="base_model",
            hint=SAME_MODEL,
            severity=Severity.ERROR if gain > CERTAIN else Severity.WARNING,
        )
    elif not found <= BLIND * guess:
        yield Problem(
            code="X846",
            message=f"the base model was trained, and predicts ordinary English text with {found:.3g} nats a"
            f" token, where guessing gives {guess:.3g}: config.json, tokenizer and weights may be of different models",
            path="base_model",
            hint=f"{SAME_MODEL}; a model of other texts only can be right as it is",
            severity=Severity.WARNING,
        )


def _gain(before: torch.Tensor, after: torch.Tensor) -> float:
    """Return by how many nats a token `after` is better; 0 where it is not, or may be so by chance."""
    apart = before - after
    mean = float(apart.mean())
    noise = float(apart.std()) / math.sqrt(len(apart))
    return mean if mean > max(LEAST, ERRORS * noise) else 0.0


class Reader:
    """A base model that is asked a text, as it stands or with another setting; all share the same weights."""

    def __init__(self, folder: Path, *, device: Device, precision: str) -> None:
        """Load the weights."""
        transformers_logging.disable_progress_bar()
        if device.kind == "cpu":
            torch.set_num_threads(device.threads)
        self._model = load_whole(folder, dtype=DTYPES[precision], use_safetensors=True).eval()
        self._device = torch_device(device)
        self._model.to(self._device)
        # Behind the move: those of before stay where they were, and no model on a GPU can be asked with them.
        self._weights: Weights = self._model.state_dict()
        self.config = self._model.config
        tokenizer = kept_tokenizer(folder)
        # With the first token that the model is used to, and without a last one.
        first = tokenizer(TEXT)["input_ids"]
        ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
        first = first[: first.index(ids[0])]
        self._whole = torch.tensor([[*first, *ids, *ids]])
        self._short = torch.tensor([[*first, *ids[:SHORT], *ids[:SHORT]]])
        self._given: list[Any] = []
        self._far = dict[str, torch.Tensor]()
        """Nats of the short text in ways that passed together, by what they are."""
        self.as_it_stands: torch.Tensor = self._first_nats()

    @cached_property
    def whole(self) -> torch.Tensor:
        """The nats of each token of the whole text, as the model stands."""
        found: torch.Tensor = self._nats(self._whole)
        return found

    def gain(self, way: Way, guess: float) -> float:
        """Return by how many nats a token another way is better; 0 where it is not."""
        ids = (
            self._short if way.is_far else self._short[:, : FIRST if way.shows_at_once else -SHORT]
        )
        short = self._far[way.what] if way.what in self._far else self._asked(way, ids)
        # NaN is never better.
        if short is None or not float(short.mean()) < float(self.as_it_stands[: len(short)].mean()):
            return 0.0
        other = self._asked(way, self._whole)
        # Of a model that reads nothing rightly, one way or another is less wrong by chance.
        if other is None or not float(other.mean()) <= BLIND * guess:
            return 0.0
        half = len(other) // 2
        return max(_gain(self.whole, other), _gain(self.whole[:half], other[:half]))

    def _read_together(self, ways: Sequence[Way]) -> None:
        """Read the short text with other waves of positions, beside each other: weights are read once.

        Where the model does not compute them in one place, for all layers, each is read by itself later.
        """
        found = [one for part, one in self._model.named_modules() if part.endswith("rotary_emb")]
        changes = {way.what: way.change for way in ways if way.change is not None}
        if len(found) != 1 or not changes:
            return
        try:
            made = [type(found[0])(self._changed(one)).to(self._device) for one in changes.values()]

            def forward(*given: Any, **named: Any) -> Any:
                return tuple(
                    map(torch.cat, zip(*(one(*given, **named) for one in made), strict=True))
                )

            vars(found[0])["forward"] = forward
            with torch.inference_mode():
                ids = self._short.to(self._device)
                logits = self._model(input_ids=ids.expand(len(made), -1), use_cache=False).logits
            nats = [cross_entropy(one[:-1].float(), ids[0, 1:], reduction="none") for one in logits]
            self._far |= dict(zip(changes, [one.cpu() for one in nats], strict=True))
        # As of other ways.
        except UNLIKE_SETTINGS:
            return
        finally:
            vars(found[0]).pop("forward", None)

    def _asked(self, way: Way, ids: torch.Tensor) -> Any:
        """Return the nats of tokens read in another way; None for a model that cannot be built or asked."""
        try:
            if way.change is not None:
                return self._nats(ids, self._built(way.change), self._weights)
            weights = {
                name: weight.to(self._device) for name, weight in (way.weights or {}).items()
            }
            with self._begun_behind(weights, ids):
                return self._nats(ids, weights=weights)
        except UNLIKE_SETTINGS:
            return None

    def _changed(self, change: Change) -> Any:
        config = copy.deepcopy(self.config)
        change(config)
        return config

    def _built(self, change: Change) -> Any:
        config = self._changed(change)
        # Without weights of its own: it is asked with those that are there. What it computes for itself, such as the
        # waves of positions, is not left out.
        with self._device, init_empty_weights(include_buffers=False), no_init_weights():
            model = type(self._model)(config)
        return model.eval()

    def _nats(self, ids: torch.Tensor, model: Any = None, weights: Weights | None = None) -> Any:
        """Return the nats of each token behind the first one."""
        ids = ids.to(self._device)
        with torch.inference_mode():
            asked = {"input_ids": ids, "use_cache": False}
            logits = functional_call(model or self._model, dict(weights or {}), kwargs=asked).logits
        return cross_entropy(logits[0, :-1].float(), ids[0, 1:], reduction="none").cpu()

    def _first_nats(self) -> Any:
        """Return the nats of the short text, and keep what each layer gives."""
        hooks = [
            one.register_forward_hook(lambda _layer, _read, given: self._given.append(given))
            for one in self._stack[1]
        ]
        found = self._nats(self._short)
        for hook in hooks:
            hook.remove()
        return found

    @cached_property
    def _stack(self) -> tuple[str, list[Any]]:
        """What the names of the layers' weights begin with, and the layers."""
        names = Counter(found[1] for name in self._weights if (found := STACK.match(name)))
        stem = max(names, key=lambda one: names[one], default="")
        parts = dict(self._model.get_submodule(stem[:-1]).named_children()) if stem else {}
        return stem, [*parts.values()]

    @contextmanager
    def _begun_behind(self, weights: Weights, ids: torch.Tensor) -> Iterator[None]:
        """Spare the layers before the first one that has other weights: they give what they gave."""
        stem, layers = self._stack
        numbers = [
            int(found[2]) if (found := STACK.match(name)) and found[1] == stem else 0
            for name in weights
        ]
        first = min(numbers, default=0)
        count = ids.shape[1]
        is_known = len(self._given) == len(layers) and count <= self._short.shape[1]
        if not first or not is_known or not isinstance(self._given[first - 1], torch.Tensor):
            yield
            return
        before = self._given[first - 1][:, :count]
        for layer in layers[:first]:
            layer.forward = lambda *_, **__: before
        try:
            yield
        finally:
            for layer in layers[:first]:
                del layer.forward

    def positions(self) -> Iterator[Way]:
        """Yield other bases of positions, and positions that are not stretched."""
        found = getattr(self.config, "rope_parameters", None)
        if not isinstance(found, dict):
            return
        parts = [one for one in found.values() if isinstance(one, dict)] or [found]
        bases = [one["rope_theta"] for one in parts if one.get("rope_theta")]
        if bases:
            near = {factor: _scaled_way(bases, factor) for factor in STEPS}
            self._read_together([*near.values()])
            yield from near.values()
            # Nearer to the base of training each step is better: behind a worse one is none.
            further = [
                _scaled_way(bases, factor * factor)
                for factor, way in near.items()
                if self._may_be_better(way)
            ]
            self._read_together(further)
            yield from further
        if any(one.get("rope_type", "default") != "default" for one in parts):
            yield Way(what="with `rope_type: default`", change=_unstretched, is_far=True)

    def _may_be_better(self, way: Way) -> bool:
        """Say whether the short text was not read worse in another way, by whatever little."""
        short = self._far.get(way.what)
        # Written this way round, so that NaN is further from right than it seems.
        return short is None or not float(short.mean()) >= float(self.as_it_stands.mean())

    def activations(self) -> Iterator[Way]:
        """Yield other activations."""
        keys = [key for key in ACTIVATION_KEYS if isinstance(getattr(self.config, key, None), str)]
        if not keys:
            return
        now = str(getattr(self.config, keys[-1]))
        family = {"swish": "silu"}.get(now, "gelu_pytorch_tanh" if "gelu" in now else now)
        # Few models have ReLU, so it is tried for those alone that have neither of the others.
        for name in ACTIVATIONS[:2]:
            if name != family:

                def change(config: Any, name: str = name) -> None:
                    for key in keys:
                        setattr(config, key, name)

                what = f"with `{keys[-1]}: {name}`"
                yield Way(what=what, change=change, shows_at_once=True)

    def settings(self) -> Iterator[Way]:
        """Yield the usual values of settings that are others here, such as a window that rows do not fit."""
        if self.config.model_type not in CONFIG_MAPPING:
            return
        usual = CONFIG_MAPPING[self.config.model_type]()
        for name in SETTINGS:
            now, other = getattr(self.config, name, None), getattr(usual, name, None)
            if name == "layer_types" and isinstance(now, list) and {*now} != {FULL}:
                other = [FULL] * len(now)
            if now is None or now == other or (name == "sliding_window" and now >= WINDOW):
                continue

            def change(config: Any, name: str = name, other: object = other) -> None:
                setattr(config, name, other)

            shown = FULL if name == "layer_types" else other
            yield Way(what=f"with `{name}: {shown}`", change=change, is_far=True)

    def heads(self) -> Iterator[Way]:
        """Yield other numbers of heads whose matrices have the same shapes."""
        heads, groups = (
            getattr(self.config, key, None)
            for key in ("num_attention_heads", "num_key_value_heads")
        )
        if not isinstance(heads, int):
            return
        size = getattr(self.config, "head_dim", None) or self.config.hidden_size // heads
        for factor in (2, 3, 4, 1 / 2, 1 / 3, 1 / 4):
            numbers = (heads * factor, (groups or heads) * factor, size / factor)
            if not all(float(number).is_integer() and number >= 1 for number in numbers):
                continue

            def change(config: Any, numbers: tuple[float, ...] = numbers) -> None:
                keys = ("num_attention_heads", "num_key_value_heads", "head_dim")
                for key, number in zip(keys, numbers, strict=True):
                    if hasattr(config, key):
                        setattr(config, key, int(number))

            what = f"with {numbers[0]:.0f} attention heads of {numbers[2]:.0f}"
            yield Way(what=what, change=change)

    def halves(self) -> Iterator[Way]:
        """Yield weights whose rotated halves stand in the other order, as formats of weights differ."""
        heads = getattr(self.config, "num_attention_heads", 1)
        size = getattr(self.config, "head_dim", None) or self.config.hidden_size // heads
        for pairs in (True, False):
            other = dict[str, torch.Tensor]()
            for name, weight in self._weights.items():
                if re.search(r"\.[qk]_proj\.", name) and weight.shape[0] % size == 0 == size % 2:
                    shape = (-1, 2, size // 2) if pairs else (-1, size // 2, 2)
                    rows = torch.arange(weight.shape[0]).view(shape).transpose(1, 2).reshape(-1)
                    other[name] = weight[rows]
            what = "with the rotated halves of queries and keys in the other order"
            yield Way(what=what, weights=other)

    def orders(self) -> Iterator[Way]:
        """Yield two layers in each other's place, where more like layers would then be neighbours."""
        layers = self._layers()
        size = self.config.hidden_size
        for one, two in likelier_swaps(layers, size):
            other = dict[str, torch.Tensor]()
            for name in layers[one]:
                here, there = (name.replace("#", str(number)) for number in (one, two))
                other[here], other[there] = self._weights[there], self._weights[here]
            what = f"with layers {one} and {two} in each other's place"
            yield Way(what=what, weights=other)

    def exchanges(self) -> Iterator[Way]:
        """Yield two tensors of a layer in each other's place, or one transposed, where layers are then more alike."""
        for layer, one, two in likelier_exchanges(self._layers(), self.config.hidden_size):
            here, there = (name.replace("#", str(layer)) for name in (one, two))
            first, second = self._weights[here], self._weights[there]
            if one == two:
                what, parts = f"with `{here}` transposed", {here: first.T.contiguous()}
            else:
                what = f"with `{here}` and `{there}` in each other's place"
                parts = {here: second, there: first}
            yield Way(what=what, weights=parts)

    def _layers(self) -> list[dict[str, torch.Tensor]]:
        """Return the weights of each layer, by their names without its number."""
        layers: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
        for name, weight in self._weights.items():
            if found := LAYER.match(name):
                layers[int(found[2])][f"{found[1]}#{found[3]}"] = weight
        return [layers[number] for number in sorted(layers)]


@one_thread()
def likelier_swaps(layers: Sequence[Weights], size: int) -> list[tuple[int, int]]:
    """Return the pairs of layers after whose exchange neighbours are more alike, by most first.

    Layers are compared by the sizes of their weights along the residual stream of so many numbers, which change slowly
    from one to the next.
    """
    if not _are_alike(layers):
        return []
    names = [name for name in layers[0] if not OF_ATTENTION.search(name)]
    rows = torch.stack(
        [torch.cat([_profile(one[name], size) for name in sorted(names)]) for one in layers]
    )
    rows = rows - rows.mean(0)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(TINY)
    alike = (rows @ rows.T).tolist()

    def total(order: list[int]) -> float:
        return sum(float(alike[one][two]) for one, two in itertools.pairwise(order))

    usual = [*range(len(layers))]
    now, found = total(usual), list[tuple[float, int, int]]()
    for one, two in itertools.combinations(usual, 2):
        order = usual.copy()
        order[one], order[two] = two, one
        if (gain := total(order) - now) > TINY:
            found.append((gain, one, two))
    return [(one, two) for _, one, two in sorted(found, reverse=True)[:PAIRS]]


@one_thread()
def likelier_exchanges(layers: Sequence[Weights], size: int) -> list[tuple[int, str, str]]:
    """Return the tensors of a layer that are more like those of the layers around in each other's place, by most first.

    The same name twice stands for a square matrix on its side.
    """
    if not _are_alike(layers):
        return []
    shapes = {name: tuple(one.shape) for name, one in layers[0].items()}
    sides = {
        name: [at for at, long in enumerate(shape) if long == size]
        for name, shape in shapes.items()
    }
    known = {
        (name, at): torch.stack([_profile(one[name], size, at) for one in layers])
        for name, those in sides.items()
        for at in those
    }
    # Of a square matrix the side of the residual stream is that on which layers are alike.
    main = {
        name: max(those, key=lambda at: float((known[name, at][1:] * known[name, at][:-1]).sum()))
        for name, those in sides.items()
        if those
    }
    found = list[tuple[float, int, str, str]]()
    for one, two in itertools.combinations_with_replacement(sorted(main), 2):
        if shapes[one] != shapes[two] or (one == two and len(sides[one]) == 1):
            continue
        first, second = known[one, main[one]], known[two, main[two]]
        # As the other would be read in its place.
        there = 1 - main[one] if one == two else main[one]
        here = main[two]
        for layer in range(len(layers)):
            gain = _likeness(first, known[two, there][layer], layer) - _likeness(
                first, first[layer], layer
            )
            if one != two:
                gain += _likeness(second, known[one, here][layer], layer)
                gain -= _likeness(second, second[layer], layer)
            if gain > UNLIKE:
                found.append((gain, layer, one, two))
    return [(layer, one, two) for _, layer, one, two in sorted(found, reverse=True)[:PAIRS]]


def _likeness(rows: torch.Tensor, row: torch.Tensor, layer: int) -> float:
    """Return how much a profile is like those of the layers around a place."""
    around = [layer + step for step in AROUND if 0 <= layer + step < len(rows)]
    return float((rows[around] @ row).mean())


def _are_alike(layers: Sequence[Weights]) -> bool:
    """Say whether there are several layers, all of the same shapes."""
    return len(layers) >= FEW_LAYERS and all(
        {name: weight.shape for name, weight in one.items()}
        == {name: weight.shape for name, weight in layers[0].items()}
        for one in layers
    )


def _profile(weight: torch.Tensor, size: int, at: int | None = None) -> torch.Tensor:
    """Return the logarithms of a norm, or of the sizes of a matrix along its side `at` on the residual stream.

    Their mean is 0 and their length 1; there are none for what does not touch the stream.
    """
    found = weight.float()
    if found.ndim == MATRIX and size in found.shape:
        is_input = found.shape[1] == size if at is None else at == 1
        # Along rows sums are faster than the norm of the library.
        found = (found * found).sum(0).sqrt() if is_input else found.norm(dim=1)
    if found.ndim != 1:
        return found.new_empty(0)
    found = found.abs().clamp_min(TINY).log()
    found -= found.mean()
    profile: torch.Tensor = found / found.norm().clamp_min(TINY)
    return profile


def _scaled_way(bases: Sequence[float], factor: float) -> Way:
    named = ", ".join(f"{base * factor:g}" for base in dict.fromkeys(bases))
    return Way(what=f"with `rope_theta: {named}`", change=_scaled(factor), is_far=True)


def _scaled(factor: float) -> Change:
    def change(config: Any) -> None:
        for one in [config.rope_parameters, *config.rope_parameters.values()]:
            if isinstance(one, dict) and one.get("rope_theta"):
                one["rope_theta"] *= factor

    return change


def _unstretched(config: Any) -> None:
    for one in [config.rope_parameters, *config.rope_parameters.values()]:
        if isinstance(one, dict) and "rope_type" in one:
            for key in [key for key in one if key not in ("rope_theta", "partial_rotary_factor")]:
                del one[key]
            one["rope_type"] = "default"
