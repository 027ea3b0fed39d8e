"""How much work a training step is: useful FLOPs, parameters, and the bytes that have to move."""

from __future__ import annotations

from benchmarks.workload import Pairs, Workload

BYTES = 4
"""Of a float32."""


def useful_flops(workload: Workload, batch: Pairs) -> float:
    """Of one forward and backward pass: three times the forward pass's matrix products.

    Real tokens only; attention whole in the encoder and across, half where it is causal. A product
    [m, k] x [k, n] is 2 m k n. What is recomputed, padding, and everything that is no matrix product do not
    count.
    """
    d, f = workload.d_model, workload.d_ff
    s, t = batch.source_lengths.astype(float), batch.target_lengths.astype(float)
    source, target = s.sum(), t.sum()
    encoder = 2 * source * (4 * d * d + 2 * d * f) + 4 * d * (s * s).sum()
    decoder = 2 * target * (4 * d * d + 2 * d * f) + 4 * d * (t * t).sum() / 2
    if workload.encoder_layers:
        decoder += 2 * target * 2 * d * d + 2 * source * 2 * d * d + 4 * d * (s * t).sum()
    logits = 2 * target * d * workload.vocab_size
    return 3.0 * (workload.encoder_layers * encoder + workload.decoder_layers * decoder + logits)


def num_weights(workload: Workload) -> int:
    """Elements of the weight matrices; embeddings are one matrix."""
    d, f = workload.d_model, workload.d_ff
    encoder = 4 * d * d + 2 * d * f
    decoder = (8 if workload.encoder_layers else 4) * d * d + 2 * d * f
    layers = workload.encoder_layers * encoder + workload.decoder_layers * decoder
    return layers + workload.vocab_size * d


def compulsory_bytes(workload: Workload, batch: Pairs) -> float:
    """Bytes that a step moves to and from memory at least: an estimate, for the roofline.

    Of every weight: read forward, read backward, gradient written; then Adam reads weight, gradient and two
    moments and writes weight and moments, 10 passes. Of every token what the backward pass needs, written
    once and read once: of an attention its q, k, v, heads' output and residual sum, of a feed-forward its
    hidden layer and residual sum. Everything else is taken to stay in caches, the logits too. (Where a whole
    step fits into caches, as the smallest workload's may, even less has to move.)
    """
    d, f = workload.d_model, workload.d_ff
    source, target = float(batch.source_lengths.sum()), float(batch.target_lengths.sum())
    encoder = source * (5 * d + f + d)
    decoder = target * (5 * d + f + d)
    if workload.encoder_layers:
        decoder += target * 3 * d + source * 2 * d
    saved = workload.encoder_layers * encoder + workload.decoder_layers * decoder
    return BYTES * (10.0 * num_weights(workload) + 2.0 * saved)
