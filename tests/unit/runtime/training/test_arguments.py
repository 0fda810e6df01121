"""A trainer is given the device that it trains on, whatever class of arguments it takes."""

from pathlib import Path

import pytest

from engine.runtime.training.sft import OF_TOKENS, Folders, SftArguments, arguments


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_cpu_is_named_and_an_unknown_key_refused(precision: str, tmp_path: Path) -> None:
    # Without that, transformers refuses bf16 on a machine that has no GPU.
    (tmp_path / "validation.jsonl").write_text("", encoding="utf-8")
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path / "out", resume=None)

    made = arguments({"precision": precision}, folders, SftArguments, device="cpu", **OF_TOKENS)
    with pytest.raises(TypeError, match="odd"):
        arguments({"odd": 1, "precision": precision}, folders, SftArguments, device="cpu")

    assert made.use_cpu
    assert made.bf16 is (precision == "bf16")
