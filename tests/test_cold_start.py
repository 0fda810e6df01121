import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.verbs import VERBS
from engine.stages import OPTIONAL
from support.paths import ROOT

HEAVY = {
    "torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "axolotl", "sklearn",
    "accelerate", "numba", "pyarrow", "pandas", "scipy", "huggingface_hub", "gguf", "inferna",
    "xllamacpp", "ray", "obstore", "sky",
}  # fmt: skip

QUICKSTART = "recipes/quickstart.yaml"
BESIDE_ROWS = "recipes/ticket-topics.yaml"
COMPUTE = """\
compute: v1
store: s3://team-models/recipes
profiles:
  box: {processes: 8, parallel: 2}
  ray: {engine: ray, address: local, nodes: 2}
  slurm: {engine: slurm, nodes: 2, time: 1h}
  sky: {engine: skypilot, device: "H100:8", spot: true}
"""

LIGHT = [
    ["--help"],
    ["validate", QUICKSTART],
    ["validate", QUICKSTART, "--format", "json"],
    ["plan", QUICKSTART, "--store", "STORE"],
    ["plan", QUICKSTART, "--store", "STORE", "--device", "rtx-4090", "--explain"],
    *(
        ["plan", QUICKSTART, "--store", "STORE", "--compute", "COMPUTE", "--on", name]
        for name in ("box", "ray", "slurm", "sky")
    ),
    ["compile", QUICKSTART],
    ["diff", QUICKSTART, "recipes/ticket-topics.yaml"],
    ["diff", QUICKSTART, "--from", "HEAD", "--format", "json"],
    ["ci", "--from", "HEAD"],
    ["compile", QUICKSTART, "--explain"],
    ["schema"],
    ["schema", "method.rank"],
    ["explain", "R104"],
    ["init"],
    ["runs", "--store", "STORE"],
    ["fmt", "--check", QUICKSTART],
    ["pin", QUICKSTART],
    ["doctor"],
    ["report", "--store", "STORE"],
    ["run", "--help"],
    ["data", "--help"],
]


OF_ONE = """
import sys
from engine.cli.main import main

main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(" ".join(sys.modules))
"""

IN_A_ROW = """
import json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from engine.cli.main import main

folder, commands = sys.argv[1], json.loads(sys.argv[2])
for number, words in enumerate(commands):
    before = set(sys.modules)
    with open(os.devnull, "w") as quiet, redirect_stdout(quiet), redirect_stderr(quiet):
        try:
            main(words)
        except SystemExit:
            pass
    with open(f"{folder}/{number}.modules", "w") as file:
        file.write(" ".join({name.partition(".")[0] for name in {*sys.modules} - before}))
"""
"""What two verbs import is seen at the first of them: once it is mended, at the next."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """What each light verb has imported that those before it had not."""
    folder = tmp_path_factory.mktemp("light")
    places = {"STORE": str(folder / "store"), "COMPUTE": str(folder / "compute.yaml")}
    Path(places["COMPUTE"]).write_text(COMPUTE, encoding="utf-8")
    # they need not be installed here for an import of them to be seen
    for name in ("ray", "sky"):
        (folder / f"{name}.py").touch()
    commands = [[places.get(word, word) for word in words] for words in LIGHT]
    subprocess.run(
        [sys.executable, "-c", IN_A_ROW, folder, json.dumps(commands)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}, check=True,
    )  # fmt: skip
    return [
        set((folder / f"{number}.modules").read_text(encoding="utf-8").split())
        for number in range(len(LIGHT))
    ]


@pytest.mark.parametrize("number", range(len(LIGHT)), ids=[" ".join(words) for words in LIGHT])
def test_light_verbs_never_import_the_machine_learning_stack(
    number: int, loaded: list[set[str]]
) -> None:
    assert set() == loaded[number] & HEAVY


def test_what_they_import_is_seen(loaded: list[set[str]]) -> None:
    assert "yaml" in set().union(*loaded)


OF_NO_VERB = {
    "engine.backends.process_training",
    *(f"engine.stages.{one}" for one in OPTIONAL),
}
SPARED = {
    ("validate", QUICKSTART): {"importlib.metadata", "subprocess", "rich.console", "engine.data", "engine.metrics"},
    ("compile", QUICKSTART): {"rich.console", "subprocess", "engine.data.checks", "engine.data.reading.readers"},
    ("diff", QUICKSTART): {"rich.console", "pygit2", "engine.process.start"},
    ("plan", BESIDE_ROWS): {
        "engine.data.checks", "engine.data.prepare", "engine.data.row_index", "engine.process.start",
    },
    ("plan", QUICKSTART): {
        "engine.data.prepare", "engine.data.reading.readers", "engine.data.row_index", "engine.pipeline.loop",
        "engine.process.start", "engine.process.confine", "engine.runtime.gguf.convert",
    },
}  # fmt: skip
"""What takes tens of milliseconds together, and these recipes need none of."""


@pytest.mark.parametrize(("verb", "recipe"), SPARED)
def test_a_verb_imports_no_part_of_the_engine_that_its_recipe_does_not_need(
    verb: str, recipe: str, tmp_path: Path
) -> None:
    words = [verb, recipe, *((BESIDE_ROWS,) if verb == "diff" else ())]
    words += [] if verb == "validate" else ["--store", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-c", OF_ONE, tmp_path / "modules", *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    loaded = set((tmp_path / "modules").read_text(encoding="utf-8").split())

    assert f"engine.cli.{VERBS[verb].module}" in loaded
    assert loaded & (SPARED[verb, recipe] | OF_NO_VERB) == set()


OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from engine.cli.main import main

main(["plan", sys.argv[1], "--store", "store"])
print(sum(name.endswith("tickets.csv") for name in opened))
"""


def test_a_plan_reads_rows_no_more_often_for_many_settings_than_for_one(tmp_path: Path) -> None:
    written = (ROOT / BESIDE_ROWS).read_text(encoding="utf-8")
    (tmp_path / "one.yaml").write_text(written, encoding="utf-8")
    grid = "sweep: {grid: {learning_rate: [1e-4, 2e-4, 4e-4], rank: [8, 16]}}"
    (tmp_path / "many.yaml").write_text(f"{written}\n{grid}\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "recipes/data/tickets.csv", tmp_path / "data")
    one, many = (
        subprocess.run(
            [sys.executable, "-c", OPENED, name],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True,
        ).stdout.splitlines()[-1]
        for name in ("one.yaml", "many.yaml")
    )  # fmt: skip

    assert 0 < int(many) <= int(one)


@pytest.mark.parametrize("module", ["engine.runs.predict_output", "engine.serving.asker"])
def test_a_gguf_file_is_asked_without_the_libraries_that_train(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip

    assert module in loaded
    assert set(loaded) & {"torch", "transformers", "sklearn", "peft", "datasets"} == set()
