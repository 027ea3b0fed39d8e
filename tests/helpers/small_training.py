"""Trainings of a few milliseconds a step, for the tests; run as a program it is one to be killed.

    python small_training.py CHECKPOINT STEPS [THREADS] [kept]

trains with a checkpoint at every step and prints each step's number when the step and its validation are
done; with "kept" as `KEPT` says, which also has weights kept and averaged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

import admin_py as ap
from admin_py.training.checkpoint import TrainingState, load

DATA = ap.data.copy_task(symbols=8, train=60, valid=12, seed=3)
SEED = 5


KEPT: dict[str, Any] = {
    "keep_last": 3,
    "keep_best": 2,
    "ema": 0.9,
    "restore_best": True,
    "valid_every": 3,
    "checkpoint_every": 4,
}
"""A training that keeps the weights of epochs and of the best validations of its moving average."""


def make_model(
    *, scheme: str = "admin", dtype: str = "float32", seed: int = SEED, **more: Any
) -> ap.Transformer:
    """An encoder-decoder of one layer each, with dropout, so that a wrong step or seed shows."""
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "heads": 2, "d_ff": 24}
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size, scheme=scheme, max_length=32, **{**sizes, **more}
    )
    model = ap.Transformer(config, seed=seed, dtype=dtype)
    model.profile(next(DATA.batches(max_tokens=256, seed=seed)))
    return model


def make_optimizer() -> ap.RAdam:
    """Its moments count from the first step on, its updates from the sixth."""
    return ap.RAdam(lr=0.01, betas=(0.9, 0.98), weight_decay=0.01)


def train(model: ap.Transformer, optimizer: Any = None, **more: Any) -> ap.History:
    """Epochs of a few batches, two of them a step, so that an epoch ends in the middle of a step."""
    settings: dict[str, Any] = {
        "schedule": ap.schedules.inverse_sqrt(0.01, 4),
        "max_tokens": 90,
        "accumulate": 2,
        "clip_norm": 1.0,
        "valid_every": 4,
        "observe_every": 3,
        "progress": False,
    }
    optimizer = make_optimizer() if optimizer is None else optimizer
    return ap.train(model, DATA, optimizer=optimizer, **{**settings, **more})


def first_batches(count: int) -> list[ap.Batch]:
    """Those that `train` takes first."""
    return list(islice(DATA.batches(max_tokens=90, seed=SEED), count))


@contextmanager
def one_thread() -> Iterator[None]:
    """Small models are no faster with more."""
    with ap.threads(1):
        yield


def assert_same_history(a: ap.History, b: ap.History) -> None:
    """Bit for bit, but for the seconds."""
    for name in ("loss", "nll", "lr", "grad_norm", "update_norm", "tokens"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_equal(dict(a.valid), dict(b.valid))
    assert a.observations.keys() == b.observations.keys()
    np.testing.assert_array_equal(a.observations["step"], b.observations["step"])
    for stack in a.observations.keys() - {"step"}:
        np.testing.assert_equal(dict(a.observations[stack]), dict(b.observations[stack]))
    assert (a.diverged_at, a.diverged_because) == (b.diverged_at, b.diverged_because)


def assert_same_state(a: TrainingState, b: TrainingState) -> None:
    """Bit for bit, but for the seconds, and whatever machine and threads computed them."""
    np.testing.assert_equal(dict(a.weights), dict(b.weights))
    np.testing.assert_equal(dict(a.optimizer), dict(b.optimizer))
    setups = [{name: one.setup[name] for name in one.setup if name != "computed by"} for one in (a, b)]
    assert setups[0] == setups[1]
    assert (a.position, a.progress) == (b.position, b.progress)
    old, new = ({name: h[name] for name in h if name != "seconds"} for h in (a.history, b.history))
    np.testing.assert_equal(old, new)
    np.testing.assert_equal((a.average, a.best), (b.average, b.best))


def assert_same_files(a: Any, b: Any) -> None:
    """Two checkpoints of the same training."""
    assert_same_state(load(a), load(b))


if __name__ == "__main__":
    path, steps, *more = sys.argv[1:]
    settings = KEPT if "kept" in more else {"checkpoint_every": 1}
    for count in more[:1]:
        ap.set_num_threads(int(count), oversubscribe=True)
    history = train(
        make_model(),
        steps=int(steps),
        checkpoint=path,
        callbacks=[lambda step, model, history: print(step, flush=True)],
        **settings,
    )
    print(f"end {history.num_steps} {history.interrupted}", flush=True)
