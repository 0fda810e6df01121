"""A served model under load: many clients for minutes, each answer compared with that of `recipe predict`.

    python -m venv load && load/bin/pip install locust
    python benchmarks/serve.py MODEL TEXTS --locust load/bin/locust [--clients 64] [--seconds 120]

MODEL is what `recipe serve` takes, TEXTS has a text a line. Prints one row: requests, errors, wrong answers (another
label), moved ones (the probability is off by more than 0.002: llama.cpp rounds otherwise beside other rows), the
times that locust measured, processor time of the server and its child for 1,000 requests, and what both hold in
memory (resident, sampled every five seconds: the median of the first and of the last quarter). Ends with 1 for any
error or wrong answer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

USERS = Path(__file__).with_name("serve_users.py")
ENGINE = (sys.executable, "-m", "engine")
SAMPLE_SECONDS = 5.0
COUNTS = "counts.json"
WRONG, MOVED = "another label", "another probability"
COLUMNS = (
    *("clients", "requests", "a second", "errors", "wrong", "moved", "p50 ms", "p99 ms"),
    *("CPU-s a 1,000", "MB at first", "MB at last"),
)


@dataclass(kw_only=True)
class Load:
    """What a load left: samples of the server while it ran, and what locust wrote."""

    memory: list[int] = field(default_factory=list)
    """Bytes of server and children, by sample."""
    processor: float = 0.0
    """Seconds of both, in the time of the load."""
    requests: int = 0
    times: Mapping[float, int] = field(default_factory=dict)
    """Requests by milliseconds."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Requests by what was wrong."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--locust", required=True, help="the command of an installed locust")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=120)
    options = parser.parse_args()
    texts = [one for one in options.texts.read_text(encoding="utf-8").splitlines() if one.strip()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answers = folder / "answers.json"
        answers.write_text(json.dumps(answered(options.model, texts, folder)), encoding="utf-8")
        command = (
            *(options.locust, "-f", str(USERS), "--headless", "--only-summary"),
            *("--users", str(options.clients), "--spawn-rate", str(options.clients)),
            *("--run-time", f"{options.seconds}s"),
        )
        load = loaded(options.model, command, answers, folder)
    wrong, moved = (
        sum(count for what, count in load.failed.items() if word in what) for word in (WRONG, MOVED)
    )
    requests, errors = load.requests, sum(load.failed.values()) - wrong - moved
    quarter = max(1, len(load.memory) // 4)
    parts = load.memory[:quarter], load.memory[-quarter:]
    row = (
        *(f"{options.clients}", f"{requests:,}", f"{requests / options.seconds:.0f}"),
        *(f"{errors}", f"{wrong}", f"{moved}"),
        *(f"{percentile(load.times, share):.0f}" for share in (0.5, 0.99)),
        f"{1000 * load.processor / max(requests, 1):.1f}",
        *(f"{statistics.median(part) / 1e6:.0f}" for part in parts),
    )
    for what, count in load.failed.items():
        print(f"{count} failed: {what}")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n| {' | '.join(row)} |")
    return 1 if errors or wrong or not requests else 0


def answered(model: str, texts: Sequence[str], folder: Path) -> list[tuple[str, str, float]]:
    """Return each text with what `recipe predict` answers."""
    rows, out = folder / "rows.jsonl", folder / "answers.jsonl"
    rows.write_text("".join(f"{json.dumps({'asked': text})}\n" for text in texts), encoding="utf-8")
    words = ("predict", model, str(rows), "-o", str(out), "--input", "{asked}")
    subprocess.run([*ENGINE, *words], check=True)
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return [(one["asked"], one["prediction"], one["probability"]) for one in found]


def loaded(model: str, command: Sequence[str], answers: Path, folder: Path) -> Load:
    """Serve the model, run locust against it to its end, and end the server."""
    words, load = [*ENGINE, "serve", model, "--port", "0"], Load()
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline() if server.stderr else ""
            address = next(word.rstrip(",") for word in line.split() if word.startswith("http"))
            began = processor_of(server.pid)
            given = {"SERVE_ANSWERS": str(answers), "SERVE_COUNTS": str(folder / COUNTS)}
            with subprocess.Popen(
                [*command, "--host", address], env={**os.environ, **given}
            ) as client:
                while client.poll() is None:
                    load.memory.append(sum(map(memory_of, family(server.pid))))
                    time.sleep(SAMPLE_SECONDS)
            load.processor = processor_of(server.pid) - began
        finally:
            server.send_signal(signal.SIGTERM)
    found = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
    load.requests, load.failed = found["requests"], found["failed"]
    load.times = {float(at): count for at, count in found["times"].items()}
    return load


def percentile(times: Mapping[float, int], share: float) -> float:
    """Return the milliseconds within which that share of all requests was answered."""
    wanted, seen = share * sum(times.values()), 0
    for at in sorted(times):
        seen += times[at]
        if seen >= wanted:
            return at
    return 0.0


def family(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_of(pid: int) -> float:
    """Return the processor seconds of a process and all below it."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
