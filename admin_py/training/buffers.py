"""The flat buffers of a training: gradients of several batches summed, the update of all or of a rank's part.

Gradients are summed batch by batch in the order of the batches, whatever process computed them, and norms
block by block in the order of the blocks: a training has the same bits for every number of processes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.builds import MODULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admin_py.model.transformer import Transformer
    from admin_py.training.optimizers import Optimizer
    from admin_py.training.ranks import Ranks

BUCKET = 1 << 20
"""Numbers of each rank that are exchanged at once."""


class Whole:
    """The buffers of a training of one process.

    Parameters
    ----------
    model : Transformer
    """

    def __init__(self, model: Transformer) -> None:
        self._model, self._core, self._module = model, model._core, MODULES[model.dtype]
        self._sum: NDArray[Any] | None = None

    @property
    def _gradient(self) -> NDArray[Any]:
        return self._core.gradient_buffer[: self._core.trained_length]

    def add(self, *, first: bool, last: bool) -> None:
        """Take the gradient of one batch, or of one of every rank; after the last one the sum is there."""
        if first and last:
            return
        if self._sum is None:
            self._sum = np.empty_like(self._gradient)
        if first:
            np.copyto(self._sum, self._gradient)
        elif last:
            self._module.add(self._gradient, self._sum)
        else:
            self._module.add(self._sum, self._gradient)

    def gather_gradient(self) -> None:
        """The whole gradient's sum, where only a part of it was there."""

    def norm(self) -> float:
        """Of the gradient."""
        return self._module.norm2(self._gradient)

    def update(self, optimizer: Optimizer, lr: float, grad_scale: float) -> float:
        """Change the weights; the norm of the change."""
        return optimizer.step(self._model, lr=lr, grad_scale=grad_scale)

    def state_of(self, optimizer: Optimizer) -> Mapping[str, Any]:
        """The optimiser's, of all weights."""
        return optimizer.state

    def load_state(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Go on from a state of all weights."""
        optimizer.load_state(state)

    def begin(self, optimizer: Optimizer) -> None:
        """Go on from the state that an optimiser has, which is of all weights."""


def cut(length: int, block: int, size: int) -> list[int]:
    """Where the parts of so many ranks begin, and the last one ends: whole blocks, as even as they are.

    Examples
    --------
    >>> cut(10, 2, 2), cut(7, 2, 3), cut(3, 2, 4)
    ([0, 4, 10], [0, 2, 4, 7], [0, 0, 2, 2, 3])
    """
    blocks = -(-length // block)
    return [min(rank * blocks // size * block, length) for rank in range(size)] + [length]


def planned(
    module: Any, gradients: int, moments: int, itemsize: int, *, accumulate: int, ranks: int
) -> dict[str, int]:
    """Bytes that `Whole` and `Shared` hold: ``summed``, and the ``moments`` of the largest part.

    Parameters
    ----------
    module : module
        The build of the core.
    gradients, moments : int
        Bytes of all.
    itemsize : int
        Bytes of a number.
    accumulate, ranks : int
    """
    if ranks == 1:
        return {"summed": gradients if accumulate > 1 else 0, "moments": moments}
    length = gradients // itemsize
    mine = int(np.diff(cut(length, module.block_length(length), ranks)).max())
    of_weights = moments // gradients * gradients  # the rest are those of tensors, which all ranks have
    return {
        "summed": itemsize * (mine + min(mine, BUCKET) * ranks),
        "moments": moments - of_weights + of_weights // length * mine,
    }


class Shared(Whole):
    """The buffers of one of several processes, which owns a part of them.

    Only the owner of a part has the sum of its gradient and its moments; all have all weights.

    Parameters
    ----------
    model : Transformer
    ranks : Ranks
    """

    def __init__(self, model: Transformer, ranks: Ranks) -> None:
        super().__init__(model)
        self._ranks, self._comm = ranks, ranks.comm
        length = self._core.trained_length
        self._block = self._module.block_length(length)
        self._bounds = cut(length, self._block, ranks.size)
        self._counts = np.diff(self._bounds)
        self._places = (self._counts.tolist(), self._bounds[:-1])
        self._begin, self._end = self._bounds[ranks.rank : ranks.rank + 2]
        self._staging = np.empty(0, model.dtype)

    def add(self, *, first: bool, last: bool) -> None:
        """Hand every rank its part of the gradient, and add those of the own part in the order of ranks."""
        mine = self._end - self._begin
        if self._sum is None:
            self._sum = np.zeros(mine, self._model.dtype)
        gradient = self._gradient
        for start in range(0, int(self._counts.max()), BUCKET):
            sizes = np.clip(self._counts - start, 0, BUCKET)
            here = int(sizes[self._ranks.rank])
            if len(self._staging) < here * self._ranks.size:
                self._staging = np.empty(here * self._ranks.size, self._model.dtype)
            places = np.minimum(np.array(self._bounds[:-1]) + start, self._bounds[1:])
            received = self._staging[: here * self._ranks.size]
            self._comm.Alltoallv(
                [gradient, (sizes.tolist(), places.tolist())],
                [received, ([here] * self._ranks.size, [rank * here for rank in range(self._ranks.size)])],
            )
            part = self._sum[start : start + here]
            for rank, one in enumerate(received.reshape(self._ranks.size, here)):
                if first and rank == 0:
                    np.copyto(part, one)
                else:
                    self._module.add(part, one)
        if last:
            gradient[self._begin : self._end] = self._sum

    def _gather(self, values: NDArray[Any]) -> None:
        """Every rank's part of a buffer, to every rank."""
        from mpi4py import MPI

        self._comm.Allgatherv(MPI.IN_PLACE, [values, self._places])

    def _gather_sums(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """The numbers of all blocks, of which the own part's are given."""
        blocks = -(-self._core.trained_length // self._block)
        all_of_them = np.zeros(blocks)
        begin = self._begin // self._block
        all_of_them[begin : begin + len(own)] = own
        return self._ranks.joined(all_of_them)

    def gather_gradient(self) -> None:
        self._gather(self._gradient)

    def norm(self) -> float:
        own = self._module.block_squares(self._gradient[self._begin : self._end], self._block)
        total = _in_order(self._gather_sums(own))
        if math.isfinite(total):
            return math.sqrt(total)
        self.gather_gradient()  # squares that overflow, or a gradient that is not finite
        return super().norm()

    def update(self, optimizer: Optimizer, lr: float, grad_scale: float) -> float:
        core, bounds = optimizer._core_for(self._model), (self._begin, self._end)
        squares = None
        if optimizer.kind == "novograd":
            squares = self._ranks.joined(core.part_squares(self._core, *bounds))
            if not np.isfinite(squares).all():
                self.gather_gradient()
        changes = self._gather_sums(core.step_part(self._core, lr, grad_scale, *bounds, squares))
        self._gather(self._core.weights[: self._core.trained_length])
        return math.sqrt(_in_order(changes))

    def state_of(self, optimizer: Optimizer) -> Mapping[str, Any]:
        """The optimiser's, of all weights, on rank 0; elsewhere without arrays."""
        state = dict(optimizer.state)
        for name, value in state.items():
            if isinstance(value, np.ndarray) and self._is_part(name, optimizer):
                state[name] = self._on_first(value)
        return state

    def _is_part(self, name: str, optimizer: Optimizer) -> bool:
        """Whether moments are those of the weights, and not of tensors."""
        return name == "m" or optimizer.kind != "novograd"

    def _on_first(self, part: NDArray[Any]) -> NDArray[Any] | None:
        whole = np.empty(self._core.trained_length, part.dtype) if self._ranks.rank == 0 else None
        self._comm.Gatherv(part, None if whole is None else [whole, self._places], 0)
        return whole

    def load_state(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        whole, length = dict(state), self._core.trained_length
        for name in ("m", "v"):
            value = whole[name]
            if isinstance(value, np.ndarray) and len(value) == length and self._is_part(name, optimizer):
                whole[name] = np.ascontiguousarray(value[self._begin : self._end])
        optimizer._replace_state(whole)

    def begin(self, optimizer: Optimizer) -> None:
        self.load_state(optimizer, optimizer.state)


def _in_order(sums: NDArray[np.float64]) -> float:
    """Their sum, one after the other: as the core adds blocks."""
    total = 0.0
    for one in sums.tolist():
        total += one
    return total
