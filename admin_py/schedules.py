"""Learning-rate schedules: small frozen callables from the step, counted from 1, to the learning rate.

All begin with a linear warm-up from ``initial`` to ``lr`` over the first ``warmup`` steps::

    step <= warmup:   initial + (lr - initial) * step / warmup

and go on as their names say. Their names are those of functions, because that is how they are used; they are
classes so that two can be compared, printed and kept in files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import as_integer, check_array, check_choice, check_integer, check_number, shown
from admin_py.base.exact_math import cos_turns, power
from admin_py.results import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STEPS = 2**53 - 1
"""Steps beyond it are not exact in float64."""


@door
@dataclass(frozen=True, repr=False)
class Schedule:
    """What the schedules have in common: warm-up, arrays of steps, files, pictures.

    Attributes
    ----------
    lr : float
        The largest learning rate, reached at the end of the warm-up.
    warmup : int
        Steps of linear warm-up; 0 for none.
    initial : float
        Where the warm-up starts (at step 0), at most lr.
    """

    lr: float
    warmup: int = 0
    _: dataclasses.KW_ONLY
    initial: float = 0.0

    def __post_init__(self) -> None:
        self._store("lr", check_number("lr", self.lr))
        if self.lr <= 0:
            raise ValueError(f"lr must be positive, got {self.lr!r}")
        self._store("warmup", check_integer("warmup", self.warmup, 0, MAX_STEPS))
        self._store("initial", check_number("initial", self.initial, low=0.0))
        if self.initial > self.lr:
            raise ValueError(f"initial must be at most lr = {self.lr!r}, got {self.initial!r}")
        if self.initial and self.warmup == 0:
            raise ValueError(f"initial goes with a warmup, which starts there, got {self.initial!r} without")

    def _store(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @overload
    def __call__(self, step: int) -> float: ...

    @overload
    def __call__(self, step: ArrayLike) -> float | NDArray[np.float64]: ...

    def __call__(self, step: int | ArrayLike) -> float | NDArray[np.float64]:
        """The learning rate of a step, counted from 1.

        Parameters
        ----------
        step : int or array_like of int
            At least 1.

        Returns
        -------
        float or ndarray of float64
            As ``step``.

        Raises
        ------
        TypeError, ValueError
            For steps that are not integers, or below 1.
        """
        array = check_array("step", step, "iufbcOSUVmM")
        if array.ndim == 0:
            return float(self._rates(_checked(np.array([as_integer("step", step)])))[0])
        return self._rates(_checked(array))

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n] learning rates of [n] steps."""
        warm = np.minimum(step / max(self.warmup, 1), 1.0)
        rising = self.initial + (self.lr - self.initial) * warm
        return np.where(step <= self.warmup, rising, self._after(np.maximum(step, self.warmup)))

    def _after(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n] learning rates of [n] steps that are not before the end of the warm-up."""
        raise NotImplementedError

    @property
    def horizon(self) -> int:
        """Steps worth a picture: four warm-ups, at least 100."""
        return max(4 * self.warmup, 100)

    def plot(self, ax: Axes | None = None, *, steps: int | None = None) -> Axes:
        """Draw the learning rate over the steps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Drawn into; a new figure otherwise.
        steps : int, optional
            How many.

        Returns
        -------
        matplotlib.axes.Axes
        """
        count = self.horizon if steps is None else check_integer("steps", steps, 1, MAX_STEPS)
        # As many points as a figure can show, the first and last step among them.
        step = np.unique(np.linspace(1, count, min(count, 2000)).round().astype(np.int64))
        return figure("plot_schedule")(step, np.asarray(self(step)), label=repr(self), ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """The kind and all its numbers; `from_dict` rebuilds an equal schedule."""
        return {"kind": type(self).__name__, **vars(self)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    def __repr__(self) -> str:
        given = (f for f in dataclasses.fields(self) if f.name in ("lr", "warmup") or self._differs(f))
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in given)})"

    def _differs(self, of: dataclasses.Field[Any]) -> bool:
        return bool(getattr(self, of.name) != of.default)


@door
@dataclass(frozen=True, repr=False)
class constant(Schedule):
    """lr after the warm-up.

    Examples
    --------
    >>> schedule = constant(1e-3, warmup=2)
    >>> schedule([1, 2, 3]).tolist()
    [0.0005, 0.001, 0.001]
    """

    def _after(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full_like(step, self.lr)


@door
@dataclass(frozen=True, repr=False)
class inverse_sqrt(Schedule):
    """lr * sqrt(warmup / step) after the warm-up (Vaswani et al. 2017, equation 3).

    Without a warm-up it is lr / sqrt(step).

    Parameters
    ----------
    lr : float
        The largest learning rate, reached at the end of the warm-up.
    warmup : int
        Steps of linear warm-up.
    initial : float, optional
        Where the warm-up starts; fairseq's recipes say 1e-7.

    Examples
    --------
    >>> schedule = inverse_sqrt(lr=1e-3, warmup=400)
    >>> schedule
    inverse_sqrt(lr=0.001, warmup=400)
    >>> schedule(100), schedule(400), schedule(1600)
    (0.00025, 0.001, 0.0005)
    """

    def _after(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.lr * np.sqrt(max(self.warmup, 1) / step)


@door
@dataclass(frozen=True, repr=False)
class Decay(Schedule):
    """What goes from lr to ``final`` between the end of the warm-up and step ``steps``, and stays there.

    Attributes
    ----------
    steps : int
        Of the whole training, more than the warm-up has.
    final : float
        Where it ends, at most lr.
    """

    _: dataclasses.KW_ONLY
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store("steps", check_integer("steps", self.steps, 1, MAX_STEPS))
        if self.steps <= self.warmup:
            raise ValueError(f"steps must be more than the warm-up's {self.warmup}, got {self.steps}")
        self._store("final", check_number("final", self.final, low=0.0))
        if self.final > self.lr:
            raise ValueError(f"final must be at most lr = {self.lr!r}, got {self.final!r}")

    def _after(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        progress = np.minimum((step - self.warmup) / (self.steps - self.warmup), 1.0)
        return self.final + (self.lr - self.final) * self._remaining(progress)

    def _remaining(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of lr - final that is left, by the share of the decay that is done; 1 -> 0 on [0, 1]."""
        raise NotImplementedError

    @property
    def horizon(self) -> int:
        """Steps worth a picture: a little more than all."""
        return self.steps + max(self.steps // 10, 1)


@door
@dataclass(frozen=True, repr=False)
class linear(Decay):
    """A straight line from lr at the end of the warm-up to ``final`` at step ``steps``.

    Examples
    --------
    >>> schedule = linear(1.0, warmup=10, steps=110)
    >>> schedule(10), schedule(60), schedule(110), schedule(500)
    (1.0, 0.5, 0.0, 0.0)
    """

    def _remaining(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 - progress


@door
@dataclass(frozen=True, repr=False)
class polynomial(Decay):
    """A power of what is left of the training: final + (lr - final) * (1 - progress)^power.

    Parameters
    ----------
    lr, warmup, initial, steps, final
        As of all that decay.
    power : float
        Positive; 1 is `linear`.

    Examples
    --------
    >>> polynomial(1.0, warmup=0, steps=100, power=2.0)(50)
    0.25
    """

    _: dataclasses.KW_ONLY
    power: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store("power", check_number("power", self.power))
        if self.power <= 0:
            raise ValueError(f"power must be positive, got {self.power!r}")

    def _remaining(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        return power(1.0 - progress, self.power)


@door
@dataclass(frozen=True, repr=False)
class cosine(Decay):
    """Half a cosine from lr to ``final`` (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts).

    Examples
    --------
    >>> schedule = cosine(1.0, warmup=0, steps=100, final=0.1)
    >>> round(schedule(50), 12), schedule(100)
    (0.55, 0.1)
    """

    def _remaining(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * (1.0 + cos_turns(0.5 * progress))


KINDS: Mapping[str, type[Schedule]] = {
    cls.__name__: cls for cls in (inverse_sqrt, linear, polynomial, cosine, constant)
}
"""All schedules, by name."""


@door
def from_dict(data: Mapping[str, Any]) -> Schedule:
    """The schedule that `Schedule.to_dict` wrote.

    Raises
    ------
    ValueError
        For an unknown kind or an argument that the kind has not.

    Examples
    --------
    >>> from_dict(cosine(1e-3, 100, steps=2000).to_dict())
    cosine(lr=0.001, warmup=100, steps=2000)
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"a schedule is rebuilt from a mapping, got {type(data).__name__}")
    numbers = dict(data)
    kind = numbers.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind of a schedule must be one of {', '.join(KINDS)}, got {shown(kind)}")
    names = [f.name for f in dataclasses.fields(KINDS[kind])]
    unknown = [name for name in numbers if name not in names]
    missing = [f.name for f in dataclasses.fields(KINDS[kind]) if _required(f) and f.name not in numbers]
    if unknown or missing:
        what = f"has no {unknown[0]!r}" if unknown else f"needs {missing[0]!r}"
        raise ValueError(f"the schedule {kind} {what}; its arguments are {', '.join(names)}")
    return KINDS[kind](**numbers)


NAMED: Mapping[str, Callable[[float, int, int], Schedule]] = {
    "inverse_sqrt": lambda lr, warmup, steps: inverse_sqrt(lr, warmup),
    "constant": lambda lr, warmup, steps: constant(lr, warmup),
    "linear": lambda lr, warmup, steps: linear(lr, warmup, steps=steps),
    "cosine": lambda lr, warmup, steps: cosine(lr, warmup, steps=steps),
}
"""Name in trainings, studies and grids -> a schedule of largest rate, warm-up and steps."""


@door
def named(name: str, lr: float, warmup: int, steps: int) -> Schedule:
    """A schedule by its name; linear and cosine end at 0 with the last step.

    Raises
    ------
    ValueError
        If there is none of that name, or as the schedule does.

    Examples
    --------
    >>> named("cosine", 1e-3, 100, 2000)
    cosine(lr=0.001, warmup=100, steps=2000)
    """
    return NAMED[check_choice("schedule", name, tuple(NAMED))](lr, warmup, steps)


def _rebuild(kind: type[Schedule], numbers: Mapping[str, Any]) -> Schedule:
    """A schedule out of what was pickled, checked."""
    return kind(**numbers)


def _required(of: dataclasses.Field[Any]) -> bool:
    return of.default is dataclasses.MISSING


def _checked(step: NDArray[Any]) -> NDArray[np.float64]:
    """[n] steps as float64."""
    if step.size > 0 and step.dtype.kind not in "iu":
        raise TypeError(f"steps must be integers, got an array of {step.dtype}")
    if step.size > 0 and step.min() < 1:
        raise ValueError(f"steps count from 1, got {step.min()}")
    return step.astype(np.float64)
