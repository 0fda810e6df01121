"""How models are judged: predictions in, scores with intervals, checks and verdicts out. No torch, no files but JSONL."""
