"""What results with numbers of every sub-layer of a stack have in common."""

from __future__ import annotations

from collections.abc import Mapping

from admin_py.results import Result


class StackResult(Result):
    """A result whose field ``sublayers`` maps each stack to the names of its sub-layers."""

    sublayers: Mapping[str, tuple[str, ...]]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks it covers: "encoder", "decoder" or both."""
        return tuple(self.sublayers)

    def kinds(self, stack: str) -> tuple[str, ...]:
        """Kind of each sub-layer of a stack: ``self_attn``, ``cross_attn`` or ``feed_forward``.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return tuple(name.rsplit(".", 1)[-1] for name in self.sublayers[stack])

    def _check(self, stack: str) -> None:
        if stack not in self.sublayers:
            raise ValueError(f"stack: expected one of {', '.join(self.sublayers)}, got {stack!r}")
