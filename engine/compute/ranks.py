"""The processes that train one model together, and how the recipe's batch is divided among them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.errors import Problem, RecipeError, listed
from engine.recipe.model import Method
from engine.values import Value


class Ranks(Value):
    """The processes of one training; one process with one device by default."""

    processes: int = 1
    """On each node."""
    nodes: int = 1
    shard: bool = False
    """Weights, gradients and optimizer are divided among them (FSDP2)."""
    retries: int = 0
    """How often a training that broke off goes on by itself."""
    devices: tuple[str, ...] = ()
    """What CUDA_VISIBLE_DEVICES calls the GPU of each on this node; empty on a CPU."""
    meeting: Path | None = None
    """Where several machines find each other; None for one."""
    ray: str = ""
    """The address of the Ray that chooses the machines, or `local`; empty where nothing does."""
    host: str = ""
    """How the others reach this one, where there are several."""

    @property
    def size(self) -> int:
        return self.processes * self.nodes


ONE = Ranks()


class BatchDivision(Value):
    """A batch of the recipe as each process takes it."""

    micro_batch_size: int
    """Rows of one forward pass."""
    accumulation: int
    """Forward passes of one process in an optimizer step."""


def divided(method: Method, ranks: Ranks) -> BatchDivision:
    """Return how the batch is divided. RecipeError R433 where so many processes cannot share it.

    batch_size = micro_batch_size x accumulation x processes, where micro_batch_size is the largest that fits and is no
    more than the recipe's.
    """
    if problem := _indivisible(method, ranks):
        raise RecipeError([problem])
    each = method.batch_size // ranks.size
    most = min(method.micro_batch_size, each)
    micro = next(size for size in range(most, 0, -1) if each % size == 0)
    return BatchDivision(micro_batch_size=micro, accumulation=each // micro)


def refuse_indivisible(methods: Iterable[Method], ranks: Ranks) -> None:
    """RecipeError R433 where any of the recipe's batches cannot be shared by so many processes; all of them at once."""
    found = (_indivisible(method, ranks) for method in methods)
    problems = tuple(dict.fromkeys(problem for problem in found if problem))
    if problems:
        raise RecipeError(problems)


def _indivisible(method: Method, ranks: Ranks) -> Problem | None:
    if method.batch_size % ranks.size == 0:
        return None
    fitting = [str(size) for size in sizes_of(method.batch_size)]
    return Problem(
        code="R433",
        message=f"batch_size {method.batch_size} runs on {listed(fitting, 'or')} processes, not {ranks.size}",
        path="method.batch_size",
        hint="set `processes` of the profile to one of these, or another batch_size in the recipe, which is another "
        "training",
    )


def sizes_of(batch_size: int) -> tuple[int, ...]:
    return tuple(size for size in range(1, batch_size + 1) if batch_size % size == 0)


def repeated_rows(rows: int, division: BatchDivision, ranks: Ranks) -> int:
    """Return how many rows are seen twice in an epoch: the last passes of all processes are filled up with first rows.

    Every trainer with data-parallel processes does that (accelerate's `even_batches`); one process has a smaller
    last batch instead.
    """
    return -rows % (division.micro_batch_size * ranks.size) if ranks.size > 1 else 0
