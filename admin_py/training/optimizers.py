"""Optimisers: rules that change a model's weights from its gradients, computed by the core."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.builds import MODULES
from admin_py.base.checks import attribute_of, check_bool, check_choice, check_listed, check_number, shown
from admin_py.base.precision import check_below_one, check_held

if TYPE_CHECKING:
    from admin_py.model.layers import DecoderLayer, EncoderLayer
    from admin_py.model.transformer import Transformer

TRACTABLE = 5.0
"""RAdam changes weights while the length of its average, below 2 / (1 - beta2) - 1, is at least this."""

Kind = Literal["sgd", "adam", "adamw", "radam", "novograd"]


@door
class Optimizer:
    """What all optimisers have in common. Use one of `SGD`, `Adam`, `AdamW`, `RAdam`, `NovoGrad`.

    An optimiser belongs to the first model it changes: its state has that model's size and dtype. Copies and
    pickles have a state of their own and go on where it was.

    Examples
    --------
    >>> import admin_py as ap
    >>> optimizer = ap.RAdam(lr=1e-3)
    >>> isinstance(optimizer, ap.Optimizer), optimizer.lr
    (True, 0.001)
    """

    kind: ClassVar[Kind]

    def __init__(self, lr: float, options: dict[str, Any]) -> None:
        if not hasattr(type(self), "kind"):
            raise TypeError("Optimizer has no rule of its own: use one of SGD, Adam, AdamW, RAdam, NovoGrad")
        self.lr = lr
        self._options = options
        MODULES["float64"].Optimizer(self.kind, **options)  # checks them; a float32 model's are checked again
        self._core: Any = None
        self._loaded: dict[str, Any] | None = None  # a state that waits for the first model

    @property
    def lr(self) -> float:
        """Learning rate of a `step` that is given none; may be set."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = check_number("lr", value, low=0.0)

    def step(
        self,
        model: Transformer | EncoderLayer | DecoderLayer,
        lr: float | None = None,
        grad_scale: float = 1.0,
    ) -> float:
        """One update of the trained parameters from the gradients that are there.

        Parameters
        ----------
        model : Transformer, EncoderLayer or DecoderLayer
        lr : float, optional
            Instead of `lr`.
        grad_scale : float
            Factor on the gradients: 1 / accumulated batches, or what clips them.

        Returns
        -------
        float
            Euclidean norm of the change of the weights.

        Raises
        ------
        ValueError
            If the state belongs to a model of another size or dtype.
        RuntimeError
            If the model has no gradients yet.
        """
        core, dtype = attribute_of(model, "_core"), str(attribute_of(model, "dtype"))
        if core is None or dtype not in MODULES:
            raise TypeError(
                f"model must be a Transformer or a layer, got an object of type {type(model).__name__}"
            )
        rate = check_number("lr", self.lr if lr is None else lr, low=0.0)
        if lr is None:
            check_held("lr", rate, dtype)
        return self._for_dtype(dtype).step(core, rate, grad_scale)

    def _core_for(self, model: Transformer) -> Any:
        """The core's optimiser that changes a model; made where there is none yet."""
        return self._for_dtype(str(model.dtype))

    def check_dtype(self, dtype: str) -> None:
        """ValueError, with the option's name, if it has a number that models of this type cannot hold.

        Examples
        --------
        >>> Adam(eps=1e-50).check_dtype("float32")
        Traceback (most recent call last):
        ValueError: eps must be a number that float32 can hold, got 1e-50, which it rounds to 0
        """
        check_choice("dtype", dtype, tuple(MODULES))
        options, first = self._options, "momentum" if self.kind == "sgd" else "betas"
        for option, name in (("beta1", first), ("beta2", "betas")):
            check_below_one(name, options.get(option, 0.0), dtype)
        for name in ("eps", "weight_decay"):
            check_held(name, options.get(name, 0.0), dtype)

    def _for_dtype(self, dtype: str) -> Any:
        """The core's optimiser, made for the dtype of the first model."""
        module = MODULES[dtype]
        if self._core is None:
            self.check_dtype(dtype)
            core = module.Optimizer(self.kind, **self._options)
            if self._loaded is not None:
                core.load_state(self._loaded)
            self._core, self._loaded = core, None
        elif not isinstance(self._core, module.Optimizer):
            raise ValueError(f"model must have the dtype of the optimizer's state, got {dtype}")
        return self._core

    @property
    def state(self) -> dict[str, Any]:
        """Updates made, ``"step"``, and the moments ``"m"`` and ``"v"``: views, or None."""
        if self._core is not None:
            return self._core.state
        return dict(self._loaded or {"step": 0, "m": None, "v": None})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimiser of the same options was.

        Parameters
        ----------
        state : mapping
            As `state` gives it.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing or does not fit; the optimiser is then as before.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping, got an object of type {type(state).__name__}")
        given = dict(state)
        if self._core is not None:
            self._core.load_state(_apart(given, self._core.state))
            return
        self._begin_with(given)

    def _replace_state(self, state: Mapping[str, Any]) -> None:
        """As `load_state`, but of a state that may be of another model, or of a part of one."""
        self._begin_with(dict(state))

    def _begin_with(self, given: dict[str, Any]) -> None:
        moments = [value for value in (given.get("m"), given.get("v")) if isinstance(value, np.ndarray)]
        module = (
            MODULES[str(moments[0].dtype)]
            if moments and str(moments[0].dtype) in MODULES
            else MODULES["float64"]
        )
        core = module.Optimizer(self.kind, **self._options)
        core.load_state(given)  # checks it
        if moments:
            self._core, self._loaded = core, None
        else:
            self._core, self._loaded = None, given

    def __reduce__(self) -> tuple[Any, ...]:
        dtypes = [name for name, module in MODULES.items() if isinstance(self._core, module.Optimizer)]
        dtype = dtypes[0] if dtypes else None
        return _rebuild, (type(self), self.lr, dict(self._options), dtype, self.state)

    def to_dict(self) -> dict[str, Any]:
        """Kind and options as plain values; `from_dict` is the way back. The state is not among them.

        Examples
        --------
        >>> Adam(0.001).to_dict()
        {'kind': 'adam', 'lr': 0.001, 'betas': [0.9, 0.999], 'eps': 1e-08, 'weight_decay': 0.0}
        """
        return {"kind": self.kind, "lr": self.lr, **self._arguments()}

    def _arguments(self) -> dict[str, Any]:
        options = self._options
        return {
            "betas": [options["beta1"], options["beta2"]],
            "eps": options["eps"],
            "weight_decay": options["weight_decay"],
        }

    def __repr__(self) -> str:
        shown = {k: tuple(v) if isinstance(v, list) else v for k, v in self._arguments().items()}
        return f"{type(self).__name__}(lr={self.lr!r}, {', '.join(f'{k}={v!r}' for k, v in shown.items())})"


