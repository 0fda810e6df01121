"""Every GPU path of the engine on the GPU that is here, in one command: `python benchmarks/gpu.py`.

Trains with each method and backend, with rows that share their common start and with plain ones. Each job is a
`recipe run` in a process of its own; one that fails prints its error and the rest goes on. What is done stands in
`results.json`: the same command goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_cases import Job, Size, base_model, jobs, write_project

from engine.backends.usage import Usage
from engine.environment import CUDA_VISIBLE, Device, detect_device, tool_versions
from engine.files.writing import write_text
from engine.store import Store
from engine.training.train import USAGE
from engine.values import from_json, to_json

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = 2
ENDING_SECONDS = 30.0
"""After which a job that was asked to end is killed."""
SIZES = {"cuda": Size(steps=24, batch=16), "cpu": Size(steps=3, batch=4)}
HEADS = (
    "path", "ms a step, shared", "plain", "times less", "tokens, times fewer", "gradients, off",
    "peak MB, shared", "plain", "estimated", "off", "train s", "estimated", "off", "basis",
)  # fmt: skip
MOST_PROBLEMS = 3
Result = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Bench:
    """The work of one command."""

    work: Path
    base: str
    device: Device
    size: Size
    ends: float
    """By the monotonic clock."""

    @property
    def file(self) -> Path:
        """Results of all jobs that were done, here or by an earlier command."""
        return self.work / "results.json"

    @property
    def store(self) -> Path:
        """One for all jobs: the base model is fetched once."""
        return self.work / "store"

    def setting(self) -> Result:
        """Return what results depend on; those of another setting are not taken up again."""
        machine = {"device": self.device.name, "memory_bytes": self.device.memory_bytes}
        work = {"base": self.base or "the quickstart's", **to_json(self.size)}
        return {**machine, **work, "versions": tool_versions()}

    def left(self) -> float:
        """Return the seconds that may still be spent."""
        return self.ends - time.monotonic()


class JobError(Exception):
    """A job that came to nothing; its last lines say why."""


def main() -> int:
    """Run what is not done yet and print the table; 1 where a job failed or found no time, 2 without a GPU."""
    options = _options()
    device = _device(options.device)
    if device is None:
        sys.stderr.write("no NVIDIA GPU is seen here; `--device cpu` tries the code without one\n")
        return NO_GPU
    default = SIZES[device.kind]
    size = Size(steps=options.steps or default.steps, batch=options.batch or default.batch)
    bench = Bench(
        work=options.work.absolute(),
        base=options.base,
        device=device,
        size=size,
        ends=time.monotonic() + 60 * options.minutes,
    )
    chosen = [job for job in jobs() if options.only in job.path]
    results = _run_all(bench, chosen, _results_so_far(bench))
    _say("\n" + "\n".join(table(results, chosen)))
    _say(f"\nresults: {bench.file}")
    return 0 if all("error" not in results.get(job.name, {"error": ""}) for job in chosen) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="", help="a folder, or owner/name[@commit] on the hub")
    parser.add_argument("--only", default="", help="paths whose name holds this, such as trl/lora")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all jobs (default: 10)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=0, help="of each training")
    parser.add_argument("--batch", type=int, default=0, help="rows of a step")
    parser.add_argument("--work", type=Path, default=Path("gpu-bench"), help="kept, to go on with")
    return parser.parse_args()


def _device(kind: str) -> Device | None:
    """Return the device of that kind, or None; the engine's processes then see the same one."""
    if kind == "cpu":
        os.environ[CUDA_VISIBLE] = ""
    found = detect_device()
    return found if found.kind == kind else None


def _results_so_far(bench: Bench) -> dict[str, Result]:
    """Return what an earlier command did in the same setting; what failed or was left out is tried again."""
    if not bench.file.exists():
        return {}
    held = json.loads(bench.file.read_text(encoding="utf-8"))
    if held["setting"] != json.loads(json.dumps(bench.setting())):
        _say(f"{bench.file} is of another setting: all is measured anew")
        return {}
    done: dict[str, Result] = held["jobs"]
    return {name: result for name, result in done.items() if "stage_seconds" in result}


def _run_all(bench: Bench, chosen: list[Job], results: dict[str, Result]) -> dict[str, Result]:
    for job in chosen:
        if job.name in results:
            _say(f"{job.name}: done before")
            continue
        if bench.left() <= 0:
            results[job.name] = {"error": "no time was left: the same command goes on"}
        else:
            results[job.name] = _guarded(bench, job)
        _say(f"{job.name}: {_words(results[job.name])}")
        held = {"setting": bench.setting(), "jobs": results}
        bench.work.mkdir(parents=True, exist_ok=True)
        write_text(bench.file, json.dumps(held, indent=2) + "\n")
    return results


def _words(result: Mapping[str, Any]) -> str:
    return result.get("error") or f"{result['stage_seconds']:.1f} s"


def _guarded(bench: Bench, job: Job) -> Result:
    try:
        return _measured(bench, job)
    except JobError as error:
        return {"error": str(error)}
    # One path of many: whatever it is, the others are still worth running.
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"}


