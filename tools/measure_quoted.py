"""Measures again what pages quote of models at initialisation, and of files: `tools/measure_quoted.py NAME`.

    deep       output change of encoders of 200 sub-layers, D 512: four seeds, minutes, 3 GiB
    shallow    output change of the models of docs/guide.md, random and gradient signs, four seeds
    guide      amplification, shares and gradients of those models, seed 1
    digest     the time that the digest of 100 MB takes

It prints the figures by their names in docs/figures.json; `tools/quoted_figures.py` puts them into the pages.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np

import admin_py as ap
from admin_py.base.digests import BlockDigest

SCHEMES = ("post_ln", "pre_ln", "admin")
SEEDS = (1, 2, 3, 4)


def profiled(data: ap.data.Dataset, batch: ap.Batch, scheme: str, seed: int, **sizes: int) -> ap.Transformer:
    """A model as analyses see it before training."""
    config = ap.TransformerConfig(vocab_size=data.vocab_size, scheme=scheme, **sizes)
    model = ap.Transformer(config, seed=seed)
    model.profile(batch)
    return model


def ratios(ends: dict[tuple[str, int], float]) -> Iterator[tuple[str, float]]:
    """Geometric mean, smallest and largest of Post-LN's change over those of the others, seed by seed."""
    for other in SCHEMES[1:]:
        found = np.array([ends["post_ln", seed] / ends[other, seed] for seed in SEEDS])
        yield f"{other}.mean", float(np.exp(np.log(found).mean()))
        yield f"{other}.least", float(found.min())
        yield f"{other}.most", float(found.max())


def deep() -> Iterator[tuple[str, float]]:
    """As notebook 4 at the paper's width."""
    data = ap.data.number_words(train=10_000, valid=200)
    batch = next(data.batches(max_tokens=256, seed=1))
    sizes = {"encoder_layers": 100, "decoder_layers": 0, "d_model": 512, "heads": 8, "d_ff": 2048}
    ends, r2 = {}, {}
    for scheme in SCHEMES:
        for seed in SEEDS:
            model = profiled(data, batch, scheme, seed, max_length=data.longest, **sizes)
            found = ap.analysis.output_change(model, batch, size=1e-4, repeats=3, seed=seed)
            ends[scheme, seed] = float(found.mean("encoder")[-1])
            fit = found.fit("encoder")
            r2[scheme, seed] = (fit.linear.r2, fit.logarithmic.r2)
    yield from ((f"deep.{name}", value) for name, value in ratios(ends))
    post = np.array([r2["post_ln", seed] for seed in SEEDS])
    rest = np.array([r2[scheme, seed][1] for scheme in SCHEMES[1:] for seed in SEEDS])
    for name, values in (("linear", post[:, 0]), ("log", post[:, 1]), ("others_log", rest)):
        yield f"deep.r2.{name}.least", float(values.min())
        yield f"deep.r2.{name}.most", float(values.max())


def guide_sizes() -> dict[str, int]:
    return {"encoder_layers": 18, "decoder_layers": 18, "d_model": 64, "heads": 4, "d_ff": 128}


def shallow() -> Iterator[tuple[str, float]]:
    """The models of the guide, in the encoder."""
    data = ap.data.number_words()
    batch = next(data.batches(max_tokens=512, seed=1))
    for move in ("random", "gradient"):
        ends = {}
        for scheme in SCHEMES:
            for seed in SEEDS:
                model = profiled(data, batch, scheme, seed, **guide_sizes())
                found = ap.analysis.output_change(model, batch, perturbation=move)
                for stack in found.stacks:
                    ends[stack, scheme, seed] = float(found.mean(stack)[-1])
        all_ratios = [
            ends[stack, "post_ln", seed] / ends[stack, other, seed]
            for stack in ("encoder", "decoder") for other in SCHEMES[1:] for seed in SEEDS
        ]  # fmt: skip
        yield f"shallow.{move}.least", min(all_ratios)
        yield f"shallow.{move}.most", max(all_ratios)


def guide() -> Iterator[tuple[str, float]]:
    """What the guide says of its models."""
    data = ap.data.number_words()
    batch = next(data.batches(max_tokens=512, seed=1))
    yield "guide.entropy", data.unigram_entropy()
    for scheme in SCHEMES:
        model = profiled(data, batch, scheme, 1, **guide_sizes())
        found = ap.analysis.dependency(model, batch)
        gradients = ap.analysis.gradients(model, batch)
        for stack in found.stacks:
            yield f"guide.amplification.{scheme}.{stack}", float(found.amplification(stack)[-1])
            yield f"guide.shares.{scheme}.{stack}", float(np.sum(np.diag(found.beta(stack)[:, 1:]) ** 2))
            difference = np.abs(found.own(stack) - found.predicted[stack]).max()
            yield f"guide.prediction.{scheme}.{stack}", float(difference)
            norms = gradients.outputs[stack][1:]
            yield f"guide.gradients.{scheme}.{stack}", float(norms[-1] / norms[0])


def digest() -> Iterator[tuple[str, float]]:
    """Milliseconds of the digest of 100 MB, the median of nine."""
    data = np.random.default_rng(1).bytes(100_000_000)
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        one = BlockDigest(b"")
        one.update(data)
        one.hexdigest()
        seconds.append(time.perf_counter() - start)
    yield "digest.ms", float(np.median(seconds)) * 1e3


if __name__ == "__main__":
    measures = {"deep": deep, "shallow": shallow, "guide": guide, "digest": digest}
    asked = measures.get(sys.argv[1] if sys.argv[1:] else "")
    if asked is None:
        raise SystemExit(__doc__)
    for name, value in asked():
        print(f"{name:<45}{value:.4g}", flush=True)
