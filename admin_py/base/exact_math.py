"""Elementary functions and products that give the same bits on every machine: the core's, and roots.

Those of NumPy and of Python's `math` are as the C library, the BLAS and the processor have them. What Python
computes of a model or for a training (learning rates, constants of schemes, drawn tokens, attention
probabilities) and fits or averages of results takes these; what is only drawn need not. NumPy's square roots
are exact everywhere, and its sums and means add in one order.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from admin_py.base.builds import MODULES

_CORE = MODULES["float64"]


def exp(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """e^x, of an array of any shape.

    Examples
    --------
    >>> exp(np.array([-np.inf, 0.0, 1.0])).round(12).tolist()
    [0.0, 1.0, 2.718281828459]
    """
    return _shaped(_CORE.exp(_flat(x)), x)


def tanh(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The hyperbolic tangent, of an array of any shape.

    Examples
    --------
    >>> tanh(np.array([-np.inf, 0.0, 1.0])).round(12).tolist()
    [-1.0, 0.0, 0.761594155956]
    """
    return _shaped(_CORE.tanh(_flat(x)), x)


def log(x: float) -> float:
    """The natural logarithm of a number.

    Examples
    --------
    >>> log(1), log(10)
    (0.0, 2.302585092994046)
    """
    return float(logs(np.array([x]))[0])


def logs(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The natural logarithms of an array of any shape.

    Examples
    --------
    >>> logs(np.array([0.0, 1.0])).tolist()
    [-inf, 0.0]
    """
    return _shaped(_CORE.log(_flat(x)), x)


def geometric_mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the first axis; 0 where one of the numbers is 0.

    Examples
    --------
    >>> geometric_mean(np.array([[1.0, 0.0], [4.0, 3.0]])).tolist()
    [2.0, 0.0]
    """
    return exp(np.mean(logs(x), axis=0))


def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """The product of a [M, K] and the transpose of b [N, K], both of one dtype: as in a pass of a model.

    Examples
    --------
    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[11.0, 17.0]]
    """
    core = MODULES[a.dtype.name]
    return cast(NDArray[Any], core.product(np.ascontiguousarray(a), np.ascontiguousarray(b)))


def cos_turns(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """cos(2 pi turns), of an array of any shape, from -1 to 1.

    Examples
    --------
    >>> cos_turns(np.array([0.0, 1 / 3, 0.5])).round(12).tolist()
    [1.0, -0.5, -1.0]
    """
    return _shaped(_CORE.cos_turns(_flat(turns)), turns)


def power(x: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """x^exponent, of an array of any shape, from 0 to 1; the exponent is not negative.

    Examples
    --------
    >>> power(np.array([0.0, 0.5, 1.0]), 3.0).tolist()
    [0.0, 0.125, 1.0]
    """
    return _shaped(_CORE.power(_flat(x), exponent), x)


def fourth_root(x: float) -> float:
    """x^(1/4).

    Examples
    --------
    >>> fourth_root(81)
    3.0
    """
    return math.sqrt(math.sqrt(x))


def _flat(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ascontiguousarray(x, dtype=np.float64).reshape(-1)


def _shaped(flat: Any, like: NDArray[np.float64]) -> NDArray[np.float64]:
    return cast(NDArray[np.float64], flat.reshape(np.shape(like)))
