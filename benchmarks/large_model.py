"""A training step of a model with 735 M parameters within 20 GiB: `python -m benchmarks.large_model`.

100-100 layers, D 512, F 2048, Adam, 4096 tokens on each side, activations computed again by segments. Prints
what was planned, seconds by part, the loss of every step, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

import admin_py as ap

GIB = 2**30
LENGTH = 32


def peak_bytes() -> int:
    """The most memory that the process has held so far (VmHWM)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def available_bytes() -> int:
    """Memory that may be taken without swapping, as the kernel estimates it."""
    with open("/proc/meminfo") as meminfo:
        return next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable"))


def timed(what: str, act: Callable[[], object]) -> object:
    start = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.1f} s, peak memory {peak_bytes() / GIB:.2f} GiB", flush=True)
    return result


def make_batch(max_tokens: int, vocab_size: int) -> ap.Batch:
    """Random pairs of LENGTH tokens: max_tokens that the encoder reads, as many that the decoder does."""
    rng = np.random.default_rng(1)
    count = max_tokens // LENGTH
    source, target = (rng.integers(4, vocab_size, (count, n)) for n in (LENGTH, LENGTH + 1))
    return ap.Batch(list(source), list(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--d-ff", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--vocab-size", type=int, default=1000)
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--segment-layers", type=int, help="(default: about the root of the layers)")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--limit", type=float, default=20.0, help="GiB that it may hold")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    ap.set_num_threads(options.threads)
    config = ap.TransformerConfig(
        vocab_size=options.vocab_size,
        encoder_layers=options.layers,
        decoder_layers=options.layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        heads=options.heads,
        scheme="admin",
    )
    batch = make_batch(options.max_tokens, options.vocab_size)
    segments = True if options.segment_layers is None else options.segment_layers
    plan = ap.plan_memory(config, batch, checkpoint_activations=segments)
    whole = ap.plan_memory(config, batch).total
    print(f"{config.num_parameters / 1e6:.0f} M parameters\n{plan}")
    print(f"all activations kept it would be {whole / GIB:.1f} GiB")
    if plan.total > min(options.limit * GIB, available_bytes()):
        raise SystemExit(f"{options.limit:.1f} GiB allowed, {available_bytes() / GIB:.1f} available")

    model = timed("weights", lambda: ap.Transformer(config, seed=1))
    assert isinstance(model, ap.Transformer)
    timed("profile", lambda: model.profile(batch))
    optimizer = ap.Adam(lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
    for step in range(options.steps):
        loss = timed(
            f"step {step + 1}, forward and backward",
            lambda step=step: model.backward(
                batch, label_smoothing=0.1, step=step, checkpoint_activations=segments
            ),
        )
        assert isinstance(loss, ap.Loss)
        norm = timed("gradient's norm", lambda: ap._core.norm2(model._core.gradient_buffer))
        timed("Adam", lambda norm=norm: optimizer.step(model, grad_scale=min(1.0, 1.0 / norm)))
        assert np.isfinite(loss.loss)
        print(f"loss {loss.loss:.4f}, gradient's norm {norm:.3g}")
    taken = peak_bytes()
    print(f"peak memory {taken / GIB:.2f} GiB of {options.limit:.1f} GiB allowed")
    if taken > options.limit * GIB:
        raise SystemExit("too much memory")


if __name__ == "__main__":
    main()
