"""Models in plain PyTorch whose weights FSDP shares out over processes: the same loss, and the way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
fsdp = pytest.importorskip("torch.distributed.fsdp")

if not hasattr(fsdp, "fully_shard"):
    pytest.skip("this PyTorch has no fully_shard", allow_module_level=True)

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = f"""
import sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / "helpers")!r}]
import torch
import torch.nn.functional as F
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
import admin_py as ap
from own_configs import batch_of, drawn

torch.set_num_threads(1)
distributed.init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
sizes = dict(vocab_size=20, encoder_layers=2, decoder_layers=2, d_model=12, heads=3, d_ff=16)
apart = {{"share_embeddings": "decoder", "scheme": "deepnorm"}}
text = {{"encoder_layers": 0, "scheme": "rezero"}}
for fields in ({{}}, apart, text):
    model = drawn(ap.TransformerConfig(**{{**sizes, **fields}}))
    batch, module = batch_of(model.config), ap.interop.torch.module(model)
    for one in module.modules():
        if type(one).__name__ == "Layer":
            fully_shard(one, mesh=mesh)
    fully_shard(module, mesh=mesh)
    inputs, labels = ap.interop.torch.padded(batch)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    loss = F.cross_entropy(module(**inputs).flatten(0, 1), labels.flatten())
    loss.backward()
    optimizer.step()
    state = get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if distributed.get_rank() == 0:
        trained = ap.load_pretrained(state, settings=module.config, dtype="float64")
        print(model.loss(batch).nll, loss.item(), trained.loss(batch).nll)
distributed.destroy_process_group()
"""


def test_the_loss_is_ours_and_what_is_trained_comes_back(tmp_path: Path) -> None:
    (tmp_path / "sharded.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*command, str(tmp_path / "sharded.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert len(found) == 3
    for ours, theirs, trained in found:
        assert theirs == pytest.approx(ours, rel=1e-12)
        assert trained < ours - 0.1
