"""`compute.yaml`: the profiles that `--on NAME` names, each as a value with every default filled in."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from engine.errors import EnvironmentProblem, Problem, RecipeError, install_hint, listed
from engine.files.reading import config_folder, parse_json
from engine.recipe.model import Method
from engine.recipe.text.source import SourceText, read_source
from engine.recipe.text.words import with_suggestion
from engine.recipe.validation.schema import Schema, schema_text
from engine.recipe.validation.schema_errors import check_structure
from engine.values import Value, field


class Ranks(Value):
    """The processes of one training; one process with one device by default."""

    processes: int = 1
    """Processes of each node."""
    nodes: int = 1
    shard: bool = False
    """Weights, gradients and optimizer are divided among them (FSDP2)."""
    retries: int = 0
    """How often a training that broke off is resumed automatically."""
    devices: tuple[str, ...] = ()
    """GPU of each process of this node, as CUDA_VISIBLE_DEVICES names it; empty on a CPU."""
    meeting: Path | None = None
    """Folder in which several machines find each other; None for one machine."""
    ray: str = ""
    """The address of the Ray that chooses the machines, or `local`; empty where nothing does."""
    host: str = ""
    """Address at which the other machines reach this one."""

    @property
    def size(self) -> int:
        return self.processes * self.nodes


ONE = Ranks()


class BatchDivision(Value):
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
    batch = method.batch_size
    fitting = [str(size) for size in range(1, batch + 1) if batch % size == 0]
    return Problem(
        code="R433",
        message=f"batch_size {batch} runs on {listed(fitting, 'or')} processes, not {ranks.size}",
        path="method.batch_size",
        hint="set `processes` of the profile to one of these, or another batch_size in the recipe, which is another "
        "training",
    )


def repeated_rows(rows: int, division: BatchDivision, ranks: Ranks) -> int:
    """Return how many rows are seen twice in an epoch: the last passes of all processes are filled up with first rows.

    Every trainer with data-parallel processes does that (accelerate's `even_batches`); one process has a smaller
    last batch instead.
    """
    return -rows % (division.micro_batch_size * ranks.size) if ranks.size > 1 else 0


FILE: Final = "compute.yaml"
LOCAL: Final = "local"
SLURM: Final = "slurm"
SKYPILOT: Final = "skypilot"
RAY: Final = "ray"
RUN: Final = (LOCAL, SLURM, RAY)
HANDED_IN: Final[Mapping[str, str]] = {SKYPILOT: "sky jobs launch FILE"}
SECONDS: Final[Mapping[str, int]] = {"m": 60, "h": 3600, "d": 86400}
OF_ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("ray",),
    "cores": ("slurm", "skypilot"),
    "device": ("slurm", "skypilot"),
    "max_cost": ("skypilot",),
    "memory": ("slurm", "skypilot"),
    "nodes": ("ray", "slurm"),
    "options": ("slurm",),
    "spot": ("skypilot",),
    "time": ("slurm", "skypilot"),
}


class StorePlace(Value):
    url: str
    trust: str = "write"
    """`read`: results are taken from it, and none are put there; `write`: both."""


class ComputeProfile(Value):
    """Where and how a recipe runs. Without arguments: this machine, one process, one device."""

    name: str = ""
    engine: str = LOCAL
    address: str | None = None
    nodes: int = 1
    processes: int = 1
    """Processes of each node."""
    device: str | None = None
    cores: int | None = None
    """Cores of each machine."""
    memory: str | None = None
    """Memory of each machine, such as 64G."""
    shard: bool = False
    parallel: int = 1
    time: int | None = None
    """Seconds."""
    retries: int = 0
    spot: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    max_cost: float | None = None
    store: StorePlace | None = None

    @property
    def ranks(self) -> Ranks:
        return Ranks(
            processes=self.processes, nodes=self.nodes, shard=self.shard, retries=self.retries
        )


def profile_of(name: str | None, file: Path | None = None) -> ComputeProfile:
    """Return the profile of that name; for None one process of this machine, with the store that the file names.

    RecipeError R430 where a profile is named and there is no file, R431 for a name that the file does not have, and
    every problem of a file that is wrong: those of `read_source` and of the schema, R432.
    """
    path = file or config_folder() / FILE
    # The default file need not be there; one that was named must be.
    if file is None and not path.is_file():
        if name is None:
            return ComputeProfile()
        raise RecipeError.one(
            "R430",
            f"there is no {FILE} that says what `{name}` is",
            hint=f"write it to {FILE} in your config folder, or name a file with --compute",
        )
    source = read_source(path)
    schema: Schema = parse_json(schema_text("compute.schema.json"))
    problems = [*source.problems, *check_structure(source, schema)]
    # What does not go together is asked of profiles that are what the schema says.
    if problems := problems or [*_unfit(source)]:
        raise RecipeError(problems)
    profiles: Any = source.value["profiles"]
    shared = _store(source.value.get("store"))
    if name is None:
        return ComputeProfile(store=shared)
    if name not in profiles:
        known = f"{path.name} has {', '.join(f'`{one}`' for one in profiles)}"
        raise RecipeError.one(
            "R431", f"no profile `{name}`", hint=with_suggestion(known, name, profiles)
        )
    given = dict(profiles[name])
    time = given.pop("time", None)
    seconds = int(time[:-1]) * SECONDS[time[-1]] if time else None
    return ComputeProfile(
        **given | {"name": name, "time": seconds, "store": _store(given.get("store")) or shared}
    )


def refuse_unready(profile: ComputeProfile, variables: Mapping[str, str] = os.environ) -> None:
    """RecipeError R434 for what `recipe run` does not start, R452 for a Ray that anybody can use; X853 without Ray."""
    if profile.engine not in RUN:
        raise RecipeError.one(
            "R434",
            f"profile `{profile.name}`: `recipe run` does not start jobs of `{profile.engine}`",
            hint="write its file with `recipe compile RECIPE --on NAME`, and hand that in: "
            f"{HANDED_IN[profile.engine]}",
        )
    address = profile.address or LOCAL
    host = address.rpartition(":")[0].strip("[]")
    is_here = address == LOCAL or host in ("localhost", "::1", "127.0.0.1")
    is_closed = is_here or variables.get("RAY_AUTH_MODE") == "token"
    if profile.engine == RAY and not is_closed:
        raise RecipeError.one(
            "R452",
            f"profile `{profile.name}`: the Ray at {profile.address} would be used without a token",
            hint="set RAY_AUTH_MODE=token here and where Ray was started",
        )
    if profile.engine == RAY and find_spec("ray") is None:
        raise EnvironmentProblem.one(
            "X853",
            f"profile `{profile.name}`: Ray is not installed in this environment",
            hint=f"{install_hint('ray')}, here and on the machines of the cluster",
        )


def _unfit(source: SourceText) -> Iterator[Problem]:
    unfit = partial(source.problem, "R432", key=True)
    profiles: Any = source.value["profiles"]
    for name, keys in profiles.items():
        engine = keys.get("engine", LOCAL)
        for key, engines in OF_ENGINES.items():
            if key in keys and engine not in engines:
                yield unfit(
                    f"`{key}` means nothing to the engine `{engine}`",
                    at=("profiles", name, key),
                    hint=f"leave it out, or set engine: {engines[0]}",
                )
        if engine == "skypilot" and not (keys.get("store") or source.value.get("store")):
            yield unfit(
                "a machine of SkyPilot is given back when the job ends, and results with it",
                at=("profiles", name),
                hint="set `store` to a bucket, in the profile or for the whole file",
            )
        # The Ray of one machine has nowhere to place variants that `parallel` does not know by itself.
        places_variants = keys.get("parallel", 1) > 1 and keys.get("address", LOCAL) != LOCAL
        is_one = keys.get("nodes", 1) * keys.get("processes", 1) == 1
        if engine == RAY and is_one and not places_variants:
            yield unfit(
                "Ray places the processes of one training, and there is one",
                at=("profiles", name),
                hint="set processes or nodes to 2 or more, set parallel and the address of a cluster,"
                " or leave engine out",
            )
        if keys.get("shard") and is_one:
            yield unfit(
                "`shard` divides a model among processes, and there is one",
                at=("profiles", name, "shard"),
                hint="set processes: 2 or more, or leave shard out",
            )


def _store(given: Any) -> StorePlace | None:
    if given is None:
        return None
    return StorePlace(url=given) if isinstance(given, str) else StorePlace(**given)
