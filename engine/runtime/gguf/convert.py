"""A model folder as a GGUF file: converted and quantized by llama.cpp's own tools, then read back."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.environment import GGUF_PACKAGES, missing_gguf_tools, own_llama_cpp, version_of
from engine.errors import EnvironmentProblem, StageError, first_line
from engine.process.start import Command, module, program, script
from engine.runtime.models.model_files import require_data
from engine.runtime.models.weights import weight_files
from engine.runtime.tool_process import run_tool
from engine.store.store import out_of_room
from engine.values import Value

if TYPE_CHECKING:
    from gguf import GGUFReader


SIXTEEN_BIT = ("F16", "BF16")
SUPER_BLOCK, BLOCK = 256, 32
"""A row must be a multiple of this for K-quants, and for the older quants."""
HEADROOM = 1.1
WIDER = 0.05
"""Share of weights that fit the type asked for, and may stand in 16 or 32 bits: routers and the like."""
PURE = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
"""Types of whole files; the others are mixes, in which tensors that fit the blocks may all be of other types."""
NAMED = 0.5
"""Share of the layers' weights that must be of such a type: with an importance matrix some get more bits."""


class GgufTools(Value):
    """Commands of llama.cpp's converter and quantizer."""

    convert: Command
    quantize: Command
    origin: str


class GgufFacts(Value):
    """Facts read from a GGUF file."""

    bits_per_weight: float
    tensors: int
    fallback_tensors: int
    """Tensors whose rows do not fit the blocks of the type asked for, stored in another."""
    types: dict[str, int]


def find_tools(find_version: Callable[[str], str | None] = version_of) -> GgufTools:
    """Return the tools to use. EnvironmentProblem X630 when they are incomplete."""
    problem = missing_gguf_tools(find_version)
    if problem is not None:
        raise EnvironmentProblem(problem)
    if (own := own_llama_cpp()) is not None:
        converter, quantizer = own
        return GgufTools(
            convert=script(converter), quantize=program(quantizer), origin="$LLAMA_CPP_DIR"
        )
    return GgufTools(
        convert=module("engine.runtime.gguf.convert_worker"),
        quantize=module("engine.runtime.gguf.quantize_worker"),
        origin=", ".join(f"{name} {find_version(name)}" for name in GGUF_PACKAGES),
    )


def write_gguf(  # noqa: PLR0913 - one call, named
    model: Path,
    target: Path,
    quantization: str,
    *,
    threads: int,
    tools: GgufTools,
    sixteen: Path | None = None,
    importance: Path | None = None,
) -> None:
    """Write the model as `target` in `quantization`.

    From its 16-bit file `sixteen` where that is there already; otherwise one stands beside `target`
    meanwhile. With the importance matrix of that file, the quantizer spares the weights that matter.

    EnvironmentProblem E710 without the disk space, StageError X631 when the conversion fails, X632 when the
    quantization does.
    """
    # A converter of the user's own may run what a model names.
    require_data(model)
    copies = 2 if sixteen is None else 1
    size = sum(file.path.stat().st_size for file in weight_files(model))
    needed, free = int(copies * size * HEADROOM), shutil.disk_usage(target.parent).free
    if free < needed:
        what = f"the disk is full: the export needs {needed / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free"
        hint = "free some space and run the same command again"
        raise EnvironmentProblem.one("E710", what, hint=hint)
    # The tools run in a folder of their own.
    model, target = model.absolute(), target.absolute()
    if quantization == "F16" and sixteen is not None:
        try:
            os.link(sixteen, target)
        # Another file system, or one without hard links.
        except OSError:
            shutil.copyfile(sixteen, target)
        return
    whole = sixteen
    if whole is None or quantization in SIXTEEN_BIT:
        bits = quantization if quantization in SIXTEEN_BIT else "F16"
        whole = target if quantization in SIXTEEN_BIT else target.with_suffix(".f16.gguf")
        # A fixed name: the converter would write that of the folder, and the same model would give other bytes.
        arguments = ("--outfile", str(whole), "--outtype", bits.lower(), "--model-name", "model")
        convert = tools.convert(str(model), *arguments)
        run_tool(
            convert,
            code="X631",
            tool="the GGUF converter",
            reads=(model,),
            writes=(target.parent,),
        )
    if whole == target:
        return
    matrix = () if importance is None else ("--imatrix", str(importance.absolute()))
    run_tool(
        tools.quantize(*matrix, str(whole.absolute()), str(target), quantization, str(threads)),
        code="X632",
        tool="the GGUF quantizer",
        reads=(whole, *([importance] if importance else [])),
        writes=(target.parent,),
    )
    if sixteen is None:
        whole.unlink()


