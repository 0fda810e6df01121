"""Words that a byte-pair tokenizer can be trained on."""

WORDS = (
    "cat",
    "mat",
    "house",
    "number",
    "reading",
    "yellow",
    "winter",
    "garden",
    "school",
    "river",
)
