"""How far two results lie apart, and central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np


def deviation(got: np.ndarray | float, expected: np.ndarray | float, floor: float = 0.0) -> float:
    """Largest difference over the largest expected magnitude, which is taken as at least ``floor``."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    size = max(float(np.abs(expected).max(initial=0.0)), floor)
    worst = float(np.abs(got - expected).max(initial=0.0))
    if not np.isfinite(worst):
        return np.inf
    return worst / size if size else worst


def largest(gradients: Mapping[str, np.ndarray]) -> float:
    """The largest magnitude in any of the gradients."""
    return max(float(np.abs(g).max(initial=0.0)) for g in gradients.values())


def worst_gradient(
    got: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    names: Iterable[str] | None = None,
    share: float = 1e-3,
) -> tuple[float, str]:
    """The worst deviation of any gradient, and its name.

    Each is measured against its own largest element, but never against less than ``share`` of the largest of
    the whole model. The bias of a key is measured against the largest of the model: a softmax does not feel a
    number added to all of its scores, so that gradient is 0 but for rounding.
    """
    top = largest(expected)
    names = list(expected) if names is None else list(names)
    floors = {name: top if name.endswith(".k.bias") else share * top for name in names}
    return max(
        ((deviation(got[name], expected[name], floors[name]), name) for name in names), default=(0.0, "")
    )


def central_difference(loss: Callable[[], float], x: np.ndarray, index: tuple[int, ...], h: float) -> float:
    """dloss / dx[index] from four values: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h, error O(h^4)."""
    kept = float(x[index])
    values = []
    for step in (h, -h, 2.0 * h, -2.0 * h):
        x[index] = kept + step
        values.append(loss())
    x[index] = kept
    return (8.0 * (values[0] - values[1]) - (values[2] - values[3])) / (12.0 * h)


STEPS = (1e-3, 2e-4, 2e-5)  # of one element
STEPS_ALONG = (1e-4, 1e-5, 1e-6, 1e-7)  # of all elements together


def worst_difference(
    loss: Callable[[], float],
    params: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    *,
    names: Iterable[str],
    per_tensor: int = 12,
    seed: int = 0,
    tolerance: float = 1e-7,
) -> tuple[float, str]:
    """The worst deviation of a gradient from central differences of the loss, and where.

    An element is measured against the largest of its tensor, but never against less than a thousandth of the
    largest of the model.

    ``per_tensor`` elements of every tensor are tried, the one of the largest gradient among them. An element
    that misses the tolerance is tried again with smaller steps: a large step may carry some unit of relu
    across its kink, where the difference quotient is no derivative; a wrong gradient misses at any step.
    """
    rng = np.random.default_rng(seed)
    floor = 1e-3 * largest({name: gradients[name] for name in names})
    worst = (0.0, "")
    for name in names:
        x, g = params[name], np.asarray(gradients[name])
        flat = rng.permutation(g.size)[:per_tensor]
        flat = np.unique(np.append(flat, np.abs(g).argmax()))
        size = max(float(np.abs(g).max()), floor)
        for i in flat:
            index = tuple(int(k) for k in np.unravel_index(i, g.shape))
            miss = np.inf
            for h in STEPS:
                miss = min(miss, abs(central_difference(loss, x, index, h) - float(g[index])) / size)
                if miss <= tolerance / 10:
                    break
            worst = max(worst, (miss, f"{name}{list(index)}"))
    return worst


def worst_direction(
    loss: Callable[[], float],
    params: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    *,
    names: Iterable[str],
    directions: int = 3,
    seed: int = 0,
    tolerance: float = 1e-7,
) -> float:
    """The worst deviation of the gradient along random directions that move all parameters at once.

    A few evaluations see an error in any element of any tensor; ``worst_difference`` says where it is.
    """
    rng = np.random.default_rng(seed)
    names = list(names)
    kept = {name: params[name].copy() for name in names}
    worst = 0.0
    for _ in range(directions):
        along = {name: rng.choice([-1.0, 1.0], kept[name].shape) for name in names}

        def at(h: float, along: Mapping[str, np.ndarray] = along) -> float:
            for name in names:
                params[name][...] = kept[name] + h * along[name]
            return loss()

        slope = sum(float((gradients[name] * along[name]).sum()) for name in names)
        size = float(np.sqrt(sum(float((np.asarray(gradients[name]) ** 2).sum()) for name in names)))
        miss = np.inf
        for h in STEPS_ALONG:
            quotient = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
            miss = min(miss, abs(quotient - slope) / size)
            if miss <= tolerance / 10:
                break
        worst = max(worst, miss)
    at(0.0)
    return worst
