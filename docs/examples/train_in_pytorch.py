"""Profile here, train in PyTorch on several processes or GPUs, look at it here again.

    pip install "admin-py[pretrained]"
    torchrun --standalone --nproc-per-node 2 train_in_pytorch.py OUT

Every process makes the same model, to the bit. Gradients go by NCCL where there are GPUs, else by gloo.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import admin_py as ap


def profiled(data: ap.data.Dataset, layers: int) -> ap.Transformer:
    """An Admin model whose omega is set."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=64,
        heads=4,
        d_ff=128,
        scheme="admin",
    )
    model = ap.Transformer(config, seed=1)
    model.profile(next(data.batches(max_tokens=1024, seed=1)))
    return model


def share(data: ap.data.Dataset) -> Iterator[ap.Batch]:
    """Every batch goes to one process, epoch after epoch."""
    batches = (batch for epoch in count() for batch in data.batches(max_tokens=1024, seed=epoch))
    return islice(batches, distributed.get_rank(), None, distributed.get_world_size())


def train(module: torch.nn.Module, data: ap.data.Dataset, steps: int, device: torch.device) -> None:
    """As any module is trained."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    for batch in islice(share(data), steps):
        inputs, labels = ap.interop.torch.padded(batch, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            logits = module(**inputs)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()


def main(out: Path, *, layers: int, steps: int) -> None:
    """What each process does; the first one writes."""
    gpus = torch.cuda.is_available()
    distributed.init_process_group("nccl" if gpus else "gloo")
    rank = distributed.get_rank()
    device = torch.device("cuda", rank % torch.cuda.device_count()) if gpus else torch.device("cpu")
    data = ap.data.number_words(train=2000, valid=100)
    model = profiled(data, layers)
    module = DistributedDataParallel(ap.interop.torch.module(model).to(device))
    train(module.train(), data, steps, device)
    if rank == 0:
        trained = ap.load_pretrained(module)
        trained.save(out / "model.safetensors")
        batch = next(data.batches(max_tokens=1024, split="valid", shuffle=False))
        print(f"validation nll: {model.loss(batch).nll:.3f} before, {trained.loss(batch).nll:.3f} after")
        ap.analysis.dependency(trained, batch).plot().figure.savefig(out / "dependency.png")
    distributed.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    main(options.out, layers=options.layers, steps=options.steps)
