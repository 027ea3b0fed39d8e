"""The names and shapes of the parameters, from the configuration."""

from __future__ import annotations

from typing import Any

import numpy as np

STACKS = ("encoder", "decoder")


def kinds(stack: dict[str, Any]) -> list[str]:
    """Sub-layers of one layer."""
    return ["self_attn", "cross_attn", "feed_forward"] if stack["cross"] else ["self_attn", "feed_forward"]


def num_kv_heads(config: dict[str, Any]) -> int:
    """G."""
    return int(config["attention"]["kv_heads"] or config["heads"])


def attention_widths(config: dict[str, Any]) -> tuple[int, int]:
    """H K and G K: features of all heads of queries, and of keys."""
    K = int(config["attention"]["head_width"] or config["d_model"] // config["heads"])
    return config["heads"] * K, num_kv_heads(config) * K


def num_sublayers(stack: dict[str, Any]) -> int:
    """R."""
    return int(stack["layers"]) * len(kinds(stack))


def sublayer_name(stack_name: str, stack: dict[str, Any], i: int) -> str:
    """Such as ``encoder.3.self_attn`` of sub-layer i (from 0)."""
    per_layer = len(kinds(stack))
    return f"{stack_name}.{i // per_layer}.{kinds(stack)[i % per_layer]}"


def scale_name(which: str, name: str, scale: dict[str, Any]) -> str:
    """Name of omega or alpha of the sub-layer ``name``; one for the layer where it is shared."""
    return f"{name.rsplit('.', 1)[0]}.{which}" if scale["shared"] else f"{name}.{which}"


def embedding_names(config: dict[str, Any]) -> dict[str, str]:
    """Which matrix the encoder, the decoder and the output use."""
    share = config["share_embeddings"]
    if not config["decoder"]["layers"]:
        return {"encoder": "embedding.weight"}
    if not config["encoder"]["layers"]:
        tied = share in ("all", "decoder")
        return {"decoder": "embedding.weight", "output": "embedding.weight" if tied else "output.weight"}
    own = {"encoder": "encoder.embedding.weight", "decoder": "decoder.embedding.weight"}
    if share == "none":
        return {**own, "output": "output.weight"}
    if share == "decoder":
        return {**own, "output": "decoder.embedding.weight"}
    one = {"encoder": "embedding.weight", "decoder": "embedding.weight"}
    return {**one, "output": "embedding.weight" if share == "all" else "output.weight"}


_IN, _OUT, _FEED_FORWARD = {"all", "qkv", "attention"}, {"all", "attention"}, {"all", "feed_forward"}
BIASED = {"q": _IN, "k": _IN, "v": _IN, "out": _OUT} | dict.fromkeys(("fc1", "gate", "fc2"), _FEED_FORWARD)
"""Linear map -> the values of bias with which it has one."""


def _norm_shapes(kind: str, name: str, width: int) -> dict[str, tuple[int, ...]]:
    if kind == "none":
        return {}
    shapes: dict[str, tuple[int, ...]] = {f"{name}.gamma": (width,)}
    if kind != "rms":
        shapes[f"{name}.nu"] = (width,)
    if kind == "dyt":
        shapes[f"{name}.scale"] = (1,)
    return shapes


def _sublayer_shapes(config: dict[str, Any], stack_name: str, i: int) -> dict[str, tuple[int, ...]]:
    stack, D, F = config[stack_name], config["d_model"], config["d_ff"]
    sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
    feed_forward = name.endswith("feed_forward")
    inner, keys = attention_widths(config)
    matrices = (
        {"fc1": (F, D), "fc2": (D, F)}
        if feed_forward
        else {"q": (inner, D), "k": (keys, D), "v": (keys, D), "out": (D, inner)}
    )
    shapes: dict[str, tuple[int, ...]] = {}
    if feed_forward and config["gated"]:
        matrices = {"fc1": (F, D), "gate": (F, D), "fc2": (D, F)}
    for matrix, shape in matrices.items():
        shapes[f"{name}.{matrix}.weight"] = shape
        if config["bias"] in BIASED[matrix]:
            shapes[f"{name}.{matrix}.bias"] = shape[:1]
    if not feed_forward:
        whole, K = config["attention"]["qk_norm_whole"], inner // config["heads"]
        for which, width in (("q", inner), ("k", keys)):
            kind = config["attention"]["qk_norm"]
            shapes |= _norm_shapes(kind, f"{name}.norm_{which}", width if whole else K)
    for place in ("norm_pre", "norm_branch", "norm_post"):
        shapes |= _norm_shapes(sub[place], f"{name}.{place}", D)
    shapes |= _norm_shapes(sub["norm_inner"], f"{name}.norm_inner", F if feed_forward else inner)
    for which in ("omega", "alpha"):
        if sub[which]["kind"] != "none":
            shapes[scale_name(which, name, sub[which])] = (D,) if sub[which]["kind"] == "vector" else (1,)
    return shapes


def parameter_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every parameter of the model and its shape."""
    D, V = config["d_model"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {}
    if V:
        shapes |= dict.fromkeys(embedding_names(config).values(), (V, D))
    if config["output_bias"]:
        shapes["output.bias"] = (V,)
    for stack_name in STACKS:
        stack = config[stack_name]
        if not stack["layers"]:
            continue
        if V and config["positions"] == "learned":
            shapes[f"{stack_name}.positions.weight"] = (config["max_length"], D)
        shapes |= _norm_shapes(stack["norm_embedding"], f"{stack_name}.norm_embedding", D)
        if stack["input_scale"] != "none":
            shapes[f"{stack_name}.input_scale"] = (D,) if stack["input_scale"] == "vector" else (1,)
        for i in range(num_sublayers(stack)):
            shapes |= _sublayer_shapes(config, stack_name, i)
        shapes |= _norm_shapes(stack["norm_final"], f"{stack_name}.norm_final", D)
    return shapes


def untrained_names(config: dict[str, Any]) -> set[str]:
    """Fixed omegas and alphas: parameters that no optimiser moves."""
    names = set()
    for stack_name in STACKS:
        stack = config[stack_name]
        for i in range(num_sublayers(stack)):
            name = sublayer_name(stack_name, stack, i)
            for which in ("omega", "alpha"):
                scale = stack["sublayers"][i][which]
                if scale["kind"] != "none" and not scale["trained"]:
                    names.add(scale_name(which, name, scale))
    return names


def draw_parameters(config: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Values in general position: no gain is 1 and no bias 0, so that nothing can hide behind them."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in parameter_shapes(config).items():
        last = name.rsplit(".", 1)[-1]
        z = rng.standard_normal(shape)
        if last in ("gamma", "omega", "input_scale"):
            params[name] = 1.0 + 0.3 * z
        elif last == "alpha":
            params[name] = 0.7 + 0.3 * z
        elif last == "scale":
            params[name] = 0.5 + 0.1 * z
        elif last in ("bias", "nu"):
            params[name] = 0.2 * z
        else:
            params[name] = z / np.sqrt(shape[1])
    return params
