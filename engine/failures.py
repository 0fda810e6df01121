"""Failures of the machine, and of libraries that say so in their own way, as typed errors."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from typing import Final

from engine.errors import EngineError, EnvironmentProblem, StageError, first_line
from engine.store import storage_problem
from engine.store.store import FULL_DISK, size_problem

NO_MEMORY: Final = (
    *("can't allocate memory", "out of memory", "cannot allocate memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)
"""What torch's allocators write, and libraries of GPUs in their own way; their errors are RuntimeErrors."""
NO_SIZE: Final = ("(os error 27)", "file too large")
"""What libraries written in Rust make of EFBIG."""
NO_PLACE: Final = (
    "index out of range in self",
    "indexselectlargeindex",
    "srcindex < srcselectdimsize",
)
"""What torch writes where a token's number is not below the rows of the embedding."""


LIBRARIES: Final = frozenset(
    {
        *("accelerate", "bitsandbytes", "gguf", "huggingface_hub", "jinja2", "llguidance", "peft"),
        *("safetensors", "safetensors_rust", "sentencepiece", "tokenizers", "torch"),
        *("transformers", "trl"),
    }
)
"""Whose errors speak of a model, its files or the machine; they come as any type, from KeyError on."""


@contextlib.contextmanager
def library_errors(code: str, what: str, *, hint: str, path: str = "") -> Iterator[None]:
    """Raise whatever a library raises as a StageError `code`; E740 where it is for want of memory.

    What says that nothing more can be written is raised as it is (`as_engine_error`). Libraries raise errors of every
    type on files that they do not expect. Within the block stand calls of theirs only.
    """
    try:
        yield
    except (EngineError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    # a library written in Rust panics with what is no `Exception`
    except BaseException as error:
        if (full := _no_memory(error)) is not None:
            raise full from error
        if _no_room(error):
            raise
        plain = isinstance(error, OSError | ValueError | RuntimeError) or type(error) is Exception
        named = "" if plain else f"{type(error).__name__}: "
        raise StageError.one(
            code, f"{what}: {named}{first_line(error)}", hint=hint, path=path
        ) from error


def _no_room(error: BaseException) -> bool:
    """Tell whether an error says that the disk is full, or a file as large as this process may write."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT) or _reads(error, NO_SIZE + FULL_DISK)


def _no_memory(error: BaseException) -> EnvironmentProblem | None:
    if not isinstance(error, MemoryError) and not _mentions(error, NO_MEMORY):
        return None
    return EnvironmentProblem.one(
        "E740",
        f"the memory is full: {first_line(error)}",
        hint="close other programs, lower method.micro_batch_size, or take a smaller base model",
    )


def as_engine_error(error: BaseException, root: Path) -> EngineError | None:
    """Return a failure as an error of ours, or None for what can only be a bug; `root` is the store's."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, SystemExit | GeneratorExit):
        return None
    return (
        _no_memory(error) or _no_place(error) or _of_the_system(error, root) or _of_a_library(error)
    )


def _no_place(error: BaseException) -> StageError | None:
    if not _mentions(error, NO_PLACE):
        return None
    return StageError.one(
        "X693",
        "the tokenizer of the base model makes tokens that its embedding has no row for",
        path="base_model",
        hint="take tokenizer and weights of the same revision of the same model",
    )


def _of_the_system(error: BaseException, root: Path) -> EngineError | None:
    if _reads(error, NO_SIZE):
        return size_problem()
    if _reads(error, FULL_DISK):
        return storage_problem(OSError(errno.ENOSPC, ""), root)
    return storage_problem(error, root) if isinstance(error, OSError) else None


def _of_a_library(error: BaseException) -> StageError | None:
    library = library_of(error)
    if library is None:
        return None
    return StageError.one(
        "X690",
        f"{library} failed: {type(error).__name__}: {first_line(error)}",
        hint="the files of the model may be damaged or of another kind: fetch or make them again",
    )


def library_of(error: BaseException) -> str | None:
    """Return which of `LIBRARIES` raised an error, if one did; what is written in Rust shows no frame of its own."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    names = [str(name).partition(".")[0] for name in (type(error).__module__, *frames)]
    if found := [name for name in (names[0], names[-1]) if name in LIBRARIES]:
        return found[0]
    # `tokenizers` raises a bare `Exception`, and its frames are not Python's
    is_bare = type(error) is Exception or type(error).__name__ == PANIC
    return "the tokenizer" if is_bare else None


PANIC: Final = "PanicException"
"""Of a library written in Rust that gave up: no `Exception`, but no wish to end the process either."""


def _mentions(error: BaseException, texts: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError | IndexError) and _reads(error, texts)


def _reads(error: BaseException, texts: tuple[str, ...]) -> bool:
    message = str(error).lower()
    return any(text in message for text in texts)
