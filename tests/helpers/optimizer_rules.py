"""Every rule of the optimisers, with options away from the defaults."""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.0, "nesterov": False}


RULES = [
    ("sgd", {"beta1": 0.0}),
    ("sgd", {}),
    ("sgd", {"nesterov": True, "weight_decay": 0.1}),
    ("adam", {}),
    ("adam", {"weight_decay": 0.1}),
    ("adamw", {"weight_decay": 0.1}),
    ("radam", {}),
    ("radam", {"weight_decay": 0.1, "beta2": 0.9}),
    ("novograd", {}),
    ("novograd", {"weight_decay": 0.1}),
]