def _measured(bench: Bench, job: Job) -> Result:
    """Run a job; return what its report and the trainer's own account say."""
    folder = bench.work / job.name.replace("/", "-").replace(" ", "-")
    recipe = write_project(folder, job, base_model(bench.base), bench.size)
    report = _run(bench, recipe)
    (cost,) = (cost for cost in report["costs"] if cost["stage"] == "train")
    (key,) = (record["key"] for record in report["stages"] if record["stage"] == "train")
    artifact = Store(bench.store).whole(key)
    if artifact is None:
        raise JobError("the training is not in the store")
    usage = from_json(Usage, json.loads(artifact.file(USAGE).read_text(encoding="utf-8")))
    return {
        "stage_seconds": cost["seconds"],
        "estimated_seconds": cost["estimated_seconds"],
        "basis": cost["basis"],
        "peak_bytes": cost["memory_bytes"],
        "estimated_bytes": cost["estimated_memory_bytes"],
        "precision": report["training"]["precision"],
        "shared_prefix": report["training"]["shared_prefix"],
        # Not None after a job that was stopped: its stage then took less than a whole one.
        "resumed_from_step": report["training"]["resumed_from_step"],
        "steps": to_json(usage.steps),
        "final_loss": report["training"]["history"][-1]["eval_loss"],
    }


def _run(bench: Bench, recipe: Path) -> dict[str, Any]:
    """Return the report of `recipe run`. JobError with its last lines where there is none, or out of time."""
    command = [sys.executable, "-m", "engine", "run", str(recipe), "--store", str(bench.store)]
    command += ["--until", "train", "--force", "train", "--format", "json"]
    if bench.base and Path(bench.base).exists():
        command += ["--allow-read", str(Path(bench.base).resolve())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = recipe.with_name("stderr.txt")
    with log.open("wb") as errors:
        # A group of its own: the trainer is a process below it.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=environment, process_group=0
        )
        try:
            out, _ = process.communicate(timeout=max(1.0, bench.left()))
        except subprocess.TimeoutExpired:
            raise JobError("stopped: no time was left; the same command goes on") from None
        finally:
            _end(process)
    report: dict[str, Any] = json.loads(out or b"{}")
    if process.returncode:
        message = " | ".join((_problems(report) or _tail(log))[:MOST_PROBLEMS]) or "no output"
        raise JobError(f"exit {process.returncode}: {message}")
    return report


def _problems(found: Mapping[str, Any]) -> list[str]:
    """Return what kept a run from beginning, or ended one of its stages."""
    if "problems" in found:
        return [f"{problem['code']} {problem['message']}" for problem in found["problems"]]
    return [text for record in found.get("stages", ()) for text in record["problems"]]


def _tail(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines[-4:] if line.strip()]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a job that still runs, and its trainer."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.communicate(timeout=ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def table(results: Mapping[str, Result], chosen: list[Job]) -> Iterator[str]:
    """Yield the Markdown table: a line for each path, and what failed below it."""
    paths = dict.fromkeys(job.path for job in chosen)
    if paths:
        yield from _heads(HEADS)
        yield from (_line(path, results) for path in paths)
    missing = [job.name for job in chosen if "stage_seconds" not in results.get(job.name, {})]
    if missing:
        yield ""
    for name in missing:
        yield f"- {name}: {_words(results.get(name, {'error': 'not run'}))}"


def _heads(heads: tuple[str, ...]) -> Iterator[str]:
    yield _cells(list(heads))
    yield f"|{'---|' * len(heads)}"


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(path: str, results: Mapping[str, Result]) -> str:
    shared, plain = (results.get(f"{path} {way}", {}) for way in ("shared", "plain"))
    start = shared.get("shared_prefix") or {}
    return _cells(
        [
            path,
            _number(_each(shared, "seconds"), 1e3, ".1f"),
            _number(_each(plain, "seconds"), 1e3, ".1f"),
            _ratio(_each(plain, "seconds"), _each(shared, "seconds")),
            _ratio(_each(plain, "tokens"), _each(shared, "tokens")),
            _number(start.get("difference"), 1, ".1e") if start.get("used") else start.get("reason", "-"),
            _number(shared.get("peak_bytes"), 1e-6, ".0f"),
            _number(plain.get("peak_bytes"), 1e-6, ".0f"),
            _number(shared.get("estimated_bytes"), 1e-6, ".0f"),
            _off(shared.get("estimated_bytes"), shared.get("peak_bytes")),
            _number(shared.get("stage_seconds"), 1, ".1f"),
            _number(shared.get("estimated_seconds"), 1, ".1f"),
            _off(shared.get("estimated_seconds"), shared.get("stage_seconds")),
            shared.get("basis") or "-",
        ]
    )  # fmt: skip


def _each(result: Mapping[str, Any], name: str) -> float | None:
    """Return what a step after the first took."""
    steps = result.get("steps")
    return steps[name] / steps["count"] if steps and steps["count"] else None


def _number(value: float | None, scale: float, form: str) -> str:
    return "-" if value is None else format(value * scale, form)


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}" if one and other else "-"


def _off(estimate: float | None, actual: float | None) -> str:
    return f"{estimate / actual - 1:+.0%}" if estimate and actual else "-"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
