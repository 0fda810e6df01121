"""What a run will take, before anything is spent: parameters, tokens, steps, memory, disk, time and cost.

Light and pure: shapes come from the headers of files that are already there, row lengths from what
earlier stages counted, and nothing is fetched or run. What is not known is None, and says what would
make it known. A training that was measured on this machine, by `recipe plan --probe` or by a run,
takes the place of the computed numbers (`engine.estimate.measured`).

`estimate_training` collects what is known of a recipe and returns its `TrainingEstimate`.
"""

from __future__ import annotations

from engine.estimate.training import TrainingEstimate, estimate_training
