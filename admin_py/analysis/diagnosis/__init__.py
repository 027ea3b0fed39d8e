"""Before a step is trained: what a model's amplification says of its training."""
