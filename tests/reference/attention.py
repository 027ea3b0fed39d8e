"""Multi-head scaled dot-product attention over packed sequences.

q = h Wq^T + bq        k = s Wk^T + bk        v = s Wv^T + bv        s = h (self) or the memory (cross)
q, k = Nq(q), Nk(k)            each head [K], or all heads of a row together; then turned by their positions
S = cap(scale q k^T)           per sequence and head; cap(x) = score_cap tanh(x / score_cap), or x
P = softmax(S)                 without keys after the query where causal, and keys W away or farther
c = (P * dropout) v            heads side by side: [M, H K]

Head h of queries reads head h // (H / G) of keys and values; G K columns of k and of v.
a = Ninner(c) Wo^T + bo
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .dropout import NoDropout
from .gradients import Gradients
from .linear import linear_backward, linear_forward
from .norms import norm_backward, norm_forward
from .ragged import positions, slices


def softmax(scores: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _unseen(T: int, S: int, causal: bool, window: int) -> np.ndarray:
    """True where query t may not read key s: [T, S]."""
    t, s = np.arange(T)[:, None], np.arange(S)[None, :]
    return (causal & (s > t)) | ((window > 0) & (abs(t - s) >= window))


def soft_cap(x: np.ndarray, cap: float) -> tuple[np.ndarray, np.ndarray | float]:
    """cap tanh(x / cap) and its derivative; x where cap is 0."""
    if cap == 0:
        return x, 1.0
    t = np.tanh(x / cap)
    return cap * t, 1 - t**2


def _scored(
    products: np.ndarray, K: int, attention: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray | float]:
    """Scores of products of queries and keys, and their derivative."""
    scale = attention["scale"] or 1 / np.sqrt(K)
    scores, slopes = soft_cap(scale * products, attention["score_cap"])
    return scores, scale * slopes


def _frequencies(rotary: Mapping[str, Any], width: int) -> np.ndarray:
    """Radians a position of each pair, low ones divided by Llama 3's factor: [width / 2]."""
    f = (rotary["theta"] or 10000.0) ** (-2.0 * np.arange(width // 2) / width)
    if not rotary["factor"]:
        return f
    low, high = rotary["low_frequency_factor"], rotary["high_frequency_factor"]
    wavelength, length = 2 * np.pi / f, rotary["original_length"]
    share = (length / wavelength - low) / (high - low)
    mean = (1 - share) * f / rotary["factor"] + share * f
    return np.where(
        wavelength < length / high, f, np.where(wavelength > length / low, f / rotary["factor"], mean)
    )


def turn(
    x: np.ndarray, offsets: np.ndarray, K: int, rotary: Mapping[str, Any], back: bool = False
) -> np.ndarray:
    """Heads [M, heads K] turned by the positions of their rows, in planes of two features each."""
    width = rotary["width"] or K
    angles = positions(offsets)[:, None] * _frequencies(rotary, width)
    angles = -angles if back else angles
    result = x.copy()
    for head in range(0, x.shape[1], K):
        for j in range(width // 2):
            a, b = (2 * j, 2 * j + 1) if rotary["interleaved"] else (j, j + width // 2)
            z = (x[:, head + a] + 1j * x[:, head + b]) * np.exp(1j * angles[:, j])
            result[:, head + a], result[:, head + b] = z.real, z.imag
    return result


def _part_norm_forward(
    x: np.ndarray,
    K: int,
    attention: Mapping[str, Any],
    params: Mapping[str, np.ndarray],
    name: str,
    eps: float,
) -> tuple[np.ndarray, Any]:
    """Of queries or keys [M, heads K], a head at a time or a row."""
    rows = x if attention["qk_norm_whole"] else x.reshape(-1, K)
    y, saved = norm_forward(attention["qk_norm"], rows, params, name, eps)
    return y.reshape(x.shape), saved


def _part_norm_backward(
    dy: np.ndarray,
    saved: Any,
    K: int,
    attention: Mapping[str, Any],
    params: Mapping[str, np.ndarray],
    name: str,
    grads: Gradients,
) -> np.ndarray:
    rows = dy if attention["qk_norm_whole"] else dy.reshape(-1, K)
    return norm_backward(attention["qk_norm"], rows, saved, params, name, grads).reshape(dy.shape)


def _columns(head: int, shared: int, K: int) -> tuple[slice, slice]:
    """Of a head of queries, and of the head of keys and values that it shares with others."""
    kv_head = head // shared
    return slice(head * K, (head + 1) * K), slice(kv_head * K, (kv_head + 1) * K)


def attention_forward(
    h: np.ndarray,
    offsets: np.ndarray,
    source: np.ndarray,
    source_offsets: np.ndarray,
    params: Mapping[str, np.ndarray],
    name: str,
    *,
    heads: int,
    attention: Mapping[str, Any],
    rotary: Mapping[str, Any] | None,
    causal: bool,
    window: int,
    norm_inner: str,
    eps: float,
    rate: float,
    dropout: NoDropout,
    stack: str,
    sublayer: int,
) -> tuple[np.ndarray, Any]:
    """a [M, D] of queries from h [M, D] and keys and values from source [S, D], and what backward reads."""
    q = linear_forward(h, params, f"{name}.q")
    k = linear_forward(source, params, f"{name}.k")
    v = linear_forward(source, params, f"{name}.v")
    c = np.zeros_like(q)
    K, kv_heads = q.shape[1] // heads, attention["kv_heads"] or heads
    q, q_norm = _part_norm_forward(q, K, attention, params, f"{name}.norm_q", eps)
    k, k_norm = _part_norm_forward(k, K, attention, params, f"{name}.norm_k", eps)
    if rotary is not None:
        q, k = (turn(x, offsets, K, rotary) for x in (q, k))
    probabilities = {}
    for b, (rows, keys) in enumerate(zip(slices(offsets), slices(source_offsets), strict=True)):
        for head in range(heads):
            cols, kv_cols = _columns(head, heads // kv_heads, K)
            scores, slopes = _scored(q[rows, cols] @ k[keys, kv_cols].T, K, attention)
            scores = np.where(_unseen(*scores.shape, causal, window), -np.inf, scores)
            P = softmax(scores)
            mask = dropout.scores(stack, sublayer, b, head, (rows.start, keys.start), P.shape, rate)
            c[rows, cols] = (P * mask) @ v[keys, kv_cols]
            probabilities[b, head] = P, mask, slopes
    n, inner = norm_forward(norm_inner, c, params, f"{name}.norm_inner", eps)
    a = linear_forward(n, params, f"{name}.out")
    return a, (h, offsets, source, source_offsets, q, k, v, probabilities, n, inner, q_norm, k_norm)


def attention_backward(
    da: np.ndarray,
    saved: Any,
    params: Mapping[str, np.ndarray],
    name: str,
    *,
    heads: int,
    attention: Mapping[str, Any],
    rotary: Mapping[str, Any] | None,
    norm_inner: str,
    grads: Gradients,
) -> tuple[np.ndarray, np.ndarray]:
    """dh [M, D] and dsource [S, D] of da [M, D]; for self-attention the two are to be added."""
    h, offsets, source, source_offsets, q, k, v, probabilities, n, inner, q_norm, k_norm = saved
    K, kv_heads = q.shape[1] // heads, attention["kv_heads"] or heads
    dn = linear_backward(da, n, params, f"{name}.out", grads)
    dc = norm_backward(norm_inner, dn, inner, params, f"{name}.norm_inner", grads)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for b, (rows, keys) in enumerate(zip(slices(offsets), slices(source_offsets), strict=True)):
        for head in range(heads):
            cols, kv_cols = _columns(head, heads // kv_heads, K)
            P, mask, slopes = probabilities[b, head]
            dv[keys, kv_cols] += (P * mask).T @ dc[rows, cols]
            dP = dc[rows, cols] @ v[keys, kv_cols].T * mask
            dscores = P * (dP - (dP * P).sum(axis=1, keepdims=True)) * slopes
            dq[rows, cols] = dscores @ k[keys, kv_cols]
            dk[keys, kv_cols] += dscores.T @ q[rows, cols]
    if rotary is not None:
        dq, dk = (turn(x, offsets, K, rotary, back=True) for x in (dq, dk))
    dq = _part_norm_backward(dq, q_norm, K, attention, params, f"{name}.norm_q", grads)
    dk = _part_norm_backward(dk, k_norm, K, attention, params, f"{name}.norm_k", grads)
    dh = linear_backward(dq, h, params, f"{name}.q", grads)
    dsource = linear_backward(dk, source, params, f"{name}.k", grads)
    dsource = dsource + linear_backward(dv, source, params, f"{name}.v", grads)
    return dh, dsource
