"""One recipe in, a gated and quantized small language model out.

recipe -> plan -> pipeline -> stages: data, baseline, compile, train, evaluate, gate, merge, quantize,
verify, report. Read `engine.stages`, then `engine.pipeline.loop`, then `engine.pipeline.plan`.

From Python: `from engine import load_recipe, plan, run, predict, load_report`. Each name is imported when it
is first used, so that `import engine` stays light; their types are in `__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module

from engine.process.version import __version__

__all__ = ["Recipe", "__version__", "load_recipe", "load_report", "plan", "predict", "run"]


def __getattr__(name: str) -> object:
    """Import one of `__all__` when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "engine.recipe.model" if name == "Recipe" else "engine.runs.api"
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
