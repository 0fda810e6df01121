from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "axolotl", "sklearn",
    "accelerate", "numba", "pyarrow", "pandas", "scipy", "huggingface_hub", "gguf", "inferna",
    "xllamacpp",
}  # fmt: skip

QUICKSTART = "recipes/quickstart.yaml"

LIGHT = [
    ["--help"],
    ["validate", QUICKSTART],
    ["validate", QUICKSTART, "--format", "json"],
    ["plan", QUICKSTART, "--store", "STORE"],
    ["plan", QUICKSTART, "--store", "STORE", "--device", "rtx-4090", "--explain"],
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
    words = [str(tmp_path / "store") if word == "STORE" else word for word in words]
    script = (
        "import sys; from engine.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('\\nMODULES', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(result.stdout.rpartition("MODULES")[2].split())

    assert "engine" in loaded
    assert set() == loaded & HEAVY
