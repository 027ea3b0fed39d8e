"""What all trackers have in common: what is told of a training, when, and that it goes on where one fails."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base import documents
from admin_py.base.checks import MAX_COUNT, check_integer
from admin_py.base.streams import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from admin_py.model.transformer import Transformer
    from admin_py.training.history import History
    from admin_py.training.recorder import Recorder

STEP_SCALARS = {
    "loss": "train/loss", "nll": "train/nll", "lr": "train/lr", "grad_norm": "train/gradient norm",
    "update_norm": "train/update norm",
}  # fmt: skip
"""Column of a history -> the name under which a tracker has it."""


class _Training(threading.local):
    """Of the training of a thread: several may go on at the same time."""

    run: Any = None
    failed = False
    valid = observed = 0
    """How many of these were told."""
    settings: Mapping[str, Any] = MappingProxyType({})


class Tracker(ABC):
    """A callback of trainings that keeps what they show with a library for that.

    Of every training it keeps a run of its own, called by scheme, layers, seed and a few digits of its
    settings: these as hyperparameters, the loss of training and validation, learning rate, norms of gradients
    and updates, at observed steps (``observe=``) histograms of the norms by kind of weight matrix and omega
    of every stack, and at the end figures and final numbers. Where the library fails, the training goes on
    without it, and a line says why.

    Parameters
    ----------
    every : int
        Steps between the scalars of training; validations and observed steps are all kept.
    """

    first_rank_only = True
    """Of a training that several processes share, only one tells."""

    def __init__(self, every: int = 1) -> None:
        self.every = check_integer("every", every, 1, MAX_COUNT)
        self._now = _Training()

    # The library

    @abstractmethod
    def _open(self, name: str, settings: Mapping[str, Any]) -> Any:
        """A run of this name, with the settings of a training."""

    @abstractmethod
    def _scalars(self, run: Any, values: Mapping[str, float], step: int) -> None:
        """Numbers of a step."""

    @abstractmethod
    def _histograms(self, run: Any, values: Mapping[str, NDArray[np.float64]], step: int) -> None:
        """Distributions of a step."""

    @abstractmethod
    def _figure(self, run: Any, name: str, figure: Figure, step: int) -> None:
        """A picture."""

    @abstractmethod
    def _close(self, run: Any, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """The end of a run, with its final numbers."""

    # A training

    def training_begins(self, settings: Mapping[str, Any]) -> None:
        """Called before the first step, and where one goes on from a checkpoint.

        Parameters
        ----------
        settings : mapping
            Nested, of plain values: model, optimizer, schedule, data, ...
        """
        now = self._now
        now.failed, now.valid, now.observed, now.settings = False, 0, 0, flat(settings)
        now.run = self._safely(lambda: self._open(run_name(settings), now.settings))

    def __call__(self, step: int, model: Transformer, history: Recorder) -> None:
        """Called after every step."""
        self._safely(lambda: self._tell(step, history))

    def training_ends(self, model: Transformer, history: History) -> None:
        """Called when the training has ended, however it did."""

        def end() -> None:
            from admin_py.live import draw

            self._figure(now.run, "history", draw(model, history), history.num_steps)
            self._close(now.run, now.settings, final(history))

        now = self._now
        self._safely(end)
        now.run = None

    def _tell(self, step: int, history: Recorder) -> None:
        now, diverged = self._now, history.diverged_at is not None
        values: dict[str, float] = {}
        if step % self.every == 0 or diverged:
            values = {told: float(getattr(history, name)[-1]) for name, told in STEP_SCALARS.items()}
            seconds = float(history.seconds[-1])
            values["train/tokens a second"] = float(history.tokens[-1]) / seconds if seconds else 0.0
        valid = history.valid
        if len(valid["step"]) > now.valid and valid["step"][-1] == step:
            values |= {f"valid/{name}": float(found[-1]) for name, found in valid.items() if name != "step"}
        now.valid = len(valid["step"])
        if values:
            self._scalars(now.run, {name: one for name, one in values.items() if np.isfinite(one)}, step)
        observed = history.observations
        if observed and len(observed["step"]) > now.observed and observed["step"][-1] == step:
            now.observed = len(observed["step"])
            self._tell_observed(step, history)

    def _tell_observed(self, step: int, history: Recorder) -> None:
        from admin_py.analysis import updates

        found = updates(history)
        kinds = np.array(found.matrix_kinds)
        last = {"gradient norm": found.grad_norm[-1], "relative update": found.relative()[-1]}
        by_kind = {
            f"{told}/{kind}": values[kinds == kind]
            for told, values in last.items()
            for kind in dict.fromkeys(found.matrix_kinds)
        }
        finite = {name: values for name, values in by_kind.items() if np.isfinite(values).all()}
        self._histograms(self._now.run, finite, step)
        omega = {f"omega/{stack}": float(values[-1].mean()) for stack, values in found.omega.items()}
        self._scalars(self._now.run, omega, step)

    def _safely(self, call: Any) -> Any:
        """What the library returns; where it fails it is left alone until the next training."""
        if self._now.failed:
            return None
        try:
            return call()
        except Exception as error:
            self._now.failed = True
            words = " ".join(f"{type(error).__name__}: {error}".split())
            say(f"{type(self).__name__} failed, the training goes on without it: {words}")
            return None

    def __getstate__(self) -> dict[str, Any]:
        """As it is sent to another process, where trainings have runs of their own."""
        return {**self.__dict__, "_now": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, _now=_Training())


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, by dotted names.

    Examples
    --------
    >>> flat({"model": {"config": {"d_ff": 16}}, "steps": 5, "clip": None})
    {'model.config.d_ff': 16, 'steps': 5}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return found


def run_name(settings: Mapping[str, Any]) -> str:
    """Of a training: its scheme, layers and seed, and digits that differ where any setting but steps does."""
    model = settings["model"]
    config = model["config"]
    scheme = config.get("scheme", "model")
    if not isinstance(scheme, str):
        scheme = scheme.get("name", "own") if isinstance(scheme, Mapping) else "own"
    layers = "-".join(str(config[f"{stack}_layers"]) for stack in ("encoder", "decoder"))
    deciding = {
        name: value for name, value in settings.items() if name != "steps"
    }  # of which it may get more
    digest = sha256(documents.dump(deciding).encode()).hexdigest()
    return f"{scheme}-{layers}-seed{model['seed']}-{digest[:8]}".replace("/", "~")


def final(history: History) -> dict[str, float]:
    """The numbers that a finished training is told by."""
    found = {"final/train nll": float(history.nll[-1])} if history.num_steps else {}
    found |= {
        f"final/valid {name}": float(values[-1])
        for name, values in history.valid.items()
        if name != "step" and len(values)
    }
    found["final/steps"] = float(history.num_steps)
    found["final/diverged"] = float(history.diverged_at is not None)
    return {name: value for name, value in found.items() if np.isfinite(value)}
