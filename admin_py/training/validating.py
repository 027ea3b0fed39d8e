"""The validation of a training: each of the processes that share it computes every so many of the batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from admin_py.data.dataset import Dataset
    from admin_py.model.transformer import Transformer
    from admin_py.training.interrupts import DeferredInterrupt
    from admin_py.training.plan import Plan
    from admin_py.training.ranks import Alone


def validate(
    model: Transformer, data: Dataset, plan: Plan, ranks: Alone, interrupt: DeferredInterrupt
) -> dict[str, float] | None:
    """nll and loss, means over the tokens of the split "valid", and what is monitored.

    None if Ctrl-C came in between, on any rank.
    """
    found = []
    for i, batch in enumerate(data.batches(max_tokens=plan.max_tokens, split="valid", shuffle=False)):
        row = np.zeros(3)
        if i % ranks.size == ranks.rank and not interrupt.requested:
            losses = model.loss(batch, label_smoothing=plan.label_smoothing, z_loss=plan.z_loss)
            row[:] = losses.num_tokens * np.array([losses.nll, losses.loss, 1.0])
        found.append(row)
        if interrupt.requested and ranks.size == 1:  # no other one counts on as many rows
            break
    if ranks.any(interrupt.requested):
        return None
    sums = np.zeros(3)
    for row in ranks.joined(np.array(found)):  # batch by batch, whoever had them
        sums += row
    nll, loss = sums[:2] / sums[2]
    return {"nll": float(nll), "loss": float(loss), **ranks.told_by(0, lambda: plan.stopping.measured(model))}
