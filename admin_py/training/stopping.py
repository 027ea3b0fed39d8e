"""When a training ends before its last step because it improves no more, and by what that is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, as_number, check_bool, check_callable, check_integer, shown
from admin_py.model.transformer import Transformer
from admin_py.training.best import NLL, best_first, validations_since_best
from admin_py.training.history import VALID_COLUMNS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*")

MEASURED = tuple(name for name in VALID_COLUMNS if name != "step")
"""What every validation measures: it may be monitored by its name, and the smaller is the better."""


@door
@dataclass(frozen=True)
class Monitor:
    """What a training measures at its validations beside the loss, such as BLEU, and which way is better.

    Parameters
    ----------
    name : str
        Letters, digits, spaces and ``_ . + -``; of the column in ``history.valid``, so not ``"step"``,
        ``"nll"`` or ``"loss"``.
    measure : callable
        Takes the model, which it leaves as it is, and returns a number. One that is not finite is never the
        best.
    larger_is_better : bool
        True for BLEU or an accuracy, False for a loss or an error rate.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> batch = next(data.batches(split="valid", shuffle=False))
    >>> def accuracy(model):
    ...     expected = np.concatenate([ids[1:] for ids in batch.target])
    ...     return np.mean(model.forward(batch).argmax(axis=1) == expected)
    >>> history = ap.train(
    ...     ap.Transformer(config, seed=1), data, optimizer="adam", lr=1e-2, steps=6, max_tokens=128,
    ...     valid_every=3, monitor=ap.Monitor("accuracy", accuracy, larger_is_better=True),
    ...     restore_best=True, progress=False,
    ... )
    >>> history.valid["accuracy"].shape, history.best_step in (3, 6)
    ((2,), True)
    """

    name: str
    measure: Callable[[Transformer], float]
    _: KW_ONLY
    larger_is_better: bool

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name of a Monitor must be a string, got {shown(self.name)}")
        if not _NAME.fullmatch(self.name) or self.name in VALID_COLUMNS:
            raise ValueError(
                "name of a Monitor must be letters, digits, spaces and _ . + -, and none of "
                f"{', '.join(VALID_COLUMNS)}, got {shown(self.name)}"
            )
        check_callable("measure", self.measure)
        better = check_bool("larger_is_better", self.larger_is_better)
        object.__setattr__(self, "larger_is_better", better)

    def of(self, model: Transformer) -> float:
        """The number that a model has.

        Raises
        ------
        TypeError
            If it is none; what `measure` raises goes through.
        """
        return as_number(f"what the monitor {self.name!r} measures", self.measure(model))


@dataclass(frozen=True)
class Stopping:
    """What is monitored, and what follows from it.

    Attributes
    ----------
    name : str
        Column of ``history.valid``.
    larger_is_better : bool
    monitor : Monitor or None
        Which measures it; None for what every validation measures.
    patience : int or None
        Validations without an improvement after which the training ends.
    restore_best : bool
        Whether the model has the weights of the best validation at the end.
    """

    name: str = NLL
    larger_is_better: bool = False
    monitor: Monitor | None = None
    patience: int | None = None
    restore_best: bool = False

    def measured(self, model: Transformer) -> dict[str, float]:
        """What a validation measures beside the loss, by its column."""
        return {} if self.monitor is None else {self.name: self.monitor.of(model)}

    def best_first(self, valid: Mapping[str, NDArray[Any]]) -> list[int]:
        """The steps of the validations, the best first."""
        return best_first(valid, self.name, self.larger_is_better)

    def is_over(self, valid: Mapping[str, NDArray[Any]], step: int) -> bool:
        """Whether the training ends after a step, by its validation."""
        if self.patience is None or not len(valid["step"]) or valid["step"][-1] != step:
            return False
        return validations_since_best(valid, self.name, self.larger_is_better) >= self.patience

    def describe(self) -> dict[str, Any] | None:
        """What decides numbers of a training, as plain JSON; None for what every validation measures."""
        if self.monitor is None:
            return None
        return {"name": self.name, "larger_is_better": self.larger_is_better}

    def told(self, *, best_is_kept: bool) -> dict[str, Any] | None:
        """For the metadata, as plain JSON; None where nothing follows from what is monitored."""
        if self == Stopping() and not best_is_kept:
            return None
        return {
            "monitor": self.name,
            "larger_is_better": self.larger_is_better,
            "patience": self.patience,
            "restore_best": self.restore_best,
            "stopped": False,
        }


def read_stopping(monitor: Any, patience: Any, restore_best: Any) -> Stopping:
    """What the arguments of `train` say.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Examples
    --------
    >>> read_stopping("loss", 3, False).name
    'loss'
    >>> read_stopping("bleu", None, False)
    Traceback (most recent call last):
    ValueError: monitor must be 'nll', 'loss' or a Monitor, which says whether larger is better, got 'bleu'
    """
    if patience is not None:
        patience = check_integer("patience", patience, 1, MAX_COUNT)
    restore_best = check_bool("restore_best", restore_best)
    if isinstance(monitor, Monitor):
        return Stopping(monitor.name, monitor.larger_is_better, monitor, patience, restore_best)
    wanted = f"{', '.join(map(repr, MEASURED))} or a Monitor, which says whether larger is better"
    if not isinstance(monitor, str):
        raise TypeError(f"monitor must be {wanted}, got {shown(monitor)}")
    if monitor not in MEASURED:
        raise ValueError(f"monitor must be {wanted}, got {shown(monitor)}")
    return Stopping(str(monitor), False, None, patience, restore_best)
