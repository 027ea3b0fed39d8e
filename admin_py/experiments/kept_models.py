"""The trained models of runs and cells: beside them in memory, or in a file that is read when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from admin_py.model.transformer import Transformer

MODEL_FILE = "model.safetensors"


def keep_model(result: Any, model: Transformer | Path | None) -> None:
    """Put a model, or the file that holds it, beside a frozen result; it is no part of what is compared."""
    object.__setattr__(result, "_model", model)


def put_model(path: Path, model: Transformer | None) -> None:
    """Write the model of a result that is written next; where it has none, another's does not stay there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if model is None:
        path.unlink(missing_ok=True)
    else:
        model.save(path)


def kept_model(result: Any) -> Transformer | None:
    """The model beside a result; None where none was kept."""
    model = vars(result).get("_model")
    if isinstance(model, Path):
        if not model.exists():
            return None
        model = Transformer.load(model)
        keep_model(result, model)
    return model
