"""The number of a pass with dropout, from which its masks follow: counted, so that no two drop alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from admin_py.base.arguments import door
from admin_py.base.builds import MAX_SEED
from admin_py.base.checks import check_integer

MAX_STEP = MAX_SEED
"""Largest number of a pass; the next one is 0 again."""


@door
class CountsSteps:
    """A model or a layer that counts its passes with dropout."""

    _step: int = 0

    @property
    def step(self) -> int:
        """Number of the next pass with dropout that is given none; may be set.

        A mask follows from the seed, this number and the place in the model. Every ``forward``, ``loss`` and
        ``backward`` with ``training=True`` takes the number and adds one to it, those that accumulate
        gradients too; one that is given its ``step``, or is without dropout, leaves it alone.
        """
        return self._step

    @step.setter
    def step(self, value: int) -> None:
        self._step = check_integer("step", value, 0, MAX_STEP)

    @contextmanager
    def _numbered(self, step: int | None, *, training: bool) -> Iterator[int]:
        """The number of a pass: the one that is given, or the next; a pass that fails is not counted."""
        if step is not None:
            yield step
            return
        yield self._step
        if training:
            self._step = self._step + 1 if self._step < MAX_STEP else 0
