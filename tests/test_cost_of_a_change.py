"""What a common change costs: made in a scratch copy of the repository, tried there, and its files counted.

CONTRIBUTING promises these numbers. What `docs/generate.py` writes is not counted, as nobody writes it by hand.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.thorough

COPIED = (
    "engine",
    "schemas",
    "docs",
    "recipes",
    "tests/examples",
    "CHANGELOG.md",
    "pyproject.toml",
    "zensical.toml",
)


@dataclass(kw_only=True)
class Scratch:
    """A copy of the repository, and the files that a change has touched in it."""

    root: Path
    touched: set[str] = field(default_factory=set)

    def add(self, path: str, text: str) -> None:
        """Write a new file."""
        (self.root / path).write_text(text, encoding="utf-8")
        self.touched.add(path)

    def insert(self, path: str, *, after: str, text: str) -> None:
        """Put text behind what stands in a file exactly once."""
        file = self.root / path
        before = file.read_text("utf-8")
        assert before.count(after) == 1, f"{path} has no single {after!r}"
        file.write_text(before.replace(after, after + text), encoding="utf-8")
        self.touched.add(path)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python on the copy."""
        environ = {**os.environ, "PYTHONPATH": str(self.root), "COLUMNS": "100"}
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=self.root, env=environ, capture_output=True, text=True, check=False
        )

    def recipe(self, *words: str) -> str:
        """Return what a verb of the copy says."""
        done = self.python("-m", "engine", *words)
        return done.stdout + done.stderr


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    return Scratch(root=tmp_path)


RULE = '''"""Rules about names."""

from engine.recipe.rules import Problems, rule
from engine.recipe.text.source import SourceText


@rule("name")
def name_says_something(recipe: SourceText) -> Problems:
    if recipe["name"] == "test":
        yield recipe.problem("R299", "says nothing about the recipe", at=("name",))
'''


PAGE = """# Names

## R299: a name that says nothing

Reports of several recipes called `test` cannot be decided from each other.

Fix: Name what the model does.

Wrong:

    name: ▸test

Right:

    name: ticket-topics
"""


def test_a_rule_costs_a_function_and_its_page(scratch: Scratch) -> None:
    scratch.add("engine/recipe/rules/naming.py", RULE)
    scratch.add("engine/codes/rules/naming.md", PAGE)

    assert len(scratch.touched) == len((RULE, PAGE))
    minimal = scratch.root / "tests/examples/valid/minimal.yaml"
    broken = minimal.with_name("broken.yaml")
    broken.write_text(minimal.read_text("utf-8").replace("name: tickets", "name: test"), "utf-8")
    assert "R299" in scratch.recipe("validate", str(broken))
    assert "R299" not in scratch.recipe("validate", str(minimal))
    assert "a name that says nothing" in scratch.recipe("explain", "R299")
    assert scratch.python("docs/generate.py").returncode == 0
    assert "### R299" in (scratch.root / "docs/reference/errors.md").read_text("utf-8")


KEY = """
        "label_smoothing": {
          "description": "The share of each target that is spread over all tokens.",
          "x-weaker": "never",
          "type": "number",
          "minimum": 0,
          "maximum": 0.5,
          "default": 0.0,
          "examples": [0.1]
        },"""


def test_a_key_costs_four_files(scratch: Scratch) -> None:
    schema, example = "schemas/recipe.schema.json", "tests/examples/valid/everything.yaml"
    weight_decay = '"default": 0.0,\n          "examples": [0.01]\n        },'
    scratch.insert(schema, after=weight_decay, text=KEY)
    scratch.insert(
        "engine/recipe/model.py",
        after="    weight_decay: float\n",
        text="    label_smoothing: float\n",
    )
    scratch.insert(
        "engine/backends/base.py",
        after='    yield "weight_decay", method.weight_decay, "method.weight_decay"\n',
        text='    yield "label_smoothing_factor", method.label_smoothing, "method.label_smoothing"\n',
    )
    scratch.insert(example, after="  weight_decay: 0.01\n", text="  label_smoothing: 0.1\n")

    assert len(scratch.touched) == 4
    assert scratch.python("docs/generate.py").returncode == 0
    assert "valid" in scratch.recipe("validate", example)
    assert "spread over all tokens" in scratch.recipe("schema", "method.label_smoothing")
    minimal = scratch.root / "tests/examples/valid/minimal.yaml"
    smoothed = minimal.with_name("smoothed.yaml")
    text = minimal.read_text("utf-8").replace(
        "kind: lora\n", "kind: lora\n  label_smoothing: 0.1\n"
    )
    smoothed.write_text(text, "utf-8")
    assert "method.label_smoothing" in scratch.recipe("diff", str(minimal), str(smoothed))
    code = "import pathlib, engine.recipe as r; print(r.dump_resolved(r.check_recipe(pathlib.Path({!r}))[0]))"
    assert "  label_smoothing: 0.1\n" in scratch.python("-c", code.format(str(smoothed))).stdout
    assert "  label_smoothing: 0.0\n" in scratch.python("-c", code.format(str(minimal))).stdout
    page = (scratch.root / "docs/reference/recipe.md").read_text("utf-8")
    assert page.count("| `label_smoothing` |") == 2  # of `method`, and of a sweep's grid


KIND = '''"""Title: a short text that heads each text."""

from __future__ import annotations

from engine.kinds.kind import AnswerForm, Decoding, Kind
from engine.kinds.kind import EXACT_MATCH, VALID_OUTPUT, plain

KIND = Kind(
    name="title",
    order=8,
    reads=("task.instruction", "task.system", "task.input", "task.max_new_tokens", "data.answer"),
    needs=("task.instruction", "data.answer"),
    row_reader="engine.data.kinds.generation",
    answer=AnswerForm.TEXT,
    decoding=Decoding.FREE,
    metrics=(EXACT_MATCH, *plain("rouge_1", "rouge_2", "rouge_l"), VALID_OUTPUT),
    metric_family="engine.metrics.families.generation",
    primary="rouge_l",
    baselines=("majority", "zero_shot"),
    judged_by="free decoding",
)
'''
READ_ROW = """
import pathlib
from engine.data.kinds import filler
from engine.recipe import check_recipe
recipe, _ = check_recipe(pathlib.Path({!r}))
row = filler(recipe.task, recipe.data, "columns")({{"question": "a b c", "answer": "a"}})
print(row.input, "->", row.target, recipe.task.spec.primary)
"""


def test_a_kind_of_task_costs_one_file_and_its_name(scratch: Scratch) -> None:
    scratch.add("engine/kinds/title.py", KIND)
    scratch.insert(
        "schemas/recipe.schema.json",
        after='"generation", "chat", "text", "preference"',
        text=', "title"',
    )

    assert scratch.touched == {"engine/kinds/title.py", "schemas/recipe.schema.json"}
    recipe = scratch.root / "tests/examples/valid/title.yaml"
    text = recipe.with_name("generation.yaml").read_text("utf-8")
    text = text.replace("kind: generation", "kind: title").replace(
        "    references: [answer_2]\n", ""
    )
    recipe.write_text(text, "utf-8")
    assert "valid" in scratch.recipe("validate", str(recipe))
    assert scratch.python("-c", READ_ROW.format(str(recipe))).stdout == "a b c -> a rouge_l\n"
    assert "title" in scratch.recipe("init", "--help")
    recipe.write_text(text.replace("column: answer", "fields: {a: answer}"), "utf-8")
    assert "means nothing to kind title" in scratch.recipe("validate", str(recipe))
    assert scratch.python("docs/generate.py").returncode == 0
