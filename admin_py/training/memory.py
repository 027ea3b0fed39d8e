"""How much memory a training needs, from the core's own plan, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.builds import MODULES
from admin_py.base.checks import MAX_COUNT, check_choice, check_integer, check_segments
from admin_py.base.unused import goes_with
from admin_py.data.batch import Batch
from admin_py.model.config import TransformerConfig
from admin_py.results import FORMAT, Result, encode, figure, run_metadata
from admin_py.training.buffers import planned
from admin_py.training.named_optimizers import OptimizerLike, as_optimizer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MIB = 2**20

PARTS = {
    "weights": "weights",
    "gradients": "gradients of the weights",
    "summed": "gradients of several batches, summed",
    "moments": "moments of the optimiser",
    "encoder": "activations kept, encoder",
    "decoder": "activations kept, decoder",
    "again": "activations computed again",
    "backward": "gradients of activations",
    "logits": "logits, a block at a time",
    "packed": "weights packed for products",
    "other": "embedded tokens, scores, statistics",
}
"""Part -> what it is, in the order of the table."""


@dataclass(frozen=True, eq=False, repr=False)
class MemoryPlan(Result):
    """What a training step holds, in bytes by part; printed, a table. `plan_memory` makes them.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=1000, encoder_layers=2, decoder_layers=2, d_model=64, d_ff=256)
    >>> plan = plan_memory(config, max_tokens=1024)
    >>> plan.total == plan.activations + sum(plan.parts[x] for x in ("weights", "gradients", "moments"))
    True
    >>> plan
    Memory of a training step of 1,024 encoder and 1,024 decoder tokens, float32
    weights ...
    """

    kind: ClassVar[str] = "memory plan"
    drawn_by: ClassVar[str] = "plot_memory"

    config: TransformerConfig
    dtype: str
    parts: Mapping[str, int]
    """Bytes of ``weights``, ``gradients`` and ``moments``; of gradients ``summed``; of the activations that
    wait for the backward pass, ``encoder`` and ``decoder``; of those ``again`` computed, which share buffers;
    of the ``backward`` pass's gradients; of ``logits``; of weights ``packed`` for products; and ``other``."""
    rows: Mapping[str, int]
    """Stack -> tokens that it reads."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of the configuration."""
        return self.config.stacks

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.parts.values())

    @property
    def activations(self) -> int:
        """Bytes of the workspace: everything but weights, their gradients and the moments."""
        return self.total - sum(self.parts[name] for name in ("weights", "gradients", "summed", "moments"))

    def per_token_and_layer(self, stack: str) -> float:
        """Bytes that a stack keeps for its backward pass, of a token in a layer."""
        layers = self.config.stack_layers(check_choice("stack", stack, self.config.stacks))
        return self.parts[stack] / (self.rows[stack] * layers)

    @property
    def bound(self) -> int:
        """8 D + F numbers in bytes: what an encoder layer keeps of a token, beside statistics, at most."""
        return (8 * self.config.d_model + self.config.d_ff) * int(np.dtype(self.dtype).itemsize)

    def named_parts(self) -> dict[str, tuple[str, int]]:
        """Part -> what it is and its bytes, without an absent stack and an empty sum."""
        absent = {"encoder", "decoder"} - set(self.config.stacks)
        absent |= set() if self.parts["summed"] else {"summed"}
        return {name: (text, self.parts[name]) for name, text in PARTS.items() if name not in absent}

    def to_dataframe(self) -> pd.DataFrame:
        """A row a part: part, what it is, bytes."""
        import pandas as pd

        rows = [(name, text, size) for name, (text, size) in self.named_parts().items()]
        return pd.DataFrame(rows, columns=["part", "what", "bytes"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar a part, see `admin_py.plots.plot_memory`."""
        return figure(self.drawn_by)(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """The plan as what JSON can hold."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            "kind": self.kind,
            "format": FORMAT,
            **encode({**told, "config": self.config.to_dict()}),  # which may have a scheme of a user's own
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MemoryPlan:
        """Back from `to_dict`."""
        if isinstance(data, Mapping) and isinstance(data.get("config"), Mapping):
            return super().from_dict({**data, "config": TransformerConfig.from_dict(data["config"])})
        return super().from_dict(data)

    def _lines(self) -> Iterator[tuple[str, str]]:
        for text, size in self.named_parts().values():
            yield text, f"{size / MIB:,.1f} MiB"
        yield "total", f"{self.total / MIB:,.1f} MiB"
        for stack in self.config.stacks:
            yield (
                f"kept of a token in a layer, {stack}",
                f"{self.per_token_and_layer(stack):,.0f} bytes (8 D + F numbers are {self.bound:,})",
            )

    def __repr__(self) -> str:
        lines = list(self._lines())
        width = max(len(text) for text, _ in lines)
        column = max(len(value.split(" ")[0]) for _, value in lines)
        table = "\n".join(
            f"{text:<{width}}  {value.split(' ')[0]:>{column}} {value.partition(' ')[2]}"
            for text, value in lines
        )
        rows = " and ".join(f"{count:,} {stack}" for stack, count in self.rows.items())
        return f"Memory of a training step of {rows} tokens, {self.dtype}\n{table}"


@door
@goes_with(
    max_tokens=("a batch that is thought of, batch=None", lambda given: given["batch"] is None),
    length=("a batch that is thought of, batch=None", lambda given: given["batch"] is None),
)
def plan_memory(
    config: TransformerConfig,
    batch: Batch | None = None,
    *,
    max_tokens: int = defaults.MAX_TOKENS,
    length: int = 32,
    optimizer: OptimizerLike = "adam",
    checkpoint_activations: bool | int = False,
    accumulate: int = 1,
    ranks: int = 1,
    dtype: str = "float32",
) -> MemoryPlan:
    """Bytes that training a model will hold, by what they are for.

    The numbers are the core's: the plan by which a pass lays out its buffers is asked for its sizes. Nothing
    is allocated, so models larger than the machine can be asked about.

    Parameters
    ----------
    config : TransformerConfig
        With a decoder: an encoder alone has no backward pass.
    batch : Batch, optional
        The batch of the step. By default max_tokens tokens on each side, in sequences of `length`.
    max_tokens, length : int
        Of the batch that is thought of where none is given.
    optimizer : Optimizer, str or callable
        Whose moments are counted, as of `train`.
    checkpoint_activations : bool or int
        As for `Transformer.backward`.
    accumulate : int
        Batches whose gradients are summed for a step, as of `train`.
    ranks : int
        Processes that share the training (``comm`` of `train`): what one of them holds, whose part of moments
        and of the sum is the largest.
    dtype : {"float32", "float64"}

    Returns
    -------
    MemoryPlan

    Raises
    ------
    TypeError, ValueError
        Naming the argument; also where the model cannot read such a batch.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=1000, encoder_layers=6, decoder_layers=6, d_model=64, d_ff=256)
    >>> plan = plan_memory(config, max_tokens=1024)
    >>> plan.per_token_and_layer("encoder") < plan.bound
    True
    >>> plan_memory(config, max_tokens=1024, checkpoint_activations=True).total < plan.total
    True
    >>> plan_memory(config, max_tokens=1024, accumulate=4, ranks=4).parts["moments"] < plan.parts["moments"]
    True
    """
    if not isinstance(config, TransformerConfig):
        raise TypeError(f"config must be a TransformerConfig, got an object of type {type(config).__name__}")
    if config.kind == "encoder":
        raise ValueError("config must have a decoder: an encoder alone has no loss and no backward pass")
    module = MODULES[check_choice("dtype", dtype, tuple(MODULES))]
    optimizer = as_optimizer(optimizer)
    if not isinstance(batch, Batch | None):
        raise TypeError(f"batch must be a Batch, got an object of type {type(batch).__name__}")
    ranks = check_integer("ranks", ranks, 1, MAX_COUNT)
    if check_integer("accumulate", accumulate, 1, MAX_COUNT) % ranks:
        raise ValueError(f"accumulate must be a multiple of the {ranks} ranks, got {accumulate}")
    found: dict[str, Any] = module.plan_memory(
        config.to_core(),
        _thought_of(config, max_tokens, length) if batch is None else batch.core(dtype),
        optimizer=module.Optimizer(optimizer.kind, **optimizer._options),
        segment_layers=check_segments("checkpoint_activations", checkpoint_activations),
    )
    found |= planned(module, config, found, accumulate=accumulate, ranks=ranks)
    return MemoryPlan(
        config=config,
        dtype=dtype,
        parts={name: found[name] for name in PARTS},
        rows={stack: found[f"{stack}_rows"] for stack in config.stacks},
        metadata=run_metadata(dtype=dtype),
    )


def _thought_of(config: TransformerConfig, max_tokens: int, length: int) -> tuple[int, int, int]:
    """As each stack reads them, n sequences of so many tokens, and the tokens of one more: no arrays."""
    max_tokens = check_integer("max_tokens", max_tokens, 1, MAX_COUNT)
    length = min(check_integer("length", length, 1, MAX_COUNT), max_tokens, config.max_length)
    return max_tokens // length, length, max_tokens % length