def write_vocabulary(model: Path, target: Path) -> None:
    """Have the converter write the model's vocabulary alone, which it knows or does not. StageError X772."""
    require_data(model)
    tools, target = find_tools(), target.absolute()
    if own_llama_cpp() is not None:
        run_tool(
            tools.convert(str(model.absolute()), "--vocab-only", "--outfile", str(target)),
            code="X772",
            tool="the GGUF converter",
            reads=(model,),
            writes=(target.parent,),
        )
        return
    from engine.runtime.gguf import convert_worker  # brings torch

    # The converter fails in many ways: NotImplementedError, AssertionError, SystemExit, ...
    try:
        convert_worker.write_vocabulary(model, target)
    except (Exception, SystemExit) as error:
        if refused := out_of_room(error, target.parent):
            raise refused from error
        why = first_line(error)
        what = f"the GGUF converter does not know the base model: {type(error).__name__}: {why}"
        hint = "set `export: {formats: [safetensors]}`, or take a base model that llama.cpp knows"
        raise StageError.one("X772", what, path="export.formats", hint=hint) from error


@cache
def _reader() -> type[GGUFReader]:
    import gguf  # brings NumPy
    import numpy as np

    class Reader(gguf.GGUFReader):  # type: ignore[misc]  # gguf is untyped here
        """The package's own, three times as fast: every slice of a `memmap` costs more than what is read."""

        @property
        def data(self) -> Any:
            return self._bytes

        @data.setter
        def data(self, mapped: Any) -> None:
            self._bytes = mapped.view(np.ndarray)

    return Reader


def read_gguf(file: Path) -> GGUFReader:
    """Read a file. What the package's reader raises for a damaged one."""
    return _reader()(file)


def read_back(file: Path) -> GGUFReader:
    """Read a file that was written here. StageError X634 when it is no whole GGUF file."""
    try:
        return read_gguf(file)
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise StageError.one("X634", f"`{file.name}` cannot be read back: {error}") from error


def read_facts(path: Path, quantization: str) -> GgufFacts:
    """Read back what the tools wrote. StageError X634 for no whole GGUF file, X819 for one of another type."""
    reader = read_back(path)
    types: Counter[str] = Counter()
    stored = weights = fallbacks = 0
    block = _block(quantization)
    for tensor in reader.tensors:
        kind = tensor.tensor_type.name
        types[kind] += 1
        stored += int(tensor.n_bytes)
        weights += int(tensor.n_elements)
        # Norms and biases stay in F32 in every file, and are no fallback.
        rows = len(tensor.shape) > 1 and kind != "F32"
        # GGUF names the length of a row first.
        fallbacks += rows and block > 1 and int(tensor.shape[0]) % block != 0
    if other := another_type(reader, quantization):
        what = f"`{path.name}` is not the {quantization} that was asked for: {other}"
        hint = (
            "run again with `--force quantize`; report it if it stays, with the model's config.json"
        )
        raise StageError.one("X819", what, path="export.quantization", hint=hint)
    return GgufFacts(
        bits_per_weight=8 * stored / max(weights, 1),
        tensors=len(reader.tensors),
        fallback_tensors=int(fallbacks),
        types=dict(sorted(types.items())),
    )


def another_type(reader: Any, quantization: str) -> str:
    """Return in which way a file is not of a type; tensors whose rows do not fit its blocks may be of any."""
    from gguf import LlamaFileType

    field = reader.fields.get("general.file_type")
    number = None if field is None else field.contents()
    planned = LlamaFileType.__members__.get(f"MOSTLY_{quantization}")
    if None not in (number, planned) and number != planned:
        return f"its `general.file_type` is {number}, and that of the type is {int(planned or 0)}"

    def count(tensors: Iterable[Any]) -> int:
        return sum(int(one.n_elements) for one in tensors)

    block = _block(quantization)
    wide = {"F32"} if quantization in SIXTEEN_BIT else {"F32", *SIXTEEN_BIT}
    fitting = [one for one in reader.tensors if len(one.shape) > 1 and one.shape[0] % block == 0]
    wider = [one for one in fitting if one.tensor_type.name in wide]
    if count(wider) > WIDER * count(fitting):
        return f"{count(wider):,} of its weights are stored in more bits, such as those of `{wider[0].name}`"
    layers = [one for one in fitting if one.name.startswith("blk.")]
    named = [one for one in layers if one.tensor_type.name == quantization]
    if quantization in PURE and count(named) < NAMED * count(layers):
        found = Counter(one.tensor_type.name for one in layers).most_common(1)[0][0]
        return f"most tensors of its layers are {found}"
    return ""


def _block(quantization: str) -> int:
    if quantization in SIXTEEN_BIT:
        return 1
    # IQ4_NL alone of the IQ types has blocks of 32.
    is_super = "_K" in quantization or (quantization[:2] == "IQ" and quantization != "IQ4_NL")
    return SUPER_BLOCK if is_super else BLOCK
