"""The tensors of somebody else's model, by their names there: read when taken, and all accounted for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES_SHOWN = 5
"""Names of tensors in an error."""


class Source:
    """Tensors of a model, name -> shape, and what reads one of them.

    Parameters
    ----------
    where : str
        What they are of, for errors.
    shapes : mapping of str to tuple of int
    read : callable
        From a name to an array.

    Attributes
    ----------
    settings : mapping
        What is said of the model beside its tensors; empty until it is known.

    Examples
    --------
    >>> source = Source("it", {"w": (2,), "step": ()}, {"w": np.ones(2), "step": np.zeros(())}.__getitem__)
    >>> source.take("w"), source.left()
    (array([1., 1.]), ['step'])
    """

    def __init__(
        self, where: str, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], NDArray[Any]]
    ) -> None:
        self.where = where
        self.shapes = dict(shapes)
        self._read = read
        self._taken: set[str] = set()
        self.settings: Mapping[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, which must be there.

        Raises
        ------
        ValueError
            If it is not.
        """
        if name not in self.shapes:
            raise ValueError(f"{self.where} has no tensor {name!r}")
        return self.shapes[name]

    def layers(self, pattern: str) -> int:
        """How many layers there are: one more than the largest number that the pattern's group finds.

        Raises
        ------
        ValueError
            If a number between is missing.
        """
        found = {int(match[1]) for name in self.shapes if (match := re.match(pattern, name))}
        if found and found != set(range(max(found) + 1)):
            missing = min(set(range(max(found))) - found)
            raise ValueError(f"{self.where} has no layer {missing}, but layer {max(found)}: {pattern}")
        return len(found)

    def take(self, name: str) -> NDArray[Any]:
        """A tensor, which is then accounted for.

        Raises
        ------
        ValueError
            If there is none of that name, or it is not of real numbers.
        """
        array = self.read(name)
        self._taken.add(name)
        return array

    def read(self, name: str) -> NDArray[Any]:
        """A tensor, looked at alone; errors are those of `take`."""
        if name not in self.shapes:
            raise ValueError(f"{self.where} has no tensor {name!r}")
        array = self._read(name)
        if array.dtype.kind != "f":
            raise ValueError(f"{self.where}: {name!r} must hold real numbers, got {array.dtype}")
        return array

    def are_one(self, first: str, second: str) -> bool:
        """Whether two tensors are one, as far as numbers tell; where they are, the second is accounted for.

        A second one that is not there is the first.
        """
        if second not in self:
            return True
        if self.shapes[first] != self.shapes[second]:
            return False
        if not np.array_equal(self.read(first), self.read(second)):
            return False
        self._taken.add(second)
        return True

    def pass_over(self, patterns: Iterable[str]) -> None:
        """Account for tensors that mean nothing here: all whose whole name a pattern matches."""
        for pattern in patterns:
            self._taken |= {name for name in self.shapes if re.fullmatch(pattern, name)}

    def leave_out(self, patterns: Iterable[str]) -> list[str]:
        """Account for tensors as `pass_over` does; the names of those that there are."""
        before = set(self._taken)
        self.pass_over(patterns)
        return [name for name in self.shapes if name in self._taken - before]

    def left(self) -> list[str]:
        """Names of the tensors that nobody took."""
        return [name for name in self.shapes if name not in self._taken]

    def check_all_taken(self) -> None:
        """That every tensor is accounted for.

        Raises
        ------
        ValueError
            Naming those that are not.
        """
        left = self.left()
        if left:
            more = f" and {len(left) - NAMES_SHOWN} more" if len(left) > NAMES_SHOWN else ""
            names = ", ".join(map(repr, left[:NAMES_SHOWN]))
            raise ValueError(f"{self.where} has tensors that no part of the model takes: {names}{more}")


def as_array(name: str, value: Any) -> NDArray[Any]:
    """A NumPy array of an array or a tensor of PyTorch; bfloat16 and float16 as float32.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        value = value.numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name!r} must be an array or a tensor, got one of type {type(value).__name__}")
    return value.astype(np.float32) if value.dtype == np.float16 else value


def source_of(where: str, tensors: Mapping[str, Any]) -> Source:
    """Tensors that are in memory.

    Raises
    ------
    TypeError
        If a name is no string, or a value no array.
    """
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise TypeError(f"{where}: names of tensors must be strings, got {name!r}")
        if not hasattr(value, "shape"):
            raise TypeError(
                f"{where}: {name!r} must be an array or a tensor, got one of type {type(value).__name__}"
            )
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    return Source(where, shapes, lambda name: as_array(name, tensors[name]))
