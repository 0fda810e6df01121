"""Models behind an HTTP server or vLLM."""
