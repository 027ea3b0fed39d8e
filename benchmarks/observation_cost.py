"""What observing every tenth step of a training costs: whole trainings with and without, in turns.

Usage: python -m benchmarks.observation_cost [--layers 18] [--steps 40] [--turns 5]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import admin_py as ap

EVERY = 10


def seconds(data: ap.data.Dataset, layers: int, steps: int, observe: int) -> float:
    """Of a training of so many steps."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=64,
        heads=4,
        d_ff=128,
        max_length=data.longest,
    )
    model = ap.Transformer(config, seed=1)
    start = time.perf_counter()
    ap.train(
        model, data, optimizer=ap.Adam(lr=1e-3), steps=steps, max_tokens=512, observe=observe, progress=False
    )
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the ratio of medians and the spread of the ratios of turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--layers", type=int, default=18)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    data = ap.data.number_words(train=10_000, valid=20)
    seconds(data, options.layers, EVERY, EVERY)  # warm
    found = np.array(
        [
            [seconds(data, options.layers, options.steps, observe) for observe in (0, EVERY)]
            for _ in range(options.turns)
        ]
    )
    plain, observed = np.median(found, axis=0)
    ratios = found[:, 1] / found[:, 0]
    print(
        f"{options.layers}-{options.layers} layers, D 64, {options.steps} steps: {plain:.2f} s, observed at "
        f"every {EVERY}th step {observed:.2f} s: {observed / plain - 1:+.1%} (of single turns "
        f"{ratios.min() - 1:+.1%} to {ratios.max() - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
