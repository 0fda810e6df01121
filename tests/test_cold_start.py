from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "axolotl", "sklearn",
    "accelerate", "numba", "pyarrow", "pandas", "scipy", "huggingface_hub", "gguf", "inferna",
    "xllamacpp", "ray", "obstore", "sky",
}  # fmt: skip

QUICKSTART = "recipes/quickstart.yaml"
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


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_light_verbs_never_import_the_machine_learning_stack(
    words: list[str], root: Path, tmp_path: Path
) -> None:
    compute = tmp_path / "compute.yaml"
    compute.write_text(COMPUTE, encoding="utf-8")
    places = {"STORE": str(tmp_path / "store"), "COMPUTE": str(compute)}
    words = [places.get(word, word) for word in words]
    script = (
        "import sys; from engine.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('\\nMODULES', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    # they need not be installed here for an import of them to be seen
    for name in ("ray", "sky"):
        (tmp_path / f"{name}.py").touch()
    result = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=root, env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(result.stdout.rpartition("MODULES")[2].split())

    assert "engine" in loaded
    assert set() == loaded & HEAVY
