"""An exported model behind HTTP: OpenAI's chat completions and plain predictions, held to the task's form."""
