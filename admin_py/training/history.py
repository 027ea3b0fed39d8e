"""The history of a training: what every step did, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_instance, shown
from admin_py.results import Result, figure
from admin_py.training.best import NLL, best_first

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.model.transformer import Transformer

STEP_COLUMNS: Mapping[str, type] = {
    "loss": np.float64,
    "nll": np.float64,
    "lr": np.float64,
    "grad_norm": np.float64,
    "update_norm": np.float64,
    "tokens": np.int64,
    "seconds": np.float64,
}
"""Arrays with an element for every step, and their types."""

VALID_COLUMNS: Mapping[str, type] = {"step": np.int64, "nll": np.float64, "loss": np.float64}
"""Arrays with an element for every validation, whatever else is monitored."""

STOPPING = "stopping"
"""In the metadata: what was monitored, and how the training was to end by it."""

MATRICES = "matrices"
"""Beside the stacks in the observations: norms of weight matrices."""


class _Views:
    """What a history offers beyond its arrays; the finished and the growing one have it in common."""

    loss: NDArray[np.float64]
    nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    seconds: NDArray[np.float64]
    valid: Mapping[str, NDArray[Any]]
    observations: Mapping[str, Any]
    diverged_at: int | None
    metadata: Mapping[str, Any]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of the model that was trained: those observed, else those that the metadata name."""
        observed = tuple(name for name in self.observations if name not in ("step", MATRICES))
        return observed or tuple(self.metadata.get("stacks", ()))

    @property
    def num_steps(self) -> int:
        """Steps that were tried; the one that diverged is among them."""
        return len(self.loss)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Numbers of the steps: 1, 2, ..., int64 [n]."""
        return np.arange(1, self.num_steps + 1)

    @property
    def tokens_per_second(self) -> float:
        """Predicted tokens a second of training, validation not counted; nan before the first step."""
        spent = float(self.seconds.sum())
        return float(self.tokens.sum()) / spent if spent > 0 else float("nan")

    @property
    def valid_nll(self) -> float:
        """Last validation loss, nats per token; nan where there is none or the training diverged."""
        values = self.valid["nll"]
        return float(values[-1]) if len(values) and self.diverged_at is None else float("nan")

    @property
    def best_step(self) -> int | None:
        """Step of the best validation: by what was monitored, nll otherwise; None where none has a number."""
        told = self.metadata.get(STOPPING, {})
        found = best_first(self.valid, told.get("monitor", NLL), told.get("larger_is_better", False))
        return found[0] if found else None

    @property
    def stopped_early(self) -> bool:
        """Whether the training ended because its validations improved no more, see `patience` of `train`."""
        return bool(self.metadata.get(STOPPING, {}).get("stopped", False))

    @property
    def train_nll(self) -> float:
        """Mean loss of the last twentieth of the training batches, without smoothing, dropout on."""
        nll = np.asarray(self.nll)
        tail = nll[-max(1, len(nll) // 20) :]
        return float(tail.mean()) if len(tail) else float("nan")

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each step; ``valid_nll``, ``valid_loss`` and the like are nan without a validation."""
        import pandas as pd

        table = {"step": self.steps, **{name: getattr(self, name) for name in STEP_COLUMNS}}
        at = self.valid["step"] - 1
        for name in (name for name in self.valid if name != "step"):
            column = np.full(self.num_steps, np.nan)
            column[at] = self.valid[name]
            table[f"valid_{name}"] = column
        return pd.DataFrame(table)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw training and validation loss over the steps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Drawn into; a new figure otherwise.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return figure("plot_history")(self, ax=ax)  # a growing one has the same arrays


