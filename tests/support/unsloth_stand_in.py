"""A Python with a stand-in for Unsloth: what the engine asks of it, done by transformers and PEFT of this environment.

The library itself is tested where the environment variable `UNSLOTH_PYTHON` names one.
"""

import os
import sys
from pathlib import Path

import pytest

from engine.backends.unsloth import PINNED
from engine.environment import packages_of, unsloth_python

REAL = unsloth_python()
needs_unsloth = pytest.mark.skipif(
    REAL is None, reason="UNSLOTH_PYTHON names no environment with Unsloth"
)
LIBRARY = """
import os, sys
late = {"transformers", "trl", "peft"} & set(sys.modules)
if late:
    raise ImportError(f"unsloth has to come before {late}")
if os.environ.get("UNSLOTH_DISABLE_STATISTICS") != "1" or os.environ.get("UNSLOTH_FORCE_CPU") != "1":
    raise ImportError("it would tell somebody, or look for a GPU")

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, set_seed

DEVICE_TYPE = "cpu"


class FastLanguageModel:
    @staticmethod
    def from_pretrained(name, *, dtype, attn_implementation, load_in_4bit, full_finetuning,
                        local_files_only, max_seq_length, trust_remote_code, use_exact_model_name,
                        use_gradient_checkpointing):
        assert (local_files_only, trust_remote_code, use_exact_model_name) == (True, False, True)
        assert os.path.isdir(name)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, attn_implementation=attn_implementation
        )
        model.config.use_cache = False
        return model, None

    @staticmethod
    def get_peft_model(model, *, r, lora_alpha, lora_dropout, target_modules, bias,
                       use_gradient_checkpointing, random_state):
        set_seed(random_state)
        return get_peft_model(model, LoraConfig(
            r=r, lora_alpha=lora_alpha, lora_dropout=lora_dropout,
            target_modules=target_modules, bias=bias, task_type="CAUSAL_LM",
        ))
"""
PYTHON = """#!{python}
import json, runpy, sys
words = sys.argv[1:]
if "-c" in words:
    print(json.dumps({packages!r}))
else:
    start = next(place for place, word in enumerate(words) if word.endswith(".py"))
    sys.path.insert(0, {folder!r})
    sys.argv = words[start:]
    runpy.run_path(words[start], run_name="__main__")
"""


def make_stand_in(folder: Path, **packages: str) -> Path:
    """Write a Python that has Unsloth, and return it; `packages` are further ones of its list."""
    library = folder / "other" / "unsloth"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(LIBRARY, encoding="utf-8")
    listed = {"unsloth": PINNED, "python": "3.13.5", **packages}
    python = folder / "python"
    text = PYTHON.format(python=sys.executable, folder=str(library.parent), packages=listed)
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of this process names such a Python."""
    python = make_stand_in(tmp_path / "unsloth", trl="1.15.0")
    monkeypatch.setitem(os.environ, "UNSLOTH_PYTHON", str(python))
    packages_of.cache_clear()
    return python
