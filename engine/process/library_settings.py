"""Variables by which libraries would compute otherwise than a recipe says: taken out before libraries are imported.

accelerate, for one, reads ACCELERATE_MIXED_PRECISION where a trainer asks for no precision of its own, and so trains in
16 bits what is named and kept as a training in 32. No stage's key holds such a variable: what it changed would be taken
for what the recipe asks for, today and whenever the result is reused. Children get what is left.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import Final

from engine.errors import Problem, Severity
from engine.files.reading import cache_folder

CACHES: Final[Mapping[str, str]] = {
    "HF_HOME": "huggingface",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "TORCH_HOME": "torch",
    "TRITON_CACHE_DIR": "triton",
}
"""Folders where libraries keep code that they later import, unpickle or run: below the user's own cache folder."""
CONFINED: Final = "confined"
"""Below it the same folders, for children that are confined: they write there, and nobody else reads it."""
NUMBA_LOCATORS: Final = "UserProvidedCacheLocator"
"""numba then keeps its cache in `NUMBA_CACHE_DIR` and looks for none beside the source or elsewhere."""


def caches() -> dict[str, str]:
    root = _cache_root()
    places = {name: str(root / folder) for name, folder in CACHES.items()}
    return {**places, "NUMBA_CACHE_LOCATOR_CLASSES": NUMBA_LOCATORS}


@cache
def _homeless_cache() -> Path:
    """Return a folder for this process alone: a user without a home has nowhere that is only theirs."""
    return Path(tempfile.mkdtemp(prefix="recipe-cache-"))


def _cache_root() -> Path:
    try:
        return cache_folder()
    except RuntimeError:
        return _homeless_cache()


def confined_cache() -> Path:
    """Return the folder of the caches that confined children share: what they leave, nobody else imports."""
    folder = _cache_root() / CONFINED
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.resolve()


def confined_variables(folder: Path, cache: Path) -> dict[str, str]:
    own = {name: str(folder) for name in ("HOME", "TEMP", "TMP", "TMPDIR")}
    # Else they are looked up in the list of accounts.
    named = dict.fromkeys(("LOGNAME", "USER"), "recipe")
    places = {name: str(cache / part) for name, part in CACHES.items()}
    return {**named, **own, **places, "CUDA_CACHE_PATH": str(cache / "cuda")}


ROUNDS: Final = "GOMP_SPINCOUNT"
BRIEFLY: Final[Mapping[str, str]] = {ROUNDS: "1000", "KMP_BLOCKTIME": "1"}
"""Rounds of GNU's library, milliseconds of LLVM's and Intel's."""
ALONE: Final = "3000"
"""Rounds where nothing else runs at the start. What starts later may make a step 1.3 times as dear, and no more."""
POLICY: Final = "OMP_WAIT_POLICY"
"""Who sets it, or one of those above, gets what they say."""
STAT: Final = Path("/proc/stat")
RUNNING: Final = re.compile(r"^procs_running (\d+)$", re.MULTILINE)


def waiting(variables: Mapping[str, str]) -> dict[str, str]:
    if POLICY in variables:
        return {}
    lacking = {name: value for name, value in BRIEFLY.items() if name not in variables}
    # Children get what their parent found.
    if ROUNDS in lacking and _is_alone():
        lacking[ROUNDS] = ALONE
    return lacking


def wait_briefly() -> None:
    os.environ.update(waiting(os.environ))


def _is_alone() -> bool:
    try:
        running = RUNNING.search(STAT.read_text("ascii"))
    except OSError:
        return False
    return running is not None and int(running[1]) <= 1


PREFIXES: Final = (
    *("ACCELERATE_", "FSDP_", "MEGATRON_LM_", "PARALLELISM_CONFIG_"),
    "PYTORCH_TUNABLEOP_",
)
"""Settings of trainers by their launchers, and of kernels that are chosen by measured time."""
NAMES: Final = frozenset(
    {
        *("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"),
        *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    }
)
"""Multiply numbers of 32 bits with fewer, or no longer do."""
INSTRUCTIONS: Final = (
    *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
)
"""Choose among a processor's instructions, as another processor would: its sums differ in their last bits."""
_unreported: set[str] = set()


def take_out(variables: MutableMapping[str, str] = os.environ) -> None:
    found = {name for name in variables if name in NAMES or name.startswith(PREFIXES)}
    for name in found:
        del variables[name]
    _unreported.update(found)


def taken_out_problem() -> Problem | None:
    """Return E764, a warning, where variables were taken out; once of each."""
    take_out()
    if not _unreported:
        return None
    listed = ", ".join(sorted(_unreported))
    _unreported.clear()
    return Problem(
        code="E764",
        message=f"{listed}: not passed on to libraries, which would compute otherwise than the recipe says",
        path="environment",
        hint="say what you want in the recipe (`backend.precision`, `method`), and unset the rest",
        severity=Severity.WARNING,
    )


def instructions(variables: Mapping[str, str] = os.environ) -> str:
    """Return the settings that choose among the processor's instructions, as text; "" for none."""
    return " ".join(f"{name}={variables[name]}" for name in INSTRUCTIONS if variables.get(name))


def read_once() -> None:
    """Have `packages_distributions` look for the files of all packages once: transformers and trl both ask it."""
    from importlib import metadata  # light verbs spare it

    metadata.packages_distributions = cache(metadata.packages_distributions)
