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

BLEW_UP = "blew up"
"""All its numbers are finite, but its loss ends above where it began."""

BLEW_UP_ABOVE = 1.1
"""Of the first loss: that is one batch's, and losses that do not move end up to 4 % above it by chance."""

FINISHED, STOPPED = "finished", "was stopped"


def outcome_of(history: History, entropy: float | None, reads: bool | None = None) -> str:
    """In words: diverged, blew up, trains, does not train or read its source; or finished, or was stopped.

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
    if blew_up(history):
        return BLEW_UP
    valid = history.valid_nll
    if entropy is None or not np.isfinite(valid):
        return FINISHED
    if valid >= LEARNT_BELOW * entropy:
        return STUCK
    return BLIND if reads is False else TRAINS


def blew_up(history: History) -> bool:
    """Whether the last validation loss, or the training's end where there is none, is well above the first.

    The first is that of the first training batch, before any update; see `BLEW_UP_ABOVE`.

    Examples
    --------
    >>> from admin_py.training.recorder import Recorder
    >>> recorder = Recorder()
    >>> recorder.add_step(loss=3.0, nll=2.5, lr=1e2, grad_norm=1.0, update_norm=9e3, tokens=9, seconds=0.1)
    >>> recorder.add_validation(nll=28504.0, loss=28504.0)
    >>> blew_up(recorder.freeze())
    True
    """
    last = history.valid_nll if len(history.valid["nll"]) else history.train_nll
    return history.num_steps > 0 and bool(last > BLEW_UP_ABOVE * history.nll[0])
