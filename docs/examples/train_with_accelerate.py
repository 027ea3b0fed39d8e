"""Profile here, train with Hugging Face Accelerate on GPUs or processes of the CPU, look at it here again.

    pip install "admin-py[pretrained]"
    accelerate launch --num_processes 2 train_with_accelerate.py OUT        (--cpu where there are no GPUs)

Every process makes the same model, to the bit; Accelerate wraps it, by DistributedDataParallel or otherwise.
"""

from __future__ import annotations

import argparse
from itertools import count, islice
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator

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


def main(out: Path, *, layers: int, steps: int) -> None:
    """What each process does; the first one writes."""
    accelerator = Accelerator()
    data = ap.data.number_words(train=2000, valid=100)
    model = profiled(data, layers)
    module = ap.interop.torch.module(model).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    module, optimizer = accelerator.prepare(module, optimizer)
    batches = (batch for epoch in count() for batch in data.batches(max_tokens=1024, seed=epoch))
    mine = islice(batches, accelerator.process_index, None, accelerator.num_processes)
    for batch in islice(mine, steps):
        inputs, labels = ap.interop.torch.padded(batch, device=accelerator.device)
        with accelerator.autocast():
            logits = module(**inputs)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), label_smoothing=0.1)
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    if accelerator.is_main_process:
        trained = ap.load_pretrained(accelerator.unwrap_model(module))
        trained.save(out / "model.safetensors")
        batch = next(data.batches(max_tokens=1024, split="valid", shuffle=False))
        print(f"validation nll: {model.loss(batch).nll:.3f} before, {trained.loss(batch).nll:.3f} after")
        ap.analysis.dependency(trained, batch).plot().figure.savefig(out / "dependency.png")
    accelerator.end_training()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    main(options.out, layers=options.layers, steps=options.steps)
