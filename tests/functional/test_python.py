"""The engine from Python: the script of `docs/how-to/use-from-python.md`, and what it may rely on."""

import ast
import re
import subprocess
import sys
from typing import Any

import pytest

import engine
from engine import load_recipe, load_report, plan, run
from engine.errors import RecipeError
from engine.values import replace
from support.paths import ROOT
from support.project import Project

PAGE = ROOT / "docs" / "how-to" / "use-from-python.md"
CELLS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
)


def shown_by(cells: list[str]) -> list[str]:
    """What each cell shows, its last line, as in a notebook."""
    names: dict[str, Any] = {"shown": lambda *values: " ".join(map(str, values))}
    lines: list[str] = []
    for cell in cells:
        *before, last = cell.strip().splitlines()
        exec("\n".join(before), names)  # noqa: S102 - our own page
        lines.append(eval(f"shown({last})", names))  # noqa: S307 - the same
    return lines


def test_the_script_of_the_page_shows_its_values(finished: Project) -> None:
    runs = finished.folder / ".recipe" / "runs" / "tiny"
    before = set(runs.iterdir())

    named, planned, done, checks, answer = shown_by(CELLS)

    [made] = set(runs.iterdir()) - before
    assert done.endswith(f".recipe/runs/tiny/{made.name}")
    assert named == "tiny ('negative', 'positive')"
    assert planned.startswith("[('data', 'reused'), ('baseline', 'reused'), ('compile', 'reused')")
    assert done.startswith("accepted")
    assert "'macro_f1': (" in checks
    assert answer.startswith(("negative 0.", "positive 0.", "negative 1.", "positive 1."))


def test_a_run_from_python_is_the_run_of_the_command(project: Project) -> None:
    recipe = load_recipe(project.recipe)
    store = project.folder / "store"
    before = [stage.reason for stage in plan(recipe, store=store).stages]

    result = run(recipe, store=store, until="baseline")

    stages = {stage.name: stage.reused for stage in plan(recipe, store=store).stages}
    assert before[0] == "never built"
    assert result.error is None
    assert result.folder is not None
    assert result.report.outcome == "stopped"
    assert load_report(store=store) == load_report(result.folder, store=store) == result.report
    assert [name for name, reused in stages.items() if reused] == ["data", "baseline"]


def test_a_recipe_that_is_not_what_its_file_says_is_not_run(project: Project) -> None:
    recipe = load_recipe(project.recipe)

    with pytest.raises(ValueError, match=r"not the one in `recipe\.yaml`"):
        run(replace(recipe, description="another one"))

    assert not (project.folder / ".recipe").exists()


def test_a_wrong_recipe_raises_every_problem(project: Project) -> None:
    project.edit(task__kind="poetry", base_model=None)

    with pytest.raises(RecipeError) as raised:
        load_recipe(project.recipe)

    assert len(raised.value.problems) > 1


def test_importing_the_engine_imports_nothing_else_of_it() -> None:
    script = (
        "import sys, engine; print(*sorted(name for name in sys.modules if name[:7] == 'engine.'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["engine.process"]


def test_every_public_name_has_a_value_and_a_type() -> None:
    module = ast.parse((ROOT / "engine" / "__init__.py").read_text("utf-8"))
    imports = (node for node in ast.walk(module) if isinstance(node, ast.ImportFrom))
    typed = {alias.name for node in imports for alias in node.names} - {"import_module"}

    assert typed == set(engine.__all__)
    assert [name for name in engine.__all__ if not callable(getattr(engine, name))] == [
        "__version__"
    ]
    assert set(engine.__all__) <= set(dir(engine))
    with pytest.raises(AttributeError, match="no attribute 'training'"):
        engine.__getattr__("training")