@door
class SGD(Optimizer):
    """Stochastic gradient descent with momentum: m = momentum m + g, w = w - lr m.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        In [0, 1).
    nesterov : bool
        Nesterov's variant; needs momentum.
    weight_decay : float
        Added to the gradient as weight_decay times the weight.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    kind = "sgd"

    def __init__(
        self, lr: float, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        momentum = check_number("momentum", momentum)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {shown(momentum)}")
        if check_bool("nesterov", nesterov) and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        decay = check_number("weight_decay", weight_decay, low=0.0)
        super().__init__(lr, {"beta1": momentum, "weight_decay": decay, "nesterov": nesterov})

    def _arguments(self) -> dict[str, Any]:
        options = self._options
        return {
            "momentum": options["beta1"],
            "nesterov": options["nesterov"],
            "weight_decay": options["weight_decay"],
        }


@door
class _Adaptive(Optimizer):
    """Optimisers with two moments."""

    def __init__(self, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
        try:
            beta1, beta2 = (check_number("betas", beta) for beta in check_listed("betas", betas))
        except (TypeError, ValueError):
            raise ValueError(f"betas must be two numbers in [0, 1), got {shown(betas)}") from None
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"betas must be two numbers in [0, 1), got {shown(betas)}")
        self._check_beta2(beta2)
        if check_number("eps", eps) <= 0 or not math.isfinite(eps):
            raise ValueError(f"eps must be above 0, got {shown(eps)}")
        decay = check_number("weight_decay", weight_decay, low=0.0)
        super().__init__(lr, {"beta1": beta1, "beta2": beta2, "eps": float(eps), "weight_decay": decay})

    def _check_beta2(self, beta2: float) -> None:
        """That updates of this kind ever begin with it."""


@door
class Adam(_Adaptive):
    """Adam (Kingma and Ba, ICLR 2015); weight decay is added to the gradient.

    Parameters
    ----------
    lr : float
        Learning rate.
    betas : pair of float
        Decay of the moments, in [0, 1).
    eps : float
        Added to the root of the second moment.
    weight_decay : float
        Added to the gradient as weight_decay times the weight.

    Examples
    --------
    >>> Adam(0.001, betas=(0.9, 0.98))
    Adam(lr=0.001, betas=(0.9, 0.98), eps=1e-08, weight_decay=0.0)
    """

    kind = "adam"

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)


@door
class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019): w = w - lr weight_decay w.

    Parameters
    ----------
    lr, betas, eps, weight_decay
        As of `Adam`, the decay apart from the gradient.

    Examples
    --------
    >>> AdamW(lr=3e-4, weight_decay=0.1)
    AdamW(lr=0.0003, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1)
    """

    kind = "adamw"

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)


