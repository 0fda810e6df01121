"""llama.cpp in a worker process: the engine that people run the exported file with."""
