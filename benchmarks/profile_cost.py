"""A variance profile of deep models beside one forward pass: `python -m benchmarks.profile_cost`.

Prints, for every depth, the median ratio profile / forward, seconds and the process's peak memory; the last
line fits seconds = a + b layers.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import numpy as np

import admin_py as ap
from benchmarks.workload import Workload, make_batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--d-ff", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    ap.set_num_threads(options.threads)
    workload = Workload(name="profile", what="real lengths", max_tokens=options.max_tokens, length=None)
    (source, target), *_ = make_batches(workload, 1)
    batch = ap.Batch(source, target)
    medians = []
    for layers in options.layers:
        config = ap.TransformerConfig(
            vocab_size=workload.vocab_size,
            encoder_layers=layers,
            decoder_layers=layers,
            d_model=options.d_model,
            d_ff=options.d_ff,
            heads=options.heads,
            scheme="admin",
        )
        model = ap.Transformer(config, seed=1)
        model.profile(batch)
        seconds = np.zeros((options.samples, 2))
        for i in range(options.samples):
            start = time.perf_counter()
            model.loss(batch, training=True)
            middle = time.perf_counter()
            profile = model.profile(batch)
            seconds[i] = middle - start, time.perf_counter() - middle
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        medians.append(np.median(seconds[:, 1]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(
            f"{layers}-{layers}: profile {medians[-1]:.2f} s, {ratio:.3f} of one forward pass with loss, "
            f"peak memory so far {peak:.2f} GiB, {model.num_parameters / 1e6:.0f} M parameters, "
            f"last omega {profile.omega('encoder')[-1]:.2f} and {profile.omega('decoder')[-1]:.2f}"
        )
        del model
    if len(medians) > 1:
        slope, start = np.polyfit(options.layers, medians, 1)
        print(f"seconds = {start:.2f} + {slope:.4f} layers")


if __name__ == "__main__":
    main()
