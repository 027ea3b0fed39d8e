"""Optimisers by name, with the options of the paper, and what else may stand for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from admin_py.base import defaults
from admin_py.base.checks import check_number, shown
from admin_py.training.optimizers import SGD, Adam, AdamW, NovoGrad, Optimizer, RAdam

BETAS, EPS, MOMENTUM = (0.9, 0.98), 1e-9, 0.9
"""Adam's as the paper trains with them (Vaswani et al. 2017, section 5.3); SGD's."""

OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "adam": lambda lr: Adam(lr, betas=BETAS, eps=EPS),
    "adamw": lambda lr: AdamW(lr, betas=BETAS, eps=EPS),
    "radam": lambda lr: RAdam(lr, betas=BETAS, eps=EPS),
    "novograd": lambda lr: NovoGrad(lr, betas=BETAS),
    "sgd": lambda lr: SGD(lr, momentum=MOMENTUM),
}
"""Name in trainings, studies, grids and on the command line -> a fresh optimiser of a learning rate."""

OptimizerLike = Optimizer | str | Callable[[float], Optimizer]
"""An optimiser, one of `OPTIMIZERS` by its name, or what makes one of a learning rate."""


def named(name: str, lr: float = defaults.LR) -> Optimizer:
    """A fresh optimiser by its name, with the options of the paper.

    Raises
    ------
    TypeError, ValueError
        If there is none of that name, or the rate is none.

    Examples
    --------
    >>> named("sgd", 0.1)
    SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(map(repr, OPTIMIZERS))}, got {shown(name)}")
    return OPTIMIZERS[name](lr)


def as_optimizer(optimizer: OptimizerLike, lr: float | None = None) -> Optimizer:
    """The optimiser that a name, an object or a function stands for.

    Parameters
    ----------
    optimizer : Optimizer, str or callable
        An object is taken with the rate and the state it has; a name is one of `OPTIMIZERS`; a callable makes
        an optimiser of the rate, as the classes do.
    lr : float, optional
        Learning rate of a name's or callable's, by default 1e-3. An object has its own.

    Raises
    ------
    TypeError, ValueError
        Naming ``optimizer`` or ``lr``, what was given and what was expected.

    Examples
    --------
    >>> as_optimizer("adam", 2e-3)
    Adam(lr=0.002, betas=(0.9, 0.98), eps=1e-09, weight_decay=0.0)
    >>> as_optimizer(AdamW)
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    >>> as_optimizer(Adam(1e-3), 2e-3)
    Traceback (most recent call last):
        ...
    ValueError: lr must be None with an optimizer that has a rate of its own, 0.001, got 0.002
    """
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError(
                f"lr must be None with an optimizer that has a rate of its own, {optimizer.lr!r}, "
                f"got {shown(lr)}"
            )
        return optimizer
    rate = defaults.LR if lr is None else check_number("lr", lr, low=0.0)
    if isinstance(optimizer, str):
        return named(optimizer, rate)
    if not callable(optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, one of {', '.join(map(repr, OPTIMIZERS))}, or a function of a "
            f"learning rate, got an object of type {type(optimizer).__name__}"
        )
    try:
        made = optimizer(rate)
    except TypeError as error:
        raise TypeError(f"optimizer must be callable with a learning rate: {error}") from error
    if not isinstance(made, Optimizer):
        raise TypeError(
            f"optimizer must make an Optimizer of the learning rate, it made an object of type "
            f"{type(made).__name__}"
        )
    return made
