"""One recipe in, a gated and quantized small language model out.

recipe -> plan -> pipeline -> stages: data, baseline, compile, train, evaluate, gate, merge, quantize,
verify, report. Read `engine.stages`, then `engine.pipeline.loop`, then `engine.pipeline.plan`.
"""

from __future__ import annotations

__version__ = "0.2.0"
