"""Trainings that ranks share, started by `mpiexec`: `python mpi_training.py FOLDER CASE...`.

Rank 0 writes what came of them into the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import admin_py as ap
from admin_py.training import buffers
from admin_py.training.early_exchange import EarlyExchange

DATA = ap.data.copy_task(train=120, valid=24, symbols=8, max_length=8)
TEXT = ap.data.from_texts(["the quick brown fox jumps over the lazy dog"] * 90, level="char")
KINDS = ("sgd", "adam", "adamw", "radam", "novograd")
OPTIONS: dict[str, Any] = {
    "steps": 9, "max_tokens": 120, "accumulate": 4, "clip_norm": 0.5, "valid_every": 4, "lr": 3e-3,
    "progress": False,
}  # fmt: skip
DTYPES = ("float32", "float64")
CASES: dict[str, dict[str, Any]] = {
    **{f"{kind} {dtype}": {"optimizer": kind, "dtype": dtype} for kind in KINDS for dtype in DTYPES},
    "threads": {"optimizer": "adam", "threads": 3},
    "six": {"optimizer": "adamw", "accumulate": 6, "observe": 3},
    "observed": {"optimizer": "novograd", "observe": "log", "ema": 0.9, "z_loss": 1e-3},
    "diverges": {"optimizer": "sgd", "lr": 1e30, "clip_norm": None},
    "large": {"optimizer": "novograd", "dtype": "float64", "z_loss": 1e200},
    "stops": {"optimizer": "adam", "patience": 1, "valid_every": 1, "restore_best": True, "lr": 0.3},
    "language model": {"optimizer": "adam", "encoder_layers": 0},
    "one block": {"optimizer": "adam", "d_model": 8, "again": True},
    "one block, novograd": {"optimizer": "novograd", "d_model": 8, "again": True},
}  # fmt: skip
"""Name -> options of `train`, of the model, and threads."""


def make_model(
    data: ap.data.Dataset, dtype: str = "float32", encoder_layers: int = 1, d_model: int = 64
) -> ap.Transformer:
    """More than one block of weights, so that every one of a few ranks has a part; of d_model 8 only one."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=encoder_layers, decoder_layers=2, d_model=d_model, heads=4,
        d_ff=128, scheme="admin" if encoder_layers else "post_ln", dropout=0.1,
    )  # fmt: skip
    return ap.Transformer(config, seed=3, dtype=dtype)


def exchange_early() -> list[bool]:
    """Whatever the processors, as the environment asks; grows by an element a pass that is exchanged amid."""
    asked = os.environ.get("EXCHANGE_EARLY")
    if asked is not None:
        buffers.pays = lambda comm: asked == "yes"  # type: ignore[assignment]
    noted: list[bool] = []
    beside = EarlyExchange.beside

    def note(self: EarlyExchange, exchange: Any) -> Any:
        noted.append(True)
        return beside(self, exchange)

    EarlyExchange.beside = note  # type: ignore[method-assign]
    return noted


def train(case: str, comm: Any = None, **more: Any) -> dict[str, Any]:
    """What came of a training: digests of all that it computed."""
    options = {**OPTIONS, **CASES[case], **more}
    made = {name: options.pop(name) for name in ("dtype", "encoder_layers", "d_model") if name in options}
    data = TEXT if made.get("encoder_layers") == 0 else DATA
    ap.set_num_threads(options.pop("threads", 1), oversubscribe=True)
    if options.pop("again", False):  # from a checkpoint, by all ranks
        folder = tempfile.mkdtemp() if comm is None or comm.rank == 0 else ""
        options["checkpoint"] = Path(folder if comm is None else comm.bcast(folder), "checkpoint")
        ap.train(make_model(data, **made), data, comm=comm, **{**options, "steps": 4})
    model = make_model(data, **made)
    history = ap.train(model, data, comm=comm, **options)
    told = history.to_dict()
    for name in ("metadata", "seconds"):
        told.pop(name, None)
    return {
        "weights": digest(model._core.weights),
        "history": digest(json.dumps(told, sort_keys=True, default=str).encode()),
        "nll": repr(history.nll[-1]),
        "diverged": history.diverged_because,
        "ema": None if history.ema is None else digest(history.ema._core.weights),
    }


def digest(values: Any) -> str:
    """Of bytes."""
    return hashlib.sha256(values).hexdigest()


def main() -> None:
    """All cases, one after the other."""
    from mpi4py import MPI

    folder, *cases = sys.argv[1:]
    comm, noted = MPI.COMM_WORLD, exchange_early()
    found = {case: train(case, comm) for case in cases}
    if comm.rank == 0:
        Path(folder, "exchanged-early").write_text(str(len(noted)))
        Path(folder, f"{comm.size}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
