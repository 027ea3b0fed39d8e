"""The oracle: a plain NumPy float64 model of everything that the compute core computes.

Nothing here is fast and nothing is clever. Every file holds one idea, every ``x_forward`` stands directly
above its ``x_backward``, and the backward passes are written by hand from the formulas. The oracle is driven
by the same configuration (a dict) and the same named parameters as the core, so that the two can be compared
number by number. It is itself checked against finite differences and against PyTorch's autograd.

Letters: B sequences, M tokens, T and S target and source length, D width, H heads, K = D / H, F feed-forward
width, V vocabulary, R sub-layers. Ragged batches are packed: rows ``offsets[b]:offsets[b + 1]`` are sequence
b.
"""
