"""Settings of a sweep: as a recipe writes them, as methods, in words, and a recipe with one of them."""

from collections.abc import Mapping
from itertools import islice, product
from math import prod
from typing import Any, Final

from engine.errors import listed
from engine.recipe.methods import ADAPTER_KEYS, method_mapping, method_of
from engine.recipe.metrics import primary
from engine.recipe.model import Method, Recipe, Sweep
from engine.recipe.text.compose import KeyPath
from engine.values import Value, replace

MOST: Final = 64


class WrittenSetting(Value):
    at: KeyPath
    """Key path of the item of the list, or of the grid."""
    changes: Mapping[str, Any]

    def path(self, key: str) -> KeyPath:
        return (*self.at, key)

    def within(self, method: Mapping[str, Any]) -> dict[str, Any]:
        return {**method, **self.changes}


def count_of(sweep: Mapping[str, Any]) -> int:
    if "list" in sweep:
        return len(sweep["list"])
    return prod(map(len, _grid(sweep).values())) if _grid(sweep) else 0


def written_settings(sweep: Mapping[str, Any]) -> list[WrittenSetting]:
    """Return the settings of a written sweep, in order; of a grid the first `MOST`, since R287 reports its size."""
    if "list" in sweep:
        return [
            WrittenSetting(at=("sweep", "list", number), changes=changes)
            for number, changes in enumerate(sweep["list"])
        ]
    grid = _grid(sweep)
    return [
        WrittenSetting(at=("sweep", "grid"), changes=dict(zip(grid, values, strict=True)))
        for values in islice(product(*grid.values()) if grid else (), MOST)
    ]


def _grid(sweep: Mapping[str, Any]) -> dict[str, list[Any]]:
    grid = sweep.get("grid", {})
    return {key: values for key, values in grid.items() if isinstance(values, list)}


def sweep_of(filled: Mapping[str, Any]) -> Sweep | None:
    if "sweep" not in filled:
        return None
    written, task = filled["sweep"], filled["task"]
    methods = (setting.within(filled["method"]) for setting in written_settings(written))
    usual = primary(task["kind"], answer_pattern=task["answer_pattern"])
    return Sweep(
        settings=tuple(method_of(method, filled) for method in methods),
        choose_by=written.get("choose_by", usual),
    )


def sweep_mapping(sweep: Sweep, method: Method) -> dict[str, Any]:
    """Return a sweep as its section would hold it: a list of settings with the keys in which they differ."""
    settings = [values_of(setting, named(sweep, method)) for setting in sweep.settings]
    return {"list": settings, "choose_by": sweep.choose_by}


def named(sweep: Sweep, method: Method) -> tuple[str, ...]:
    """Return the keys in which a setting differs from `method`, in order, except those that full training drops."""
    base, *settings = (method_mapping(one, has_unset=True) for one in (method, *sweep.settings))
    return tuple(
        key
        for key in _keys(base, *settings)
        if any(setting.get(key, base.get(key)) != base.get(key) for setting in settings)
    )


def varied(sweep: Sweep) -> tuple[str, ...]:
    """Return the keys in which settings differ from each other, in order."""
    settings = [method_mapping(setting, has_unset=True) for setting in sweep.settings]

    def differs(key: str) -> bool:
        values = [one.get(key) for one in settings if key in one or key not in ADAPTER_KEYS]
        return any(value != values[0] for value in values)

    return tuple(filter(differs, _keys(*settings)))


def _keys(*mappings: Mapping[str, Any]) -> list[str]:
    longest_first = sorted(
        mappings, key=len, reverse=True
    )  # Full training has no keys of an adapter.
    return list(dict.fromkeys(key for keys in longest_first for key in keys if key != "seeds"))


def values_of(method: Method, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return those of the keys that a method has, as a recipe would write them."""
    mapping = method_mapping(method, has_unset=True)
    return {key: mapping[key] for key in keys if key in mapping}


def setting_words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value_words(value)}" for key, value in values.items())


def own_words(recipe: Recipe) -> str:
    values = recipe.sweep and values_of(recipe.method, varied(recipe.sweep))
    return setting_words(values) if values else ""


def value_words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # `:g` keeps six digits; where that would be another number, all digits are shown.
        return short if float(short := f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {value_words(inner)}' for key, inner in value.items())}}}"
    return str(value)


def sweep_words(sweep: Sweep) -> str:
    keys = listed(varied(sweep))
    return f"{len(sweep.settings)} settings of {keys}, chosen by {sweep.choose_by} on the validation rows"


def methods_of(recipe: Recipe) -> tuple[Method, ...]:
    return recipe.sweep.settings if recipe.sweep else (recipe.method,)


def settled(recipe: Recipe, number: int) -> Recipe:
    if recipe.sweep is None:
        return recipe
    return replace(recipe, method=recipe.sweep.settings[number])


def by_length(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the recipe once for each way in which its settings prepare rows, shortest `max_length` first."""
    methods: dict[tuple[int, bool, str], Method] = {}
    chooses_first = sorted(
        methods_of(recipe), key=lambda one: one.keep != "best" and one.early_stopping is None
    )
    for method in chooses_first:
        loss = method.preference.loss if method.preference else ""
        methods.setdefault((method.max_length, method.packing, loss), method)
    return tuple(replace(recipe, method=methods[rows]) for rows in sorted(methods))
