"""llama.cpp's own quantizer: `python -m engine.runtime.gguf_quantize_worker IN OUT TYPE THREADS`."""

from __future__ import annotations

import sys

from inferna.llama import llama_cpp


def main(source: str, target: str, quantization: str, threads: str) -> None:
    """Quantize a 16-bit GGUF file into `quantization`, llama.cpp's name for it."""
    params = llama_cpp.LlamaModelQuantizeParams()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{quantization}")
    params.nthread = int(threads)
    llama_cpp.llama_model_quantize(source, target, params)


if __name__ == "__main__":
    main(*sys.argv[1:])
