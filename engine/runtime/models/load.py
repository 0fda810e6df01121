"""Loading a model folder, with or without an adapter, the same way wherever a model is run."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any, Final, Self

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import EnvironmentProblem, StageError, first_line
from engine.failures import library_errors
from engine.runtime.models.model_files import require_settings
from engine.runtime.rendering.chat import Chat, kept_chat
from engine.runtime.training.fused_lora import fuse
from engine.values import Value

FEWEST: Final = 8
"""Lengths are multiples of so many tokens at least."""
PART: Final = 16


def filling_of(tokens: int) -> int:
    """Return how many tokens are put behind a pass, less than a sixteenth of it, so that many are of one length."""
    step = 1 << max((tokens // PART).bit_length() - 1, 0)
    return -tokens % max(FEWEST, step)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute by this thread alone. Not in two threads at once: what is started meanwhile has one thread for good."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


AT_ONCE: Final = 4
"""Passes beside each other. Each has logits and states of its own, and all of them wait for one interpreter."""


class Lanes:
    """Runs calls beside each other while its context is open."""

    def __init__(self, device: torch.device) -> None:
        """Divide the threads of a processor; another device computes one call after another."""
        self._threads = torch.get_num_threads()
        self.count = min(self._threads, AT_ONCE) if device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None

    def run[T](self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Return what the calls return, in their order. A single one has all threads."""
        if len(calls) == 1 or self.count == 1:
            return [call() for call in calls]
        if self._pool is None:
            share = self._threads // self.count
            self._pool = ThreadPoolExecutor(
                self.count, initializer=torch.set_num_threads, initargs=(share,)
            )
        # The mode is one of each thread.
        futures = [self._pool.submit(torch.inference_mode()(call)) for call in calls]
        # All of them end before one's error is raised: whoever catches it may change the model.
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            # What a thread sets for itself is also what threads begin with that are started later.
            torch.set_num_threads(self._threads)


def in_64_bits(numbers: torch.Tensor) -> torch.Tensor:
    """Return numbers in 64 bits where they are; those of an Apple GPU, which has none so wide, on the processor."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()


HIDE = 'hide the GPU (CUDA_VISIBLE_DEVICES="") to use the processor'


def torch_device(device: Device) -> torch.device:
    """Return the device as torch names it. EnvironmentProblem B435 for a GPU that torch cannot use."""
    if device.kind == "cuda" and not torch.cuda.is_available():
        why = "it is built without CUDA" if torch.version.cuda is None else "it finds no GPU"
        if torch.version.cuda is not None:
            try:
                torch.cuda.init()  # type: ignore[no-untyped-call]
            except (RuntimeError, AssertionError) as error:
                why = first_line(error)
        what = (
            f"torch {torch.__version__} cannot use the {device.name or 'GPU'} that is here: {why}"
        )
        hint = f"install a torch with CUDA that the driver knows, or {HIDE}"
        raise EnvironmentProblem.one("B435", what, hint=hint)
    return torch.device(device.kind)


SPARED: Final = 128
"""Tokens that shorter rows may be filled up with, for each pass that is saved: one core computes 250 in the time."""
MOST: Final = 1536
"""Tokens of a pass over several rows: those of a whole vocabulary's logits take memory."""


