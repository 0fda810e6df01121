"""What answers the holdout without the recipe's training; used by the stage `baseline`.

`floors` ask no model; `encoders` a sentence encoder; `models` the base model or another one of its
kind; `gguf` a GGUF file in llama.cpp; `served` a model behind an endpoint. `shots` are the answered
examples of a prompt, `runner` keeps predictions, so that no row is asked twice.
"""
