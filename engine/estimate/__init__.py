"""What a run will take, before anything is spent: parameters, tokens, steps, memory, disk, time and cost."""

from __future__ import annotations

from engine.estimate.training import TrainingEstimate, estimate_training
