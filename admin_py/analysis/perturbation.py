"""Small changes of a model's weights: random signs, steps against the gradient's signs, optimisers' steps."""

from __future__ import annotations

import math
import sys
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from admin_py.analysis.unmeasured import Unmeasured
from admin_py.base.checks import check_choice, check_number, shown
from admin_py.training.optimizers import Optimizer, from_dict

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer

SIZES = {"random": 1e-4, "gradient": 1e-6}
"""What each kind changes a weight by, unless it is told."""

BLOCK = 1 << 18
"""Elements whose signs are drawn at once."""


class Perturbation(ABC):
    """Moves the weights of a copy away from the model's.

    Attributes
    ----------
    size : float or None
        Of the change of a weight, where that is one number.
    max_repeats : int
        After which nothing new comes.
    """

    size: float | None = None
    max_repeats: int = sys.maxsize

    @abstractmethod
    def move(self, changed: Transformer, repeat: int) -> None:
        """Give the copy the model's weights and change them, for the given repeat."""


def is_embedding(name: str) -> bool:
    """Whether a parameter is a source, target or output embedding.

    Examples
    --------
    >>> [is_embedding(n) for n in ("embedding.weight", "output.weight", "encoder.0.self_attn.out.weight")]
    [True, True, False]
    """
    return name == "output.weight" or name.rsplit(".", 2)[-2:] == ["embedding", "weight"]


def matrices(model: Transformer, *, embeddings: bool = True) -> tuple[str, ...]:
    """Names of the weight matrices and, if asked, the embeddings; positions are neither."""
    return tuple(
        name
        for name, value in model.parameters.items()
        if value.ndim == 2
        and not name.endswith("positions.weight")
        and (embeddings or not is_embedding(name))
    )


def add_signs(weight: NDArray, size: float, random: np.random.Generator) -> None:
    """Add size or -size to every element, by a coin.

    Examples
    --------
    >>> weight = np.zeros(1000)
    >>> add_signs(weight, 0.5, np.random.default_rng(1))
    >>> sorted(set(weight.tolist()))
    [-0.5, 0.5]
    """
    flat = weight.reshape(-1)
    for first in range(0, flat.size, BLOCK):
        part = flat[first : first + BLOCK]
        bits = np.unpackbits(np.frombuffer(random.bytes(-(-part.size // 8)), np.uint8), count=part.size)
        with np.errstate(over="ignore"):  # a size beyond the type's numbers shows as what it is: inf
            part += np.where(bits, part.dtype.type(size), part.dtype.type(-size))


class RandomSigns(Perturbation):
    """Every element moves by size, up or down; the coins are keyed by seed, repeat and name."""

    def __init__(self, model: Transformer, size: float, seed: int, names: tuple[str, ...]) -> None:
        self.model, self.step, self.seed, self.names = model, size, seed, names
        self.size = size

    def move(self, changed: Transformer, repeat: int) -> None:
        """As `Perturbation.move`."""
        for name in self.names:
            weight = changed.parameters[name]
            weight[...] = self.model.parameters[name]
            key = [self.seed, repeat, zlib.crc32(name.encode())]
            add_signs(weight, self.step, np.random.Generator(np.random.SFC64(np.random.SeedSequence(key))))


class AgainstGradient(Perturbation):
    """Every element moves by size against the sign of its gradient; dropout is that of step seed + repeat."""

    def __init__(
        self,
        model: Transformer,
        batch: Batch,
        size: float,
        seed: int,
        names: tuple[str, ...],
        label_smoothing: float,
    ) -> None:
        self.model, self.batch, self.names, self.label_smoothing = model, batch, names, label_smoothing
        self.size, self.step, self.seed = size, size, seed
        self.max_repeats = _max_repeats(model)

    def move(self, changed: Transformer, repeat: int) -> None:
        """As `Perturbation.move`."""
        _to_gradient(changed, self.model, self.batch, self.seed + repeat, self.label_smoothing)
        for name in self.names:
            weight, gradient = changed.parameters[name], changed.gradients[name]
            weight -= weight.dtype.type(self.step) * np.sign(gradient)


class OptimizerStep(Perturbation):
    """The first step of a new optimiser, over all trained parameters; the embeddings go back if asked."""

    def __init__(
        self,
        model: Transformer,
        batch: Batch,
        optimizer: Optimizer,
        seed: int,
        fixed: tuple[str, ...],
        label_smoothing: float,
    ) -> None:
        self.model, self.batch, self.fixed, self.label_smoothing = model, batch, fixed, label_smoothing
        self.optimizer, self.seed = optimizer, seed
        self.max_repeats = _max_repeats(model)

    def move(self, changed: Transformer, repeat: int) -> None:
        """As `Perturbation.move`."""
        _to_gradient(changed, self.model, self.batch, self.seed + repeat, self.label_smoothing)
        if from_dict(self.optimizer.to_dict()).step(changed) == 0:
            raise Unmeasured(f"perturbation: the first step of {self.optimizer!r} moves nothing")
        for name in self.fixed:
            changed.parameters[name][...] = self.model.parameters[name]


def make(
    model: Transformer,
    batch: Batch,
    kind: str | Optimizer,
    *,
    size: float | None,
    seed: int,
    embeddings: bool,
    label_smoothing: float,
) -> Perturbation:
    """The perturbation that `output_change` was asked for; see there."""
    names = matrices(model, embeddings=embeddings)
    if isinstance(kind, Optimizer):
        if size is not None:
            raise ValueError(f"size must be None for an optimizer, whose lr is its size, got {shown(size)}")
        model._need_decoder()
        fixed = () if embeddings else tuple(name for name in model.parameters if is_embedding(name))
        return OptimizerStep(model, batch, kind, seed, fixed, label_smoothing)
    if not isinstance(kind, str):
        raise TypeError(
            f"perturbation must be 'random', 'gradient' or an Optimizer, got an object of type "
            f"{type(kind).__name__}"
        )
    check_choice("perturbation", kind, tuple(SIZES))
    number = SIZES[kind] if size is None else check_number("size", size)
    if number <= 0:
        raise ValueError(f"size must be above 0, got {number!r}")
    if kind == "random":
        return RandomSigns(model, number, seed, names)
    model._need_decoder()
    return AgainstGradient(model, batch, number, seed, names, label_smoothing)


def _max_repeats(model: Transformer) -> int:
    config = model.config
    still = config.dropout == config.attention_dropout == config.activation_dropout == 0
    return 1 if still else sys.maxsize


def _to_gradient(
    changed: Transformer, model: Transformer, batch: Batch, step: int, label_smoothing: float
) -> None:
    """The model's weights, and their gradient at the batch with dropout of that step."""
    changed._core.weights[...] = model._core.weights
    loss = changed.backward(batch, label_smoothing=label_smoothing, step=step % 2**64)
    if not math.isfinite(loss.loss):
        raise Unmeasured(f"model: its loss at the batch is {loss.loss}, so there is no gradient to follow")
