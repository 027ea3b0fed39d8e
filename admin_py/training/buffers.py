"""The flat buffers of a training: gradients of several batches summed, the update of all or of a rank's part.

Gradients are summed batch by batch in the order of the batches, whatever process computed them, and norms
block by block in the order of the blocks: a training has the same bits for every number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.builds import MODULES
from admin_py.training.early_exchange import AfterThePass, EarlyExchange, pays
from admin_py.training.regions import LATER, regions, regions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admin_py.model.config import TransformerConfig
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

    @contextmanager
    def adding(self, *, first: bool, last: bool) -> Iterator[None]:
        """Around the pass of one batch, or of one of every rank; after the last one the sum is there."""
        yield
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

    def end(self) -> None:
        """After the last step, or an error."""


def planned(
    module: Any, config: TransformerConfig, sizes: Mapping[str, int], *, accumulate: int, ranks: int
) -> dict[str, int]:
    """Bytes that `Whole` and `Shared` hold: ``summed``, and the ``moments`` of the largest part.

    Parameters
    ----------
    module : module
        The build of the core.
    config : TransformerConfig
    sizes : mapping
        Bytes of all ``gradients`` and ``moments``.
    accumulate, ranks : int
    """
    gradients, moments = sizes["gradients"], sizes["moments"]
    if ranks == 1:
        return {"summed": gradients if accumulate > 1 else 0, "moments": moments}
    itemsize = np.dtype(module.system_info()["dtype"]).itemsize
    length, later = gradients // itemsize, 0
    if config.encoder_layers > 0:
        shapes = module.parameter_shapes(config.to_core())
        later = sum(math.prod(shape) for name, shape in shapes.items() if LATER.match(name))
    counts = [region.counts for region in regions(length - later, length, module.block_length(length), ranks)]
    mine, largest = int(np.add(*counts).max()), int(np.max(counts))
    of_weights = moments // gradients * gradients  # the rest are those of tensors, which all ranks have
    return {
        "summed": itemsize * (mine + min(largest, BUCKET) * ranks),
        "moments": moments - of_weights + of_weights // length * mine,
    }


class Shared(Whole):
    """The buffers of one of several processes, which owns a part of them: blocks of every region.

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
        self._regions = regions_of(model, self._block, ranks.size)
        self._own = [region.of(ranks.rank) for region in self._regions]
        self._bounds = tuple(chain.from_iterable(self._own))
        self._sums = np.zeros(sum(end - begin for begin, end in self._own), model.dtype)
        self._staging = np.empty(0, model.dtype)
        self._early: EarlyExchange | AfterThePass | None = None

    @contextmanager
    def adding(self, *, first: bool, last: bool) -> Iterator[None]:
        """Hand every rank its part of the gradient, and add those of the own part in the order of ranks.

        The decoder's layers come first, on all ranks: beside what is still computed, where that pays.
        """
        if self._early is None:  # all ranks come here together
            early = self._regions[1].counts.any() and pays(self._comm)
            self._early = EarlyExchange(self._model) if early else AfterThePass()
        gradient = self._gradient
        with self._early.beside(lambda: self._exchange(gradient, 1, first=first)):
            yield
        self._exchange(gradient, 0, first=first)
        if last:
            for (begin, end), part in zip(self._own, self._parts(self._sums), strict=True):
                gradient[begin:end] = part

    def _parts(self, own: NDArray[Any]) -> list[NDArray[Any]]:
        """Of an array of the own elements, those of each region."""
        begin, end = self._own[0]
        return [own[: end - begin], own[end - begin :]]

    def _exchange(self, gradient: NDArray[Any], number: int, *, first: bool) -> None:
        """Of a region."""
        region, size, sums = self._regions[number], self._ranks.size, self._parts(self._sums)[number]
        for start in range(0, int(region.counts.max()), BUCKET):
            sizes = np.clip(region.counts - start, 0, BUCKET)
            here = int(sizes[self._ranks.rank])
            if len(self._staging) < here * size:
                self._staging = np.empty(here * size, self._model.dtype)
            places = np.minimum(np.array(region.bounds[:-1]) + start, region.bounds[1:])
            received = self._staging[: here * size]
            self._comm.Alltoallv(
                [gradient, (sizes.tolist(), places.tolist())],
                [received, ([here] * size, [rank * here for rank in range(size)])],
            )
            part = sums[start : start + here]
            for rank, one in enumerate(received.reshape(size, here)):
                if first and rank == 0:
                    np.copyto(part, one)
                else:
                    self._module.add(part, one)

    def _gather(self, values: NDArray[Any]) -> None:
        """Every rank's part of a buffer, to every rank."""
        from mpi4py import MPI

        for region in self._regions:
            self._comm.Allgatherv(MPI.IN_PLACE, [values, region.places])

    def _gather_sums(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """The numbers of all blocks, of which the own part's are given."""
        all_of_them, at = np.zeros(-(-self._core.trained_length // self._block)), 0
        for begin, end in self._own:
            count = -(-(end - begin) // self._block)
            all_of_them[begin // self._block :][:count] = own[at : at + count]
            at += count
        return self._ranks.joined(all_of_them)

    def gather_gradient(self) -> None:
        self._gather(self._gradient)

    def norm(self) -> float:
        squares = [
            self._module.block_squares(self._gradient[begin:end], self._block) for begin, end in self._own
        ]
        total = _in_order(self._gather_sums(np.concatenate(squares)))
        if math.isfinite(total):
            return math.sqrt(total)
        self.gather_gradient()  # squares that overflow, or a gradient that is not finite
        return super().norm()

    def update(self, optimizer: Optimizer, lr: float, grad_scale: float) -> float:
        core = optimizer._core_for(self._model)
        squares = None
        if optimizer.kind == "novograd":
            squares = self._ranks.joined(sum(core.part_squares(self._core, *pair) for pair in self._own))
            if not np.isfinite(squares).all():
                self.gather_gradient()
        changes = core.step_part(self._core, lr, grad_scale, self._bounds, squares)
        total = _in_order(self._gather_sums(changes))
        self._gather(self._core.weights[: self._core.trained_length])
        return math.sqrt(total)

    def state_of(self, optimizer: Optimizer) -> Mapping[str, Any]:
        """The optimiser's, of all weights, on rank 0; elsewhere without arrays."""
        state = dict(optimizer.state)
        for name in ("m", "v"):
            there = self._ranks.any(state[name] is not None)  # a rank without a block has none
            if there and self._is_part(name, optimizer):
                empty = np.empty(0, self._model.dtype)
                state[name] = self._on_first(empty if state[name] is None else state[name])
        return state

    def _is_part(self, name: str, optimizer: Optimizer) -> bool:
        """Whether moments are those of the weights, and not of tensors."""
        return name == "m" or optimizer.kind != "novograd"

    def _on_first(self, part: NDArray[Any]) -> NDArray[Any] | None:
        whole = np.empty(self._core.trained_length, part.dtype) if self._ranks.rank == 0 else None
        for region, own in zip(self._regions, self._parts(part), strict=True):
            self._comm.Gatherv(own, None if whole is None else [whole, region.places], 0)
        return whole

    def load_state(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        whole, length = dict(state), self._core.trained_length
        for name in ("m", "v"):
            value = whole[name]
            if isinstance(value, np.ndarray) and len(value) == length and self._is_part(name, optimizer):
                whole[name] = np.concatenate([value[begin:end] for begin, end in self._own])
        optimizer._replace_state(whole)

    def begin(self, optimizer: Optimizer) -> None:
        self.load_state(optimizer, optimizer.state)

    def end(self) -> None:
        if self._early is not None:
            self._early.end()


def _in_order(sums: NDArray[np.float64]) -> float:
    """Their sum, one after the other: as the core adds blocks."""
    total = 0.0
    for one in sums.tolist():
        total += one
    return total
