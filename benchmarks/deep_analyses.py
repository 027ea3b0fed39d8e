"""The analyses of an encoder of 200 sub-layers: `python -m benchmarks.deep_analyses`.

The output change of Post-LN, Pre-LN, Admin and admin-torch's "1" at the paper's depth and width, beside the
paper's numbers; and the dependency of Post-LN on 4096 tokens beside a forward pass, in time and memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import admin_py as ap
from benchmarks.workload import Workload, make_batches

PAPER = {"post_ln": 2150, "pre_ln": 165, "admin": 155}
"""Output change at 200 sub-layers, read off figure 4 of arXiv 2004.08249."""
SCHEMES = (*PAPER, "admin_torch_1")


def make_model(options: argparse.Namespace, scheme: str, batch: ap.Batch) -> ap.Transformer:
    """An encoder, profiled on the batch."""
    config = ap.TransformerConfig(
        vocab_size=10_000,
        encoder_layers=options.layers,
        decoder_layers=0,
        d_model=options.d_model,
        d_ff=options.d_ff,
        heads=8,
        scheme=scheme,
        dropout=0.0,
    )
    model = ap.Transformer(config, seed=options.seed)
    model.profile(batch, dropout=False)
    return model


def make_batch(tokens: int) -> ap.Batch:
    """Sentences of real lengths."""
    (source, _), *_ = make_batches(Workload(name="deep", what="", max_tokens=tokens, length=None), 1)
    return ap.Batch(source)


def peak() -> float:
    """GiB, of the process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=100, help="two sub-layers each")
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--d-ff", type=int, default=2048)
    parser.add_argument("--tokens", type=int, default=512, help="of the output change")
    parser.add_argument("--dependency-tokens", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    ap.set_num_threads(options.threads)

    batch = make_batch(options.tokens)
    last: dict[str, float] = {}
    for scheme in SCHEMES:
        model = make_model(options, scheme, batch)
        start = time.perf_counter()
        found = ap.analysis.output_change(model, batch, repeats=options.repeats)
        seconds = time.perf_counter() - start
        curve, fits = found.mean("encoder"), found.fit("encoder")
        last[scheme] = float(curve[-1])
        growth = f"R^2 {fits.linear.r2:.3f} in i, {fits.logarithmic.r2:.3f} in ln i"
        change = f"output change {curve[-1]:.3g}, {last['post_ln'] / curve[-1]:.1f} times less than Post-LN"
        paper = (
            f" (paper {PAPER['post_ln'] / PAPER[scheme]:.1f})"
            if scheme in PAPER and options.layers == 100
            else ""
        )
        half = f"{curve[-1] / curve[len(curve) // 2 - 1]:.2f} of that at half the depth"
        print(f"{scheme}: {change}{paper}, {half}, {growth}, {seconds:.1f} s", flush=True)
        del model
    print(f"peak memory {peak():.2f} GiB")

    batch = make_batch(options.dependency_tokens)
    model = make_model(options, "post_ln", batch)
    model.forward(batch)
    start = time.perf_counter()
    model.forward(batch)
    forward = time.perf_counter() - start
    before = peak()
    start = time.perf_counter()
    ap.analysis.dependency(model, batch)
    seconds = time.perf_counter() - start
    print(
        f"dependency on {options.dependency_tokens} tokens: {seconds:.1f} s, {seconds / forward:.1f} forward "
        f"passes of {forward:.1f} s; peak memory {before:.2f} GiB before, {peak():.2f} GiB after"
    )


if __name__ == "__main__":
    main()