@door
class RAdam(_Adaptive):
    """Rectified Adam (Liu et al., ICLR 2020) as in its authors' Transformer release.

    There is no update while the variance of the adaptive rate is intractable (the first steps; all of them
    where beta2 is at most 2/3, which is refused); weight decay is decoupled.

    Parameters
    ----------
    lr, betas, eps, weight_decay
        As of `AdamW`.

    Examples
    --------
    >>> RAdam(lr=7e-4, betas=(0.9, 0.98))
    RAdam(lr=0.0007, betas=(0.9, 0.98), eps=1e-08, weight_decay=0.0)
    """

    kind = "radam"

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)

    def _check_beta2(self, beta2: float) -> None:
        if 2.0 / (1.0 - beta2) - 1.0 <= TRACTABLE:
            raise ValueError(
                f"betas must have a beta2 above 2/3 for RAdam, whose updates would never begin, got {beta2!r}"
            )


@door
class NovoGrad(_Adaptive):
    """NovoGrad (Ginsburg et al. 2019, arXiv 1905.11286): one second moment for each tensor.

    Parameters
    ----------
    lr, betas, eps
        As of `Adam`, with the paper's betas.
    weight_decay : float
        Times the weight, added to the normalised gradient.

    Examples
    --------
    >>> NovoGrad()
    NovoGrad(lr=0.01, betas=(0.95, 0.98), eps=1e-08, weight_decay=0.0)
    """

    kind = "novograd"

    def __init__(
        self,
        lr: float = 1e-2,
        *,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)


def _apart(given: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, moments that are views of the state that is written as copies: they may be swapped."""
    held = [value for value in own.values() if isinstance(value, np.ndarray)]
    return {
        name: value.copy()
        if isinstance(value, np.ndarray) and any(np.may_share_memory(value, one) for one in held)
        else value
        for name, value in given.items()
    }


def _rebuild(
    kind: type[Optimizer], lr: float, options: dict[str, Any], dtype: str | None, state: Mapping[str, Any]
) -> Optimizer:
    """An optimiser out of what was pickled, or as a copy, checked."""
    optimizer = kind.__new__(kind)
    Optimizer.__init__(optimizer, lr, dict(options))  # not that of a class of a user's own
    if dtype is not None:
        optimizer._for_dtype(dtype)
    optimizer.load_state(state)
    return optimizer


_KINDS: dict[str, type[Optimizer]] = {cls.kind: cls for cls in (SGD, Adam, AdamW, RAdam, NovoGrad)}


def from_dict(data: Mapping[str, Any]) -> Optimizer:
    """The inverse of `Optimizer.to_dict`.

    Raises
    ------
    ValueError, TypeError
        For an unknown kind or option.

    Examples
    --------
    >>> from_dict({"kind": "sgd", "lr": 0.1, "momentum": 0.5})
    SGD(lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.0)
    """
    options = dict(data)
    kind = options.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"kind of an optimizer must be one of {', '.join(_KINDS)}, got {shown(kind)}")
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    return _KINDS[kind](**options)
