"""One recipe in, a gated and quantized small language model out.

recipe -> plan -> stages: data, baseline, (synthesize, teach, replay, soft_targets, sweep), compile, train, evaluate,
(resample, forgetting, drift), gate, (seeds, answers_only), merge, quantize, verify; then the report. Those in brackets
are there where a recipe asks for them.

From Python: `from engine import load_recipe, plan, run, predict, load_report`. Each name is imported when it
is first used, so that `import engine` stays light.

For a guided tour read these six files first:

1. `engine/stages/__init__.py`: the stages in order, and which of them a recipe has.
2. `engine/artifacts/stage.py`: what every stage declares and what it is given.
3. `engine/pipeline/plan.py`: the keys of stages, what is reused and why the rest runs.
4. `engine/pipeline/loop.py`: the only loop over stages.
5. `engine/stages/gate.py`: predictions become a verdict.
6. `engine/stages/verify.py`: the exported file is evaluated on the holdout again.

The packages, from the command line down; each imports only from those below it:

- `cli`: one module a verb; arguments become one call, the result is printed.
- `publish`: a run's model put where people fetch models, and read back.
- `bundle`: a signed archive of an accepted run, and its offline check.
- `serving`: an exported model behind HTTP.
- `runs`, `review`: what `run`, `challenge` and `compare`, `data`, and `diff` and `ci` do.
- `estimate`: parameters, memory, disk, time and cost before a run, and beside what it took.
- `pipeline`: the plan, the loop, what is refused before a run, the report's values.
- `stages`: the boxes of the picture in `docs/explanation/architecture.md`, and those in brackets above.
- `training`: rendered rows to weights, for the model and its variants (seeds, sweep, curve).
- `lock`: the recorded draw, the accepted run, and whether a later run reproduces it.
- `inference`: rows to predictions: the trained model, its files, the baselines, all cached; whether merged, converted
  and quantized forms still answer as the trained one.
- `artifacts`: the contract of a stage, and reading what finished stages left.
- `drafting`: a first recipe from a data file.
- `backends`, `exporters`: who trains (TRL, Axolotl, Unsloth; Nanotron by itself), and the formats that leave (GGUF,
  Ollama, safetensors, ONNX).
- `data`: rows to examples: reading, checks, duplicates, splits.
- `metrics`, `render`: scores, intervals and verdicts; pages, Markdown and terminal.
- `runtime`: torch, transformers and llama.cpp, which only this package imports at module level.
- `tracking`: the events of a run as JSON lines; the processes that follow them for MLflow and others.
- `sources`, `store`: fetching files, packages and hub repositories; results by the digest of what was asked.
- `compute`: where a recipe runs, which is no part of it: profiles of the machine's owner, batches of several processes.
- `recipe`, `kinds`: the recipe's text, rules and value; everything known of each kind of task.
- `evidence`, `codes`: the values of a report; pages of problems that no rule finds.
- `trust`, `process`, `files`: what a recipe may reach; child processes; reading and writing safely.
- `probes`: the questions that measure forgetting, as JSON lines.
- `values`: `dataclass`, made so that light verbs start soon.

Beside them, each below the packages that use it: `environment.py` (this machine), `errors.py` (problems and exit
codes), `failures.py` (failures of libraries as problems), `progress.py` (how far work has come).
"""

import sys
from importlib import import_module

if sys.platform == "win32":
    sys.exit("recipe does not run on Windows itself: use WSL 2, which is Linux")

from engine.process import __version__

TYPE_CHECKING = False  # without `typing`, which takes time to import
if TYPE_CHECKING:
    from engine.recipe.model import Recipe
    from engine.runs.api import load_recipe, load_report, plan, predict, run

__all__ = ["Recipe", "__version__", "load_recipe", "load_report", "plan", "predict", "run"]


def __getattr__(name: str) -> object:
    """Import one of `__all__` when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "engine.recipe.model" if name == "Recipe" else "engine.runs.api"
    value: object = getattr(import_module(module), name)
    # kept, so that Python finds it next time without asking here
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
