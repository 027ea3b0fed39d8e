"""Label-smoothed cross-entropy, mean over tokens.

nll  = -log p(label)        loss = (1 - ls) nll + ls mean_over_V(-log p)
"""

from __future__ import annotations

import numpy as np


def cross_entropy_forward(
    logits: np.ndarray, labels: np.ndarray, label_smoothing: float
) -> tuple[float, float, np.ndarray]:
    """Mean loss, mean nll and the log-probabilities [M, V] of logits [M, V] and labels [M]."""
    top = logits.max(axis=1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    nll = -log_p[np.arange(len(labels)), labels].mean()
    uniform = -log_p.mean()
    return float((1.0 - label_smoothing) * nll + label_smoothing * uniform), float(nll), log_p


def cross_entropy_backward(log_p: np.ndarray, labels: np.ndarray, label_smoothing: float) -> np.ndarray:
    """dlogits [M, V] = (p - smoothed one-hot) / M."""
    M, V = log_p.shape
    target = np.full((M, V), label_smoothing / V)
    target[np.arange(M), labels] += 1.0 - label_smoothing
    return (np.exp(log_p) - target) / M
