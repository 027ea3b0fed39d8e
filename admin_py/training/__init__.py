"""Training: the loop, its history, checkpoints, optimisers, and what stops it."""
