"""docs/examples/train_in_pytorch.py, on two processes of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "train_in_pytorch.py"


def test_two_processes_train_what_is_profiled_and_looked_at_here(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--layers", "1", "--steps", "6"]
    done = subprocess.run(
        [*command, str(EXAMPLE), str(tmp_path / "out"), *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    before, after = (float(word) for word in done.stdout.split() if word.replace(".", "").isdigit())
    assert after < before
    assert (tmp_path / "out" / "dependency.png").stat().st_size > 0
    trained = ap.load(tmp_path / "out" / "model.safetensors")
    assert trained.config.scheme_name == "admin"
    assert not np.allclose(
        trained.omega["decoder"][1], trained.omega["decoder"][1].mean()
    )  # it has trained, too
