"""How a training ended, in words and in the numbers that the words rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from admin_py.history import History

LEARNT_BELOW = 0.9
"""A run is said to train when its validation loss ends below this share of the data's unigram entropy."""

TRAINS, STUCK, DIVERGED = "trains", "does not train within this budget", "diverged"
LEAST_GAIN = 0.02
"""A model is said to read its source if the right one lowers its loss by at least this share of it."""

BLIND = "does not read its source within this budget"
"""Learns, but only the target language, see `admin_py.analysis.source_use`."""
FINISHED, STOPPED = "finished", "was stopped"


def last_valid_nll(history: History) -> float:
    """Last validation loss, nats per token; nan where there is none or the training diverged."""
    values = history.valid["nll"]
    return float(values[-1]) if len(values) and history.diverged_at is None else float("nan")


def last_train_nll(history: History) -> float:
    """Mean loss of the last twentieth of the training batches, without smoothing, dropout on."""
    nll = np.asarray(history.nll)
    tail = nll[-max(1, len(nll) // 20) :]
    return float(tail.mean()) if len(tail) else float("nan")


def reads_source(nll: float, other_nll: float) -> bool:
    """Whether a loss with the right sources is lower than one with those of other examples.

    Examples
    --------
    >>> reads_source(1.238, 1.726), reads_source(1.472, 1.472)
    (True, False)
    """
    return other_nll - nll >= LEAST_GAIN * nll


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
    >>> from admin_py.history import Recorder
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
    valid = last_valid_nll(history)
    if entropy is None or not np.isfinite(valid):
        return FINISHED
    if valid >= LEARNT_BELOW * entropy:
        return STUCK
    return BLIND if reads is False else TRAINS
