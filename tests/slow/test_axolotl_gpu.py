"""Configs of GPUs, held against Axolotl's own schema; no GPU is needed for that."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine.process.start import environment
from support.paths import ROOT

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "tests" / "golden" / "axolotl"
VALIDATE = """
import json, sys
import yaml
from axolotl.cli.config import prepare_plugins
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault

written = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
config = DictDefault(written)
prepare_plugins(config)
gpu = {"bf16": True, "fp8": True, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
taken = validate_config(config, capabilities=gpu, env_capabilities={"torch_version": "2.14.1"})
print(json.dumps({key: [written[key], taken.get(key)] for key in written if taken.get(key) != written[key]}))
"""
SAME = {"plugins", "datasets", "test_datasets"}
"""Axolotl fills these in with defaults of its own."""


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*gpu*.yaml")))
def test_axolotl_takes_every_key_of_a_gpu_as_it_is_written(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, str(GOLDEN / f"{name}.yaml")],
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    changed = json.loads(done.stdout.splitlines()[-1])

    assert changed.keys() - SAME == set()
