"""A whole training step beside PyTorch eager: `python -m benchmarks.training_step`."""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import fields

import numpy as np

from benchmarks.turns import Runner, measured_peak, take_turns
from benchmarks.workload import Sizes, make_batches, useful_flops


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as lines:
            text = lines.read()
    except OSError:
        return platform.processor()
    name = text.split("model name")[1].split(":")[1].split("\n")[0].strip()
    return f"{name}, {'AVX-512' if ' avx512f ' in text else 'AVX2' if ' avx2 ' in text else 'no AVX2'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Sizes):
        parser.add_argument(
            "--" + field.name.replace("_", "-"), type=type(field.default), default=field.default
        )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--samples", type=int, default=11)
    parser.add_argument("--steps", type=int, default=4, help="steps a sample")
    parser.add_argument("--rest", type=float, default=0.3, help="seconds between samples")
    options = parser.parse_args()
    sizes = Sizes(**{field.name: getattr(options, field.name) for field in fields(Sizes)})

    batches = make_batches(sizes, options.steps)
    flops = np.mean([useful_flops(sizes, batch) for batch in batches])
    tokens = np.mean([sum(map(len, batch[0])) + sum(len(t) - 1 for t in batch[1]) for batch in batches])
    peak = measured_peak(options.threads)
    print(
        f"{processor()}; {options.threads} threads; peak {peak * 1e-9:.0f} GFLOP/s (float32 product of 2048)"
    )
    print(f"{sizes}")
    print(f"{tokens:.0f} real tokens and {flops * 1e-9:.1f} useful GFLOP a step")
    runners = [
        Runner("benchmarks.our_side", sizes, batches, options.threads),
        Runner("benchmarks.torch_side", sizes, batches, options.threads),
    ]
    seconds, losses = take_turns(runners, options.samples, options.steps, 2 * options.steps, options.rest)
    for k, runner in enumerate(runners):
        low, median, high = np.percentile(seconds[:, k], [0, 50, 100]) * 1e3
        rate = flops / np.median(seconds[:, k])
        print(
            f"{runner.name}: {median:.1f} ms a step (from {low:.1f} to {high:.1f}), "
            f"{rate * 1e-9:.0f} GFLOP/s, MFU {100 * rate / peak:.0f} %, "
            f"peak memory {runner.finish():.0f} MiB, loss {losses[k]:.3f}"
        )
    ratios = seconds[:, 1] / seconds[:, 0]
    low, median, high = np.percentile(ratios, [0, 50, 100])
    print(f"PyTorch's time over ours: median {median:.2f} (from {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
