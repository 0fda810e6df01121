"""llama.cpp's own quantizer: `python -m engine.runtime.gguf.quantize_worker [--imatrix FILE] IN OUT TYPE THREADS`."""

import argparse

from inferna.llama import llama_cpp

SUMS, COUNTS = ".in_sum2", ".counts"


def main() -> None:
    """Quantize a 16-bit GGUF file into `quantization`, llama.cpp's name for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--imatrix")
    for name in ("source", "target", "quantization", "threads"):
        parser.add_argument(name)
    given = parser.parse_args()
    params = llama_cpp.LlamaModelQuantizeParams()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{given.quantization}")
    params.nthread = int(given.threads)
    if given.imatrix:
        params.imatrix = importance(given.imatrix)
    llama_cpp.llama_model_quantize(given.source, given.target, params)


def importance(path: str) -> dict[str, list[float]]:
    """Return the mean squares of an importance matrix by tensor, as llama.cpp's own quantizer reads it."""
    from gguf import GGUFReader  # only where there is a matrix

    tensors = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    found = {}
    for name, sums in tensors.items():
        if name.endswith(SUMS):
            # One count an expert: a tensor of a mixture of experts has one row of sums for each.
            counts = tensors[name.removesuffix(SUMS) + COUNTS].reshape(-1, 1)
            means = sums.reshape(len(counts), -1) / counts
            found[name.removesuffix(SUMS)] = [float(value) for value in means.ravel()]
    return found


if __name__ == "__main__":
    main()
