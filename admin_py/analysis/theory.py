"""How the paper's theory says the output changes with depth, and fits to what is measured.

Source: Liu et al., EMNLP 2020, arXiv 2004.08249, section 4: for a small change of the weights, the change of
a stack's output after i sub-layers is about C sum_{j <= i} beta_jj^2, where beta_jj^2 is the share of a
sub-layer's variance that is its own branch's. In Post-LN that share keeps its size, so the change grows like
N; in Pre-LN it falls like 1 / j, so the change grows like ln N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import check_array, shown
from admin_py.base.exact_math import logs

FORMS = ("linear", "logarithmic")


@door
@dataclass(frozen=True)
class Fit:
    """A line through measured values: slope n + intercept, or slope ln n + intercept. Callable.

    Parameters
    ----------
    slope, intercept : float
        By least squares; nan where a value is not finite.
    r2 : float
        Share of the values' variance that the line explains, at most 1; nan where the values do not vary.
    form : {"linear", "logarithmic"}
        In n, or in ln n.

    Examples
    --------
    >>> Fit(2.0, 1.0, 0.9)(3)
    7.0
    """

    slope: float
    intercept: float
    r2: float
    form: str = "linear"

    def __call__(self, n: ArrayLike) -> NDArray[np.float64] | float:
        """The line at depth n (from 1), a number or an array."""
        with np.errstate(over="ignore"):
            depth = check_array("n", n).astype(np.float64)
        values = self.slope * (logs(depth) if self.form == "logarithmic" else depth) + self.intercept
        return float(values) if values.ndim == 0 else values


class Fits(NamedTuple):
    """The two fits to one curve."""

    linear: Fit
    logarithmic: Fit

    @property
    def better(self) -> str:
        """The form with the larger R^2; ``"linear"`` where neither can be told."""
        return "logarithmic" if self.logarithmic.r2 > self.linear.r2 else "linear"


def fit(values: ArrayLike, *, form: str = "linear") -> Fit:
    """Least squares through the values at depths 1, 2, ...

    Parameters
    ----------
    values : array_like
        [R], at least two.
    form : {"linear", "logarithmic"}
        What the line is straight in: n or ln n.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If there are fewer than two values or the form is unknown.

    Examples
    --------
    >>> fit([1.0, 3.0, 5.0])
    Fit(slope=2.0, intercept=-1.0, r2=1.0, form='linear')
    >>> fit(np.log([1, 2, 3, 4]), form="logarithmic")
    Fit(slope=1.0, intercept=0.0, r2=1.0, form='logarithmic')
    """
    y = np.asarray(values, np.float64)
    if y.ndim != 1 or len(y) < 2:
        raise ValueError(f"values must be at least two numbers, got shape {y.shape}")
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(map(repr, FORMS))}, got {shown(form)}")
    if not np.isfinite(y).all():
        return Fit(math.nan, math.nan, math.nan, form)
    depth = np.arange(1, len(y) + 1, dtype=np.float64)
    x = logs(depth) if form == "logarithmic" else depth
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx * dy).sum() / (dx**2).sum())
    total, rest = float((dy**2).sum()), float(((dy - slope * dx) ** 2).sum())
    r2 = 1.0 - rest / total if total > 0 else math.nan
    return Fit(slope, float(y.mean() - slope * x.mean()), r2, form)


def fits(values: ArrayLike) -> Fits:
    """Both fits through the values at depths 1, 2, ...

    Examples
    --------
    >>> fits([0.0, 1.0, 2.0, 3.0]).better
    'linear'
    """
    return Fits(fit(values), fit(values, form="logarithmic"))


def own_dependency(var_branch: ArrayLike, var_sum: ArrayLike) -> NDArray[np.float64]:
    """beta_jj^2 = mean_t Var_f(b_j) / mean_t Var_f(y_j) from both means [R]; 0 where both are 0.

    Examples
    --------
    >>> own_dependency([1.0, 0.0], [4.0, 0.0])
    array([0.25, 0.  ])
    """
    branch, total = np.asarray(var_branch, np.float64), np.asarray(var_sum, np.float64)
    with np.errstate(all="ignore"):  # a model is looked at whose numbers are not finite, too
        return np.divide(branch, total, out=np.zeros_like(total), where=total != 0)


def amplification(own: ArrayLike) -> NDArray[np.float64]:
    """sum_{j <= i} beta_jj^2 for i = 1..R, from beta_jj^2 [R].

    Examples
    --------
    >>> amplification([0.5, 0.25, 0.25])
    array([0.5 , 0.75, 1.  ])
    """
    return np.cumsum(np.asarray(own, np.float64))


def scale_to(curve: ArrayLike, values: ArrayLike) -> float:
    """The factor C for which C curve is nearest to the values: sum curve values / sum curve^2.

    0 where the curve is 0 throughout.

    Examples
    --------
    >>> scale_to([1.0, 2.0], [3.0, 6.0])
    3.0
    """
    c, y = np.asarray(curve, np.float64), np.asarray(values, np.float64)
    norm = float((c**2).sum())
    return float((c * y).sum()) / norm if norm > 0 else 0.0
