"""Defaults that more than one part of the package has: said once.

Trainings, analyses, studies, grids, datasets and the command line agree in them, so that the batch and the
loss that are looked at are those that are trained on.
"""

from __future__ import annotations

MAX_TOKENS = 512
"""Of a batch, on either side: what the small models of the default study were calibrated with."""

STEPS = 300
"""Of a training."""

LR = 1e-3
"""Largest learning rate."""

WARMUP = 100
"""Steps of linear warm-up of a schedule that is given by its name."""

LABEL_SMOOTHING = 0.1
"""Of the loss that is trained on (Vaswani et al. 2017, section 5.4), also where its gradients are looked at.

`Transformer.loss`, `backward` and `observe` compute plain cross-entropy unless they are told otherwise.
"""
