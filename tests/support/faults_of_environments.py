"""Variables of the environment that bend what libraries compute; a part of `support.fault_table`."""

from collections.abc import Mapping

from support.fault_seeds import noted
from support.project import Project
from support.seeded_faults import Fault, Patch, Seed


def given(**variables: str) -> Seed:
    """Return a seed of variables that libraries read."""

    def prepare(_: Project, patch: Patch) -> None:
        for name, value in variables.items():
            patch.setenv(name, value)

    return noted(prepare, "E764", "data")


OF_ENVIRONMENTS: Mapping[str, Fault] = {
    "F71": Fault(
        name="the environment has libraries compute otherwise",
        seeds={
            "a trainer in 16 bits": given(ACCELERATE_MIXED_PRECISION="fp16"),
            "a trainer on other devices": given(
                ACCELERATE_USE_CPU="true", ACCELERATE_TORCH_DEVICE="meta", FSDP_VERSION="2"
            ),
            "products of fewer bits": given(
                NVIDIA_TF32_OVERRIDE="1", ONEDNN_DEFAULT_FPMATH_MODE="BF16"
            ),
        },
        missed="variables that choose among a processor's instructions: they stand in the lock",
    ),
}
