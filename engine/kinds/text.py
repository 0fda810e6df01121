"""Text: plain documents, learned whole."""

from engine.kinds.kind import LIKELIHOOD, AnswerForm, Decoding, Draft, Kind, Turns

KIND = Kind(
    name="text",
    order=6,
    reads=("task.input", "method.packing", "method.tokens"),
    row_reader="engine.data.kinds.text",
    turns=Turns.DOCUMENT,
    answer=AnswerForm.NONE,
    decoding=Decoding.LIKELIHOOD,
    metrics=LIKELIHOOD,
    metric_family="engine.metrics.families.likelihood",
    # Bits per byte first: perplexity compares models of one tokenizer only.
    compared_by=("bits_per_byte", "perplexity"),
    baselines=("zero_shot",),
    more_baselines=("byte_frequencies", "compressor", "model"),
    judged_by="likelihood of the text",
    card_metric="perplexity",
    draft=Draft(metric="perplexity", threshold=20.0),
)
