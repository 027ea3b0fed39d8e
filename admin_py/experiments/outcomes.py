"""How a training ended, in words and in the numbers that the words rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from admin_py.training.history import History

LEARNT_BELOW = 0.9
"""A run is said to train when its validation loss ends below this share of the data's unigram entropy."""

TRAINS, STUCK, DIVERGED = "trains", "does not train within this budget", "diverged"

BLIND = "does not read its source within this budget"
"""Learns, but only the target language, see `admin_py.analysis.source_use`."""
FINISHED, STOPPED = "finished", "was stopped"


def outcome_of(history: History, entropy: float | None, reads: bool | None = None) -> str:
    """In words: diverged, trains, does not train or does not read its source; or finished, or was stopped.

    Parameters
    ----------
    history : History
    entropy : float or None
        Unigram entropy of the data, nats per token.
    reads : bool, optional
        Whether the model makes use of its source, if it has one and that was asked.

    Examples
    --------
    >>> from admin_py.training.recorder import Recorder
    >>> recorder = Recorder()
    >>> recorder.add_step(loss=3.0, nll=2.5, lr=1e-3, grad_norm=1.0, update_norm=0.1, tokens=9, seconds=0.1)
    >>> recorder.add_validation(nll=2.4, loss=2.9)
    >>> outcome_of(recorder.freeze(), entropy=2.5), outcome_of(recorder.freeze(), entropy=2.9)
    ('does not train within this budget', 'trains')
    """
    if history.diverged_at is not None:
        return DIVERGED
    if history.interrupted:
        return STOPPED
    valid = history.valid_nll
    if entropy is None or not np.isfinite(valid):
        return FINISHED
    if valid >= LEARNT_BELOW * entropy:
        return STUCK
    return BLIND if reads is False else TRAINS
