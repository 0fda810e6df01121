"""Examples as text and tokens, by the chat template, with what is learned from marked."""
