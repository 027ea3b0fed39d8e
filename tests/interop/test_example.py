"""docs/examples: trainings in PyTorch, by itself and by Accelerate, on two processes of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
LAUNCHED = {
    "train_in_pytorch.py": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "train_with_accelerate.py": ["accelerate.commands.launch", "--cpu", "--num_processes", "2"],
}


@pytest.mark.parametrize("name", LAUNCHED)
def test_two_processes_train_what_is_profiled_and_looked_at_here(name: str, tmp_path: Path) -> None:
    if "accelerate" in name:
        pytest.importorskip("accelerate", reason="accelerate is not installed")
    command = [sys.executable, "-m", *LAUNCHED[name], str(EXAMPLES / name), str(tmp_path / "out")]
    done = subprocess.run([*command, "--layers", "1", "--steps", "6"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = (float(word) for word in done.stdout.split() if word.replace(".", "").isdigit())
    assert after < before
    assert (tmp_path / "out" / "dependency.png").stat().st_size > 0
    trained = ap.load(tmp_path / "out" / "model.safetensors")
    assert trained.config.scheme_name == "admin"
    assert not np.allclose(
        trained.omega["decoder"][1], trained.omega["decoder"][1].mean()
    )  # it has trained, too