@dataclass(frozen=True, eq=False, repr=False)
class History(_Views, Result):
    """What `train` did, step by step. Element i of the arrays by step belongs to step i + 1.

    Attributes
    ----------
    loss, nll : float64 [n]
        Of the training batches with dropout on, nats per predicted token, with and without label smoothing.
    lr : float64 [n]
        Learning rate.
    grad_norm : float64 [n]
        Euclidean norm of the gradient, before it is clipped.
    update_norm : float64 [n]
        Euclidean norm of the change of the weights.
    tokens : int64 [n]
        Predicted tokens.
    seconds : float64 [n]
        Spent in the step; validation and checkpoints are not counted.
    valid : mapping
        ``"step"`` int64 [k], ``"nll"`` and ``"loss"`` float64 [k]: means over the whole validation split,
        dropout off, after the steps named; and under the name of a `Monitor` what it measured, float64 [k].
        Of the average of the weights where `train` had `ema`: the metadata say ``"validated": "average"``.
    observations : mapping
        ``"step"`` int64 [j], and for each stack of the model a mapping of ``"var_input"``, ``"var_branch"``
        and ``"omega"`` (mean over its features; ``"omega_spread"`` is the standard deviation), float64
        [j, R], and ``"grad_norm"`` |dL/dx_i|, float64 [j, R + 1], of the step's last batch; and
        ``"matrices"``: ``"names"`` of the P trained weight matrices, and float64 [j, P] the Frobenius norms
        ``"grad_norm"`` |dL/dW| of the step's whole gradient before it is clipped, ``"norm"`` |W| before the
        update and ``"update_norm"`` |W_{t+1} - W_t|. Only ``"step"`` if nothing was observed.
    diverged_at : int or None
        The step whose loss, gradient or update was not finite; the weights are those before it.
    diverged_because : str or None
        What was not finite, and the first tensor in which that shows.
    interrupted : bool
        Whether Ctrl-C ended it before the last step.
    metadata : mapping
        Seed, dtype, threads, versions, and how it was trained.

    Examples
    --------
    >>> import admin_py as ap
    >>> history = ap.Recorder().freeze()
    >>> history
    History(0 steps)
    >>> history.num_steps, history.diverged_at
    (0, None)
    """

    kind: ClassVar[str] = "history"
    drawn_by: ClassVar[str] = "plot_history"

    loss: NDArray[np.float64]
    nll: NDArray[np.float64]
    lr: NDArray[np.float64]
    grad_norm: NDArray[np.float64]
    update_norm: NDArray[np.float64]
    tokens: NDArray[np.int64]
    seconds: NDArray[np.float64]
    valid: Mapping[str, NDArray[Any]]
    observations: Mapping[str, Any]
    diverged_at: int | None
    diverged_because: str | None
    interrupted: bool
    metadata: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("loss", self.loss, np.ndarray)
        for name, dtype in STEP_COLUMNS.items():
            _check_column(name, getattr(self, name), dtype, len(self.loss))
        if not isinstance(self.valid, Mapping) or not VALID_COLUMNS.keys() <= self.valid.keys():
            raise ValueError(f"valid must map {', '.join(VALID_COLUMNS)} to arrays, got {shown(self.valid)}")
        for name, dtype in {**dict.fromkeys(self.valid, np.float64), **VALID_COLUMNS}.items():
            _check_column(f"valid[{name!r}]", self.valid[name], dtype, len(self.valid["step"]))
        at = self.valid["step"]
        if at.size and not (at.min() >= 1 and at.max() <= self.num_steps):
            raise ValueError(
                f"valid['step'] must be from 1 to {self.num_steps}, got {at.min()} to {at.max()}"
            )
        if not isinstance(self.observations, Mapping) or "step" not in self.observations:
            raise ValueError("observations must be a mapping with an array 'step'")

    @property
    def ema(self) -> Transformer | None:
        """A model with the moving average of the weights, where `train` had `ema`.

        It goes with the object that `train` returned: files and copies are without, and give None.
        """
        return self._ema

    _ema: ClassVar[Any] = None  # a Transformer, of the object where there is one

    def _summary(self) -> str:
        parts = [f"{self.num_steps:,} steps"]
        if self.num_steps:
            parts.append(f"nll {self.nll[-1]:.4g}")
        if len(self.valid["nll"]):
            parts.append(f"validation nll {self.valid['nll'][-1]:.4g} at step {self.valid['step'][-1]:,}")
        if self.num_steps:
            parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        if self.diverged_at is not None:
            parts.append(f"diverged at step {self.diverged_at:,}: {self.diverged_because}")
        if self.stopped_early:
            best = self.best_step
            parts.append("stopped early" if best is None else f"stopped early, best at step {best:,}")
        if self.interrupted:
            parts.append("interrupted")
        return ", ".join(parts)


def _check_column(name: str, values: Any, dtype: type, length: int) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != dtype or values.shape != (length,):
        told = (
            f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else f"{shown(values)}"
        )
        raise ValueError(f"{name} must be an array {np.dtype(dtype)} [{length}], got {told}")
