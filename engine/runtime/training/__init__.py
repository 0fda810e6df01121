"""Supervised fine-tuning with TRL and Axolotl: callbacks, checkpoints, checks while training."""