def plain_logits(
    model: Any, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    """Return the logits of each row at the places that are wanted of it, in 32 bits."""
    width = max(map(len, rows), default=0)
    size, filled = sum(map(len, rows)), width * len(rows)
    is_cheaper = filled <= min(MOST, size + SPARED * (len(rows) - 1))
    # Of recurrent layers and windows nothing is taken for granted.
    if len(rows) > 1 and is_cheaper and not wants_single_rows(model.config, width):
        return _passed(model, rows, wanted)
    pairs = zip(rows, wanted, strict=True)
    return [one for row, places in pairs for one in _passed(model, [row], [places])]


def _passed(
    model: Any, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    width = max(map(len, rows))
    device = next(model.parameters()).device
    given = [[*islice(chain(row, cycle(row)), width)] for row in rows]
    kept = sorted({place for places in wanted for place in places})
    few = {} if len(kept) >= width - 1 else {"logits_to_keep": torch.tensor(kept, device=device)}
    # As a tensor: of a slice of several rows torch would copy the whole output matrix once a row.
    logits = model(input_ids=torch.tensor(given, device=device), use_cache=False, **few).logits
    # Some models keep all of them whatever they are asked.
    at = {place: number for number, place in enumerate(kept)}
    if logits.shape[1] == width:
        at = {place: place for place in kept}
    return [
        own[[at[place] for place in places]].float()
        for own, places in zip(logits, wanted, strict=True)
    ]


LOADABLE = "it needs config.json and safetensors of an architecture transformers knows"
RETRAIN = "train again: `recipe run RECIPE --force train`"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class LoadedModel(Value):
    """A loaded model, and how prompts for it are written."""

    model: Any
    """A transformers causal language model, or a PeftModel around one; in evaluation mode."""
    chat: Chat
    folder: Path
    adapter: Path | None
    precision: str

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def vocabulary(self) -> int:
        size: int = self.model.get_output_embeddings().weight.shape[0]
        return size


def load_model(
    model_dir: Path, *, device: Device, precision: str, adapter: Path | None = None
) -> LoadedModel:
    """Load from safetensors only, without remote code, onto `device` in bf16, fp16 or fp32.

    The adapter stays beside the weights: it is what was trained, before any merge. StageError X604
    when the model cannot be loaded, X605 when a tensor of the adapter found no place in it. EnvironmentProblem B435.
    """
    where = torch_device(device)
    chat = kept_chat(model_dir, asks=None)
    transformers_logging.disable_progress_bar()
    if device.kind == "cpu":
        # Sums over another number of threads can round otherwise in bf16, and turn answers near a tie.
        torch.set_num_threads(device.threads)
    with library_errors("X604", "the model cannot be loaded", hint=LOADABLE):
        # transformers would otherwise also take pickled weights, which can run code.
        model = load_whole(model_dir, dtype=DTYPES[precision], use_safetensors=True)
    if adapter is not None:
        # PEFT imports what `auto_mapping` of an adapter's configuration names.
        require_settings(adapter)
        with library_errors("X605", "the adapter cannot be loaded", hint=RETRAIN):
            model = PeftModel.from_pretrained(
                model,
                str(adapter),
                is_trainable=False,
                local_files_only=True,
                trust_remote_code=False,
            )
        # PEFT merely warns of names that do not match, and the adapter then does nothing.
        with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
            given = set(file.keys())
        if missing := given.symmetric_difference(get_peft_model_state_dict(model)):
            raise StageError.one(
                "X605",
                f"the adapter does not fit the base model: {len(missing)} of {len(given)} tensors "
                f"unmatched, such as {min(missing)}",
                hint=RETRAIN,
            )
    model = model.to(where).eval()
    # The product that it was trained with; PEFT would compute the adapter in 32 bits, at the cost of most of a layer.
    fuse(model, on=True)
    return LoadedModel(
        model=model, chat=chat, folder=model_dir, adapter=adapter, precision=precision
    )


def tensor_places(folder: Path, files: str = "*.safetensors") -> dict[str, Path]:
    """Return the file of each tensor in the files of a folder."""
    found = dict[str, Path]()
    for path in sorted(folder.glob(files)):
        with safe_open(path, framework="pt") as file:
            found |= dict.fromkeys(sorted(file.keys()), path)
    return found


def read_tensor(path: Path, name: str) -> torch.Tensor:
    # Opened for each: what was read of an open file counts as this process's memory.
    with safe_open(path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor


def load_whole(folder: Path, **options: Any) -> Any:
    """Return the causal language model of a folder. StageError X692 where a weight is missing."""
    return whole_model(
        *AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    )


def whole_model(model: Any, loading: Mapping[str, Any]) -> Any:
    """Return the model when its files held all of its weights: what is missing would be random. StageError X692."""
    missing = sorted(map(str, loading.get("missing_keys", ())))
    if missing:
        what = (
            f"the weights of the model lack {len(missing)} of its tensors, such as `{missing[0]}`"
        )
        hint = "fetch or make the model again"
        raise StageError.one("X692", what, path="base_model", hint=hint)
    return model


def wants_single_rows(config: Any, length: int) -> bool:
    """Say whether rows go one at a time: padding shifts a sliding window and recurrent states."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds - {"full_attention", "sliding_attention"}:
        return True
    window = getattr(config, "sliding_window", None)
    return "sliding_attention" in kinds and window is not None and length > window


def not_a_number(code: str, what: str) -> StageError:
    hint = "train again at a lower learning rate, or set `backend.precision: fp32`"
    return StageError.one(code, what, hint=hint)


def attention_of(model: Any) -> str:
    name: str = model.config._attn_implementation  # noqa: SLF001 - transformers has no getter
    return name


def causal_model(model: Any) -> Any:
    """Return the causal language model inside a PeftModel, its adapter in its layers; any other as it is."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
