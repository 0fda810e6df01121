from engine.process import __version__ as __version__
from engine.recipe.model import Recipe as Recipe
from engine.runs.api import load_recipe as load_recipe
from engine.runs.api import load_report as load_report
from engine.runs.api import plan as plan
from engine.runs.api import predict as predict
from engine.runs.api import run as run

__all__ = ["Recipe", "__version__", "load_recipe", "load_report", "plan", "predict", "run"]
