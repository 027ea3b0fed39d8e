"""Checkpoints of JoeyNMT, with the configuration beside them: the same logits and gradients here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

from foreign_models import Joey, stirred  # noqa: E402  needs PyTorch

STACK = {
    "hidden_size": 12,
    "num_heads": 3,
    "ff_size": 20,
    "num_layers": 2,
    "type": "transformer",
    "dropout": 0.3,
}


def told(layer_norm: str | None = "post", scale: bool = True, **more: Any) -> dict[str, Any]:
    """The part ``model`` of a configuration."""
    stack = {**STACK, "embeddings": {"embedding_dim": 12, "scale": scale}}
    if layer_norm is not None:
        stack["layer_norm"] = layer_norm
    stack |= {name: more.pop(name) for name in ("activation",) if name in more}
    both = {"encoder": copy.deepcopy(stack), "decoder": copy.deepcopy(stack) | {"num_layers": 1}}
    for name, alpha in more.pop("alpha", {}).items():
        both[name]["alpha"] = alpha
    return {**both, **more}


CASES = {
    "Post-LN": told(),
    "Pre-LN": told("pre", tied_embeddings=True, tied_softmax=True),
    "Pre-LN, source and target one": told("pre", tied_embeddings=True, scale=False),
    "nothing said of norms": told(None, tied_softmax=True, activation="gelu"),
    "Post-LN, DeepNet's factors": told("post", alpha={"encoder": 1.3, "decoder": 1.7}, activation="swish"),
    "Pre-LN with a factor": told("pre", alpha={"encoder": 0.8}),
}


def theirs(name: str) -> Joey:
    torch.manual_seed(3)
    return stirred(Joey(CASES[name]))


def ids(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(4, 19, count).tolist()


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_theirs(name: str) -> None:
    """To the rounding of float64: the two sides sum in different orders."""
    model, source, target = theirs(name), ids(1, 9), ids(2, 6)
    ours = ap.load_pretrained(model, settings=CASES[name], dtype="float64")
    logits = model(torch.tensor(source), torch.tensor(target[:-1]))
    batch = ap.Batch([source], [target])
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), rtol=1e-10, atol=1e-11)
    torch.nn.functional.cross_entropy(logits, torch.tensor(target[1:])).backward()
    ours.backward(batch, training=False)
    wanted = model.encoder.layers[0].feed_forward.pwff_layer[0].weight.grad.numpy()
    found = ours.gradients["encoder.0.feed_forward.fc1.weight"]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_positions_that_are_not_kept_are_the_same() -> None:
    """Theirs are rounded to float32."""
    model = theirs("Post-LN").float()
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("pe.pe")}
    found = ap.load_pretrained(state, settings=CASES["Post-LN"])
    wanted = ap.load_pretrained(model, settings=CASES["Post-LN"])
    for stack in ("encoder", "decoder"):
        name = f"{stack}.positions.weight"
        np.testing.assert_allclose(found.parameters[name][:40], wanted.parameters[name], atol=3e-6)


def test_the_configuration_beside_a_checkpoint_is_read(tmp_path: Path) -> None:
    model = theirs("Pre-LN").float()
    torch.save({"model_state": model.state_dict(), "stats_state": {"steps": 3}}, tmp_path / "3.ckpt")
    with pytest.raises(ValueError, match=r"does not say encoder: give settings with it"):
        ap.load_pretrained(tmp_path / "3.ckpt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "x", "model": CASES["Pre-LN"]}))
    found = ap.load_pretrained(tmp_path / "3.ckpt")
    wanted = ap.load_pretrained(model, settings=CASES["Pre-LN"])
    assert found.config == wanted.config
    assert (found.config.norm_eps, found.config.dropout) == (1e-6, 0.3)
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)
    (tmp_path / "config.yaml").write_text("model: [")
    with pytest.raises(ValueError, match=r"config.yaml' is no YAML"):
        ap.load_pretrained(tmp_path / "3.ckpt")
    (tmp_path / "config.yaml").write_text("data: 1")
    with pytest.raises(ValueError, match=r"must have an entry 'model'"):
        ap.load_pretrained(tmp_path / "3.ckpt")


def test_what_is_wrong_is_named() -> None:
    model = theirs("Post-LN")
    with pytest.raises(TypeError, match=r"'encoder' must be a mapping, as in JoeyNMT's config.yaml"):
        ap.load_pretrained(model, settings={"encoder": 3, "decoder": {}})
    two = told()
    two["decoder"]["num_heads"] = 2
    with pytest.raises(ValueError, match=r"num_heads of the stacks differ, \[3, 2\]"):
        ap.load_pretrained(model, settings=two)
    model.trg_embed.lut = torch.nn.Embedding(20, 12)
    with pytest.raises(
        ValueError, match=r"'trg_embed.lut.weight' of another size than 'src_embed.lut.weight'"
    ):
        ap.load_pretrained(model, settings=told())
