"""Comparisons of the compute core with the oracle, with finite differences and with PyTorch."""
