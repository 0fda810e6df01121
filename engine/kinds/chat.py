"""Chat: conversations of which the assistant's turns are learned."""

from engine.kinds.kind import LIKELIHOOD, AnswerForm, Decoding, Draft, Kind, Turns

KIND = Kind(
    name="chat",
    order=5,
    reads=("task.system", "data.messages"),
    formats=("openai_messages", "sharegpt", "alpaca", "prompt_completion"),
    columns_key="messages",
    row_reader="engine.data.kinds.chat",
    turns=Turns.CHAT,
    answer=AnswerForm.TEXT,
    decoding=Decoding.LIKELIHOOD,
    metrics=LIKELIHOOD,
    metric_family="engine.metrics.families.likelihood",
    # Bits per byte first: perplexity compares models of one tokenizer only.
    compared_by=("bits_per_byte", "perplexity"),
    baselines=("zero_shot",),
    more_baselines=("model",),
    judged_by="likelihood of the answers",
    card_metric="perplexity",
    draft=Draft(description="Answer as the conversations do.", metric="perplexity", threshold=20.0),
)
