"""Logits and every gradient of language models of Hugging Face, on ragged batches, in both precisions."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import admin_py as ap
from admin_py.interop.pieces import Piece, copy_parameters
from admin_py.interop.pretrained import FORMATS
from admin_py.interop.source import source_of

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hugging_face_models import CLASSES, theirs, without_float32  # noqa: E402  needs both

LENGTHS = (13, 2, 24, 7)

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
"""Of the largest element."""

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mistral": [{"sliding_window": 5}],
    "qwen2": [{"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}],
    "gpt_neox": [{"use_parallel_residual": False, "tie_word_embeddings": True}],
    "qwen3": [{"num_attention_heads": 6, "num_key_value_heads": 2, "attention_bias": True}],
    "olmo2": [{"num_attention_heads": 6, "num_key_value_heads": 2}],
    "gemma2": [{"num_hidden_layers": 3, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}],
}
"""Beside the plain one of each kind."""

CASES = [(kind, {}) for kind in CLASSES] + [(kind, one) for kind in VARIANTS for one in VARIANTS[kind]]


def their_pass(model: Any, texts: list[list[int]]) -> tuple[np.ndarray, dict[str, Any]]:
    """Logits of all texts, one below the other, and the gradients of their mean loss."""
    logits = torch.cat([model(torch.tensor([ids[:-1]])).logits[0] for ids in texts])
    labels = torch.tensor([label for ids in texts for label in ids[1:]])
    torch.nn.functional.cross_entropy(logits, labels).backward()
    gradients = {name: one.grad for name, one in model.named_parameters()}
    return logits.detach().numpy(), gradients


def as_ours(kind: str, ours: ap.Transformer, gradients: dict[str, Any]) -> dict[str, np.ndarray]:
    """Their gradients by our names."""
    source = source_of("gradients", gradients)
    places = FORMATS[kind].places(source, ours.config)

    def place(name: str) -> Any:
        found = places(name)
        return found._replace(plus=0.0) if isinstance(found, Piece) else found

    holder = ap.Transformer(ours.config, dtype=ours.dtype)
    copy_parameters(holder, source, place)
    source.check_all_taken()
    return {name: value.copy() for name, value in holder.parameters.items()}


def merged(kind: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """GPT-J has one norm where we have two: its gradient is their sum."""
    if kind == "gptj":
        for name in [one for one in found if ".self_attn.norm_pre" in one]:
            other = name.replace("self_attn", "feed_forward")
            found[name] = found[other] = found[name] + found[other]
    return found


def deviation(got: np.ndarray, wanted: np.ndarray) -> float:
    """Of the largest element, or of .01: keys without angles and norms have biases whose gradient is 0."""
    return float(np.abs(got - wanted).max() / max(np.abs(wanted).max(), 0.01))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=[f"{kind} {options}" for kind, options in CASES])
def test_logits_and_every_gradient_are_theirs(kind: str, options: dict[str, Any], dtype: str) -> None:
    rng = np.random.default_rng(7)
    texts = [rng.integers(3, 19, length).tolist() for length in LENGTHS]
    with without_float32() if dtype == "float64" else nullcontext():
        model = theirs(kind, **options).to(getattr(torch, dtype))
        logits, gradients = their_pass(model, texts)
    ours = ap.load_pretrained(model, dtype=dtype)
    batch = ap.Batch(texts)
    worst = {"logits": deviation(ours.forward(batch), logits)}
    ours.backward(batch, training=False)
    wanted = as_ours(kind, ours, gradients)
    found = merged(kind, {name: value.astype(np.float64) for name, value in ours.gradients.items()})
    worst |= {name: deviation(found[name], wanted[name]) for name in wanted}
    where = max(worst, key=lambda name: worst[name])
    print(f"{kind} {dtype}: {worst[where]:.2g} ({where}), logits {worst['logits']:.2g}")
    assert worst[where] < TOLERANCES[dtype], where
