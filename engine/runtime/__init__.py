"""Running models: the only folder that imports torch and what builds on it at the top."""

import gc

from engine.process.library_settings import read_once

# Here, as every module that imports transformers is below.
read_once()
# The libraries are 1.2 million objects that stay: looking them through for garbage at every 2,000th costs a second.
gc.set_threshold(20_000)
