import subprocess
import sys

STAGES = ("baseline", "evaluate", "resample", "gate")


def test_planning_the_judging_stages_needs_no_numpy() -> None:
    script = (
        "import importlib, sys\n"
        f"for name in {STAGES}: importlib.import_module(f'engine.stages.{{name}}')\n"
        "import engine.metrics.diagnosis, engine.metrics.sweeping, engine.metrics.power_text\n"
        "print(*(name for name in ('numpy', 'scipy', 'sklearn', 'torch') if name in sys.modules))"
    )

    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert found.stdout == "\n"
