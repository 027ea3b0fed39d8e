"""A training of some steps by one process, or by ranks of `mpiexec`: a side of benchmarks.scaling_out.

Prints seconds of the steps, bytes that rank 0 sent in the last one, and the sizes on which they depend.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import admin_py as ap
from admin_py.base.builds import MODULES
from admin_py.training.regions import regions_of
from benchmarks.our_side import make_config, make_optimizer
from benchmarks.workload import WORKLOADS, Workload

WARM = 2
"""Steps that are not told: they start threads and make memory."""


def data_of(workload: Workload, tokens: int, batches: int) -> ap.data.Dataset:
    """Random symbols in sequences of one length, as many as so many batches hold."""
    length = (workload.length or 32) - 1  # and an end
    count = tokens // (length + 1) * batches
    return ap.data.copy_task(
        train=count, valid=1, symbols=workload.vocab_size - 4, min_length=length, max_length=length
    )


def counting(comm: Any) -> Any:
    """The same communicator, which counts what leaves this rank for others; and the counts."""
    from mpi4py import MPI

    sent: dict[str, int] = {"gradients": 0, "weights": 0, "other": 0}

    class Counting(MPI.Intracomm):
        def Alltoallv(self, given: Any, taken: Any) -> None:
            values, (counts, _) = given
            sent["gradients"] += (sum(counts) - counts[self.rank]) * values.itemsize
            super().Alltoallv(given, taken)

        def Allgatherv(self, given: Any, taken: Any) -> None:
            values, (counts, _) = taken
            sent["weights"] += counts[self.rank] * (self.size - 1) * values.itemsize
            super().Allgatherv(given, taken)

        def Allreduce(self, given: Any, taken: Any, *more: Any) -> None:
            sent["other"] += given.nbytes * (self.size - 1)
            super().Allreduce(given, taken, *more)

        def Allgather(self, given: Any, taken: Any) -> None:
            sent["other"] += given.nbytes * (self.size - 1)
            super().Allgather(given, taken)

    return Counting(comm), sent


def later(model: ap.Transformer) -> int:
    """Numbers whose gradients are whole before the encoder's backward pass."""
    length = model._core.trained_length
    block = MODULES[model.dtype].block_length(length)
    return int(regions_of(model, block, 1)[1].counts.sum())


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=("tiny", "deep", "small"), default="small")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ranks", action="store_true", help="started by mpiexec")
    options = parser.parse_args()
    comm, sent = None, {}
    if options.ranks:
        from mpi4py import MPI

        comm, sent = counting(MPI.COMM_WORLD)
    workload = WORKLOADS[options.workload]
    ap.set_num_threads(options.threads)
    data = data_of(workload, options.tokens, 4 * options.accumulate)
    model = ap.Transformer(make_config(workload), seed=1)
    at: list[dict[str, int]] = []
    history = ap.train(
        model, data, optimizer=make_optimizer(workload), steps=WARM + options.steps,
        max_tokens=options.tokens, accumulate=options.accumulate, clip_norm=1.0, comm=comm, progress=False,
        callbacks=[lambda *_: at.append(dict(sent))],
    )  # fmt: skip
    if comm is None or comm.Get_rank() == 0:
        found = {
            "seconds": history.seconds[WARM:].tolist(),
            "trained": int(model._core.trained_length),
            "later": later(model),
            "itemsize": model._core.weights.itemsize,
            "tokens": int(history.tokens[-1]),
            "loss": float(history.loss[-1]),
            "sent": {name: (at[-1][name] - at[-2][name]) for name in sent},
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
