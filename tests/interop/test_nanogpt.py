"""Checkpoints of nanoGPT: the same logits and gradients here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

from foreign_models import NanoGPT, stirred  # noqa: E402  needs PyTorch

CASES: dict[str, dict[str, Any]] = {
    "biases": {},
    "no biases": {"bias": False},
    "one head": {"n_head": 1, "n_layer": 1},
}
IDS = np.random.default_rng(1).integers(0, 19, 13).tolist()


def theirs(**given: Any) -> NanoGPT:
    torch.manual_seed(3)
    return stirred(NanoGPT(**given))


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_theirs(name: str) -> None:
    """To the rounding of float64: the two sides sum in different orders."""
    model = theirs(**CASES[name])
    ours = ap.load_pretrained(model, dtype="float64")
    logits = model(torch.tensor(IDS[:-1]))
    batch = ap.Batch([IDS])
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), rtol=1e-10, atol=1e-11)
    torch.nn.functional.cross_entropy(logits, torch.tensor(IDS[1:])).backward()
    ours.backward(batch, training=False)
    wanted = model.transformer["h"][0].attn.c_attn.weight.grad.numpy()
    found = [ours.gradients[f"decoder.0.self_attn.{part}.weight"] for part in "qkv"]
    np.testing.assert_allclose(np.concatenate(found), wanted, rtol=1e-9, atol=1e-12)
    assert (ours.config.dropout, ours.config.max_length) == (0.2, 30)


@pytest.mark.parametrize("compiled", [False, True])
def test_checkpoints(compiled: bool, tmp_path: Path) -> None:
    model = theirs(bias=False).float()
    prefix = "_orig_mod." if compiled else ""
    state = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    checkpoint = {
        "model": state,
        "model_args": asdict(model.config),
        "iter_num": 7,
        "optimizer": {"state": {}},
    }
    torch.save(checkpoint, tmp_path / "ckpt.pt")
    found, wanted = ap.load_pretrained(tmp_path / "ckpt.pt"), ap.load_pretrained(model)
    assert found.config == wanted.config
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)
    greedy = ap.generation.greedy(found, [IDS[:4]], max_new_tokens=5)
    assert np.array_equal(greedy[0], ap.generation.greedy(wanted, [IDS[:4]], max_new_tokens=5)[0])


def test_what_is_wrong_is_named() -> None:
    model = theirs()
    state = dict(model.state_dict())
    with pytest.raises(ValueError, match=r"does not say n_head: give settings with it"):
        ap.load_pretrained(state)
    del state["transformer.h.0.ln_1.bias"]
    with pytest.raises(ValueError, match=r"has no tensor 'transformer.h.0.ln_1.bias'"):
        ap.load_pretrained(state, settings={"n_head": 3})
