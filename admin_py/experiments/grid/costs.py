"""What the cells of a grid will cost, before any is trained: measured steps, and the plan of memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admin_py.experiments.jobs import Job, plan_jobs
from admin_py.model.transformer import Transformer
from admin_py.training.memory import plan_memory

if TYPE_CHECKING:
    import pandas as pd

    from admin_py.data import Dataset

STEPS = 3
"""That are measured of every kind of cell, after one that makes what is made once; the quickest counts."""


@dataclass(frozen=True)
class CellCost:
    """Of one cell.

    Attributes
    ----------
    title : str
    parameters : int
    seconds : float
        Of all its steps and validations, on this machine as it is now.
    memory : int
        Bytes of a step, beside Python's own.
    """

    title: str
    parameters: int
    seconds: float
    memory: int


def costs_of(data: Dataset, given: Mapping[str, Any]) -> list[CellCost]:
    """Of all cells of a grid.

    Parameters
    ----------
    data : Dataset
    given : mapping
        All arguments of the table of settings.

    Raises
    ------
    TypeError, ValueError
        As `grid` does.
    """
    jobs, _ = plan_jobs(data, given)
    measured: dict[Any, tuple[int, float, int]] = {}
    found = []
    for job in jobs:
        kind = tuple(
            value for axis, value in job.values.items() if axis not in ("lr", "beta2", "warmup", "seed")
        )
        if kind not in measured:
            measured[kind] = _measured(job, data)
        found.append(CellCost(job.title, *measured[kind]))
    return found


def _measured(job: Job, data: Dataset) -> tuple[int, float, int]:
    """Parameters, seconds and bytes."""
    training = job.training
    model = Transformer(job.config, seed=0, dtype=training["dtype"])
    optimizer = job.new_optimizer()
    batch = next(data.batches(max_tokens=training["max_tokens"], seed=0))

    def step(number: int) -> None:
        model.backward(batch, label_smoothing=training["label_smoothing"], step=number)
        optimizer.step(model, lr=0.0)

    seconds = _quickest(step) * training["steps"]
    every = training["valid_every"]
    if every is not None and "valid" in data.splits:
        batches = sum(
            1 for _ in data.batches(max_tokens=training["max_tokens"], split="valid", shuffle=False)
        )
        validations = -(-training["steps"] // every)
        seconds += _quickest(lambda _: model.loss(batch)) * batches * validations
    plan = plan_memory(job.config, batch, optimizer=optimizer, dtype=training["dtype"])
    return model.num_parameters, seconds, plan.total


def _quickest(call: Any) -> float:
    """Seconds of a call that comes again."""
    call(0)
    found = []
    for number in range(1, STEPS + 1):
        begin = time.perf_counter()
        call(number)
        found.append(time.perf_counter() - begin)
    return min(found)


def table_of(costs: Sequence[CellCost]) -> pd.DataFrame:
    """A row a cell: cell, parameters, hours, MiB."""
    import pandas as pd

    rows = [(one.title, one.parameters, one.seconds / 3600, one.memory / 2**20) for one in costs]
    return pd.DataFrame(rows, columns=["cell", "parameters", "hours", "MiB"])
