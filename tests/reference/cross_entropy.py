"""Label-smoothed cross-entropy, mean over tokens.

nll  = -log p(label)        loss = (1 - ls) nll + ls mean_over_V(-log p) + z lse(logits)^2
"""

from __future__ import annotations

import numpy as np


def cross_entropy_forward(
    logits: np.ndarray, labels: np.ndarray, label_smoothing: float, z_loss: float = 0.0
) -> tuple[float, float, tuple[np.ndarray, np.ndarray]]:
    """Mean loss, mean nll, and log-probabilities [M, V] and lse [M, 1] of logits [M, V] and labels [M]."""
    top = logits.max(axis=1, keepdims=True)
    lse = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    log_p = logits - lse
    nll = -log_p[np.arange(len(labels)), labels].mean()
    uniform = -log_p.mean()
    loss = (1.0 - label_smoothing) * nll + label_smoothing * uniform + z_loss * (lse**2).mean()
    return float(loss), float(nll), (log_p, lse)


def cross_entropy_backward(
    saved: tuple[np.ndarray, np.ndarray], labels: np.ndarray, label_smoothing: float, z_loss: float = 0.0
) -> np.ndarray:
    """dlogits [M, V] = ((1 + 2 z lse) p - smoothed one-hot) / M."""
    log_p, lse = saved
    M, V = log_p.shape
    target = np.full((M, V), label_smoothing / V)
    target[np.arange(M), labels] += 1.0 - label_smoothing
    return ((1.0 + 2.0 * z_loss * lse) * np.exp(log_p) - target) / M
