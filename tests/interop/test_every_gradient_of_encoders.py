"""Outputs and every gradient of translators and encoders of Hugging Face, in both precisions.

An encoder has no loss of its own: a decoder reads it, in the core and the same one as a module of PyTorch.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from proofs.deviation import worst_gradient

import admin_py as ap
from admin_py.interop.pieces import Piece
from admin_py.interop.pretrained import FORMATS, LeftOut
from admin_py.interop.source import source_of

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hugging_face_models import ENCODERS, TRANSLATORS, theirs, without_float32  # noqa: E402  needs both

NEAR = {"float32": 1e-5, "float64": 1e-10}
"""Of the largest element."""


def check(
    kind: str,
    config: ap.TransformerConfig,
    got: dict[str, np.ndarray],
    gradients: dict[str, Any],
    near: float,
) -> float:
    """The worst deviation of any parameter that is one there, too."""
    source = source_of("gradients", {name: one for name, one in gradients.items() if one is not None})
    source.settings = {}
    place = FORMATS[kind].places(source, config)
    wanted = {}
    for name, found in got.items():
        piece = place(name) if name != "output.bias" else None  # a buffer there
        if isinstance(piece, Piece) and piece.name in source:
            wanted[name] = source.take(piece.name)[piece.skip :].reshape(found.shape)
    assert len(wanted) >= 16, "the places were found"
    worst, where = worst_gradient(got, wanted)
    assert worst < near, where
    return worst


def _logits(model: Any, source: list[int], target: list[int]) -> Any:
    read = {"input_ids": torch.tensor([source]), "decoder_input_ids": torch.tensor([target[:-1]])}
    return model(**read, use_cache=False).logits[0]  # with it FSMT reads one token at a time


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", TRANSLATORS)
def test_translators(kind: str, dtype: str) -> None:
    rng = np.random.default_rng(7)
    sources, targets = (
        [rng.integers(3, 19, n).tolist() for n in counts] for counts in ((11, 2, 7), (8, 5, 9))
    )
    with without_float32() if dtype == "float64" else nullcontext():
        model = theirs(kind).to(getattr(torch, dtype))
        logits = torch.cat([_logits(model, *pair) for pair in zip(sources, targets, strict=True)])
        labels = torch.tensor([label for ids in targets for label in ids[1:]])
        torch.nn.functional.cross_entropy(logits, labels).backward()
    ours = ap.load_pretrained(model, dtype=dtype)
    batch, near = ap.Batch(sources, targets), NEAR[dtype]
    found = ours.forward(batch)
    apart = float(np.abs(found - logits.detach().numpy()).max() / np.abs(found).max())
    ours.backward(batch, training=False)
    gradients = {name: one.grad for name, one in model.named_parameters()}
    worst = check(kind, ours.config, dict(ours.gradients), gradients, near)
    print(f"{kind} {dtype}: logits {apart:.2g}, gradients {worst:.2g}")
    assert apart < near


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_below_a_decoder(kind: str, dtype: str) -> None:
    model = theirs(kind).to(getattr(torch, dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        read = ap.load_pretrained(model, dtype=dtype)
    config = read.config.replace(
        decoder_layers=1, embedding_norm=("layer", "none"), share_embeddings="none", dropout=0.0
    )
    ours = ap.Transformer(config, seed=3, dtype=dtype)
    for name, value in read.parameters.items():
        ours.parameters[name if name.startswith("encoder.") else f"encoder.{name}"][...] = value
    module = ap.interop.torch.module(ours).eval()
    module.encoder.forward = lambda ids, mask, shared: model(ids).last_hidden_state
    rng = np.random.default_rng(7)
    source, target = rng.integers(5, 19, 11).tolist(), rng.integers(5, 19, 8).tolist()
    logits = module(torch.tensor([source]), torch.tensor([target[:-1]]))[0]
    torch.nn.functional.cross_entropy(logits, torch.tensor(target[1:])).backward()
    batch = ap.Batch([source], [target])
    apart = float(np.abs(ours.forward(batch) - logits.detach().numpy()).max() / logits.detach().abs().max())
    ours.backward(batch, training=False)
    gradients = {name: one.grad for name, one in model.named_parameters()}
    own = {
        name.replace("encoder.embedding.", "embedding."): value
        for name, value in ours.gradients.items()
        if name.startswith("encoder.")
    }
    worst = check(kind, read.config, own, gradients, NEAR[dtype])
    print(f"{kind} {dtype}: logits {apart:.2g}, gradients {worst:.2g}")
    assert apart < NEAR[dtype]
