"""One update of one tensor by each optimiser; g is the gradient times ``grad_scale``.

sgd       g += wd w; m = mu m + g; w -= lr (m, or g + mu m for Nesterov, or g without momentum)
adam      g += wd w; the usual moments; w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
adamw     w -= lr wd w first, g without decay; then as adam
radam     Liu et al. 2020 as released: nothing moves but the moments while rho_t < 5; else decoupled decay and
          w -= lr r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)
novograd  v = |g|^2 at first, then b2 v + (1 - b2) |g|^2; m = b1 m + g / (sqrt(v) + eps) + wd w; w -= lr m
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Optimizer:
    """An optimiser over named tensors."""

    kind: str
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-9
    weight_decay: float = 0.0
    nesterov: bool = False
    t: int = 0
    m: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)

    def step(
        self,
        weights: dict[str, np.ndarray],
        gradients: Mapping[str, np.ndarray],
        lr: float,
        grad_scale: float = 1.0,
    ) -> float:
        """Replaces the weights by the updated ones; returns the Euclidean norm of the change."""
        self.t += 1
        total = 0.0
        for name, w in weights.items():
            self.m.setdefault(name, np.zeros_like(w))
            self.v.setdefault(name, np.zeros(1) if self.kind == "novograd" else np.zeros_like(w))
            weights[name] = getattr(self, f"_{self.kind}")(name, w, gradients[name] * grad_scale, lr)
            total += float(((weights[name] - w) ** 2).sum())
        return float(np.sqrt(total))

    def _sgd(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        g = g + self.weight_decay * w
        self.m[name] = self.beta1 * self.m[name] + g
        return w - lr * (g + self.beta1 * self.m[name] if self.nesterov else self.m[name])

    def _moments(self, name: str, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.m[name] = self.beta1 * self.m[name] + (1.0 - self.beta1) * g
        self.v[name] = self.beta2 * self.v[name] + (1.0 - self.beta2) * g**2
        return self.m[name], self.v[name]

    def _adam_update(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        m, v = self._moments(name, g)
        mhat, vhat = m / (1.0 - self.beta1**self.t), v / (1.0 - self.beta2**self.t)
        return w - lr * mhat / (np.sqrt(vhat) + self.eps)

    def _adam(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        return self._adam_update(name, w, g + self.weight_decay * w, lr)

    def _adamw(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        return self._adam_update(name, w - lr * self.weight_decay * w, g, lr)

    def rho(self) -> tuple[float, float]:
        """Length of the approximated simple moving average at step t, and its limit (RAdam, section 4)."""
        limit = 2.0 / (1.0 - self.beta2) - 1.0
        power = self.beta2**self.t
        return limit - 2.0 * self.t * power / (1.0 - power), limit

    def _radam(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        m, v = self._moments(name, g)
        rho, limit = self.rho()
        if rho < 5.0:
            return w
        r = np.sqrt((rho - 4.0) / (limit - 4.0) * (rho - 2.0) / (limit - 2.0) * limit / rho)
        rate = lr * r * np.sqrt(1.0 - self.beta2**self.t) / (1.0 - self.beta1**self.t)
        return w - lr * self.weight_decay * w - rate * m / (np.sqrt(v) + self.eps)

    def _novograd(self, name: str, w: np.ndarray, g: np.ndarray, lr: float) -> np.ndarray:
        square = (g**2).sum()
        self.v[name] = square if self.t == 1 else self.beta2 * self.v[name] + (1.0 - self.beta2) * square
        self.m[name] = (
            self.beta1 * self.m[name] + g / (np.sqrt(self.v[name]) + self.eps) + self.weight_decay * w
        )
        return w - lr * self.m[name]


def clip_scale(gradients: Mapping[str, np.ndarray], clip_norm: float) -> float:
    """The factor that brings the global Euclidean norm of the gradients down to at most clip_norm."""
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    return min(1.0, clip_norm / norm)
