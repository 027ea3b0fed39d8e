"""The flat buffers of a training: gradients of several batches summed, the update of all or of a rank's part.

Gradients are summed batch by batch in the order of the batches, whatever process computed them, and norms
block by block in the order of the blocks: a training has the same bits for every number of processes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.builds import MODULES
from admin_py.training.early import Early, pays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admin_py.model.config import TransformerConfig
    from admin_py.model.transformer import Transformer
    from admin_py.training.optimizers import Optimizer
    from admin_py.training.ranks import Ranks

LATER = re.compile(r"decoder\.([0-9]+|norm_final)\.")
"""Names of the parameters whose gradients are whole before those of the encoder's layers."""

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


def cut(length: int, block: int, size: int, *, first: bool = False) -> list[int]:
    """Where the parts of so many ranks begin, and the last one ends: whole blocks, as even as they are.

    Where they are not, the last ranks have more, or the first ones.

    Examples
    --------
    >>> cut(10, 2, 2), cut(7, 2, 3), cut(3, 2, 4)
    ([0, 4, 10], [0, 2, 4, 7], [0, 0, 2, 2, 3])
    >>> cut(10, 2, 2, first=True), cut(7, 2, 3, first=True), cut(3, 2, 4, first=True)
    ([0, 6, 10], [0, 4, 6, 7], [0, 2, 2, 3, 3])
    """
    blocks = -(-length // block)
    more = size - 1 if first else 0
    return [min((rank * blocks + more) // size * block, length) for rank in range(size)] + [length]


class Region:
    """Blocks of the flat buffers, of which every rank owns some that follow each other.

    Parameters
    ----------
    begin, end : int
        Elements.
    block : int
        Elements of a block.
    size : int
        Ranks.
    first : bool
        As of `cut`.
    """

    def __init__(self, begin: int, end: int, block: int, size: int, *, first: bool) -> None:
        self.bounds = [begin + bound for bound in cut(end - begin, block, size, first=first)]
        self.counts = np.diff(self.bounds)
        self.places = (self.counts.tolist(), self.bounds[:-1])

    def of(self, rank: int) -> tuple[int, int]:
        """Where the elements of a rank begin and end."""
        return self.bounds[rank], self.bounds[rank + 1]


def regions_of(model: Transformer, block: int, size: int) -> list[Region]:
    """Two: all before the decoder's layers, and these, whose gradients are whole before the encoder's.

    The second is empty where there is no encoder.

    Examples
    --------
    >>> from admin_py.model.config import TransformerConfig
    >>> from admin_py.model.transformer import Transformer
    >>> sizes = {"vocab_size": 8, "d_model": 4, "heads": 1, "d_ff": 4}
    >>> model = Transformer(TransformerConfig(encoder_layers=1, decoder_layers=1, **sizes))
    >>> [region.bounds for region in regions_of(model, 16, 2)]
    [[0, 144, 288], [288, 496, 704]]
    """
    split, length = _split(model, block), model._core.trained_length
    return [Region(0, split, block, size, first=False), Region(split, length, block, size, first=True)]


def _split(model: Transformer, block: int) -> int:
    """The first block behind the last parameter that is not the decoder's layers' alone."""
    length, buffer = model._core.trained_length, model._core.weights
    if model.config.encoder_layers == 0 or model.config.decoder_layers == 0:
        return length
    end = max(
        (values.ctypes.data - buffer.ctypes.data) // buffer.itemsize + values.size
        for name, values in model.parameters.items()
        if not LATER.match(name)
    )
    return min(-(-end // block) * block, length)


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
    shapes = module.parameter_shapes(config.to_core())
    numbers = {name: math.prod(shape) for name, shape in shapes.items()}
    itemsize = np.dtype(module.system_info()["dtype"]).itemsize
    length, later = gradients // itemsize, sum(numbers[name] for name in numbers if LATER.match(name))
    block = module.block_length(length)
    split = length if config.encoder_layers == 0 else min(-(-(length - later) // block) * block, length)
    regions = [np.diff(cut(split, block, ranks)), np.diff(cut(length - split, block, ranks, first=True))]
    mine, largest = int(np.add(*regions).max()), int(np.max(regions))
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
        self._staging = np.empty(0, model.dtype)
        self._early: Early | None = None

    @contextmanager
    def adding(self, *, first: bool, last: bool) -> Iterator[None]:
        """Hand every rank its part of the gradient, and add those of the own part in the order of ranks.

        The decoder's layers come first, on all ranks: beside what is still computed, where that pays.
        """
        if self._sum is None:
            self._sum = np.zeros(sum(end - begin for begin, end in self._own), self._model.dtype)
            yield
            for number in (1, 0):
                self._exchange(self._gradient, number, first=first)
            if self._regions[1].counts.any() and pays(self._comm):
                self._early = Early(self._model)
        else:
            gradient = self._gradient
            if self._early is None:
                yield
                self._exchange(gradient, 1, first=first)
            else:
                with self._early.beside(lambda: self._exchange(gradient, 1, first=first)):
                    yield
            self._exchange(gradient, 0, first=first)
        if last:
            at = 0
            for begin, end in self._own:
                self._gradient[begin:end] = self._sum[at : at + end - begin]
                at += end - begin

    def _exchange(self, gradient: NDArray[Any], number: int, *, first: bool) -> None:
        """Of a region."""
        assert self._sum is not None
        region, size = self._regions[number], self._ranks.size
        begin, end = self._own[number]
        at = 0 if number == 0 else len(self._sum) - (end - begin)
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
            part = self._sum[at + start : at + start + here]
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
        at = 0
        for region, (begin, end) in zip(self._regions, self._own, strict=True):
            own = part[at : at + end - begin]
            self._comm.Gatherv(own, None if whole is None else [whole, region.places], 0)
            at += end - begin
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
