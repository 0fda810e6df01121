"""Configs of GPUs, held against Axolotl's own schema; no GPU is needed for that."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.process.start import environment
from support.paths import ROOT

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "tests" / "golden" / "axolotl"
NAMES = sorted(path.stem for path in GOLDEN.glob("*gpu*.yaml"))
VALIDATE = """
import json, os, sys
import yaml
from axolotl.cli.config import prepare_plugins
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault

for path in sys.argv[1:]:
    # Plugins are registered for the whole process; imports take ten seconds.
    if number := os.fork():
        os.waitpid(number, 0)
        continue
    written = yaml.safe_load(open(path, encoding="utf-8"))
    config = DictDefault(written)
    prepare_plugins(config)
    gpu = {"bf16": True, "fp8": True, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
    taken = validate_config(config, capabilities=gpu, env_capabilities={"torch_version": "2.14.1"})
    changed = {key: [written[key], taken.get(key)] for key in written if taken.get(key) != written[key]}
    print(json.dumps([path, changed]), flush=True)
    os._exit(0)
"""
SAME = {"plugins", "datasets", "test_datasets"}
"""Axolotl fills these in with defaults of its own."""


@pytest.fixture(scope="module")
def validated() -> tuple[dict[str, dict[str, Any]], str]:
    """The keys that Axolotl takes otherwise, of each config that it takes; and what it wrote about the others."""
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, *(str(GOLDEN / f"{name}.yaml") for name in NAMES)],
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    return {Path(path).stem: changed for path, changed in lines}, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_axolotl_takes_every_key_of_a_gpu_as_it_is_written(
    name: str, validated: tuple[dict[str, dict[str, Any]], str]
) -> None:
    changed, errors = validated

    assert name in changed, errors[-6000:]
    assert changed[name].keys() - SAME == set()
