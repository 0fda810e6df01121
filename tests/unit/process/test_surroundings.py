"""Variables that have libraries compute otherwise than a recipe says reach none."""

import pytest

from engine.process import library_settings
from engine.process.library_settings import instructions, take_out, taken_out_problem

BENDING = {
    "ACCELERATE_MIXED_PRECISION": "fp16",
    "FSDP_OFFLOAD_PARAMS": "true",
    "NVIDIA_TF32_OVERRIDE": "1",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
}
PLAIN = {"HOME": "/home/user", "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0"}


@pytest.fixture(autouse=True)
def nothing_taken_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_settings, "_unreported", set())


def test_what_bends_numbers_is_taken_out_and_the_rest_stays() -> None:
    variables = {**BENDING, **PLAIN}

    take_out(variables)

    assert variables == PLAIN


def test_it_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BENDING.items():
        monkeypatch.setenv(name, value)

    take_out()
    problem = taken_out_problem()

    assert problem is not None
    assert problem.code == "E764"
    assert all(name in problem.message for name in BENDING)
    assert taken_out_problem() is None


def test_nothing_is_reported_of_an_environment_without_them() -> None:
    assert taken_out_problem() is None


def test_choices_among_the_processors_instructions_are_kept_and_named() -> None:
    variables = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", **PLAIN}

    take_out(variables)

    assert instructions(variables) == "ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2"
    assert instructions(PLAIN) == ""
