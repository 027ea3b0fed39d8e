"""Grids of the paper's questions, at a size for a laptop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from admin_py.base.checks import check_choice


@dataclass(frozen=True)
class Preset:
    """A grid by name.

    Attributes
    ----------
    summary : str
        What it varies.
    paper : str
        What the paper reports of it, at its size.
    options : mapping
        Arguments of `grid`; whatever else is given to `grid` goes before them.
    """

    summary: str
    paper: str
    options: Mapping[str, Any]


THREE = ["post_ln", "pre_ln", "admin"]

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "lr_beta2": Preset(
            "learning rate x beta2 without warm-up, 6-6 layers",
            "Connection to warm-up: without it Post-LN is the most sensitive to learning rate and beta2 and "
            "diverges in part of the grid; Pre-LN and Admin converge.",
            {
                "schemes": THREE,
                "layers": 6,
                "lr": [5e-4, 1e-3, 2e-3],
                "beta2": [0.9, 0.95, 0.98, 0.99, 0.999],
                "warmup": 0,
                "schedule": "constant",
                "steps": 200,
                "valid_every": 50,
            },
        ),
        "optimisers": Preset(
            "SGD (momentum .9), Adam and RAdam x learning rate, 6-6 layers",
            "Abstract: conventional SGD fails to train Transformers effectively.",
            {
                "schemes": THREE,
                "layers": 6,
                "lr": [1e-3, 1e-2, 1e-1, 1.0],
                "optimizer": ["sgd", "adam", "radam"],
                "warmup": 100,
                "steps": 200,
                "valid_every": 50,
            },
        ),
        "hybrids": Preset(
            "Post-LN and Pre-LN, crossed between encoder and decoder, 18-18 layers",
            "A Post-LN encoder with a Pre-LN decoder has no vanishing gradients, and its training fails all "
            "the same (18-18 layers).",
            {
                "schemes": ["post_ln", "post_ln/pre_ln", "pre_ln/post_ln", "pre_ln"],
                "layers": 18,
                "seeds": [1, 2],
                "steps": 300,
                "valid_every": 50,
            },
        ),
        "depth": Preset(
            "depth x scheme",
            "BLEU of Post-LN, Pre-LN, Admin on WMT14 En-De: 6 layers 27.80, 27.27, 27.90; 12 layers "
            "diverged, 28.26, 28.58; 18 layers diverged, 28.38, 29.03.",
            {
                "schemes": THREE,
                "layers": [3, 6, 12, 18],
                "steps": 300,
                "valid_every": 50,
            },
        ),
    }
)
"""Name -> preset."""


def names() -> tuple[str, ...]:
    """Names of all presets.

    Examples
    --------
    >>> names()
    ('lr_beta2', 'optimisers', 'hybrids', 'depth')
    """
    return tuple(PRESETS)


def get(name: str) -> Preset:
    """The preset of that name; ValueError if there is none.

    Examples
    --------
    >>> get("hybrids").options["schemes"]
    ['post_ln', 'post_ln/pre_ln', 'pre_ln/post_ln', 'pre_ln']
    """
    return PRESETS[check_choice("preset", name, names())]
