"""Models with fairseq's names, of several versions, and Transformer-Clinic's: the same logits here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

from fairseq_model import Model  # noqa: E402  needs PyTorch

CASES: dict[str, dict[str, Any]] = {
    "Post-LN": {},
    "Pre-LN": {"pre": True},
    "old names": {"version": "old"},
    "old names, Pre-LN, nothing shared": {"version": "old", "pre": True, "share": "none"},
    "source and target shared": {"share": "inputs"},
    "target and output shared": {"share": "decoder"},
    "nothing shared": {"share": "none"},
    "learned positions": {"learned": True},
    "embeddings as they are": {"scaled": False},
    "an odd width": {"d_model": 15},
    "a norm on embeddings": {"normed": True, "learned": True, "scaled": False},
    "a norm on the embeddings of one stack": {"normed": "decoder", "pre": True},
    "Admin of Transformer-Clinic": {"version": "clinic", "extra": "omega"},
    "omegas of admin-torch": {"extra": "admin_torch"},
    "omegas of admin-torch, trained": {"extra": "admin_torch, trained", "share": "none"},
    "ReZero of Transformer-Clinic": {"version": "clinic", "extra": "rezero"},
    "ReZero with norms": {"version": "clinic", "extra": "rezero_post_ln"},
    "a language model": {"encoder": False},
    "a language model, Pre-LN, old names": {"encoder": False, "pre": True, "version": "old", "share": "none"},
}


def theirs(**given: Any) -> Model:
    torch.manual_seed(3)
    return Model(**given).double().eval()


def ids(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, 17, count).tolist()


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_theirs(name: str) -> None:
    """To the rounding of float64: the two sides sum in different orders."""
    model = theirs(**CASES[name])
    settings = {**model.settings, "dropout": 0.0, "attention_dropout": 0.0}
    ours = ap.load_pretrained(model, settings=settings, dtype="float64")
    source, target = ids(1, 7), ids(2, 5)
    encoder = hasattr(model, "encoder")
    batch = ap.Batch([source], [target]) if encoder else ap.Batch([target])
    inputs, labels = torch.tensor(target[:-1]), torch.tensor(target[1:])
    logits = model(torch.tensor(source) if encoder else None, inputs)
    found = ours.forward(batch)
    np.testing.assert_allclose(found, logits.detach().numpy(), rtol=1e-10, atol=1e-12)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    ours.backward(batch)
    gradient = model.decoder.layers[0].fc2.weight.grad.numpy()
    np.testing.assert_allclose(
        ours.gradients["decoder.0.feed_forward.fc2.weight"], gradient, rtol=1e-9, atol=1e-13
    )


@pytest.mark.parametrize("how", ["args", "cfg", "safetensors"])
def test_files(how: str, tmp_path: Path) -> None:
    model = theirs().float()
    state, settings = model.state_dict(), {}
    if how == "args":
        torch.save({"args": argparse.Namespace(**model.settings), "model": state}, tmp_path / "model.pt")
    elif how == "cfg":
        torch.save({"cfg": {"model": model.settings}, "model": state}, tmp_path / "model.pt")
    else:
        from safetensors.torch import save_file

        save_file({name: value.clone() for name, value in state.items()}, tmp_path / "model.pt")
        settings = model.settings
    found = ap.load_pretrained(tmp_path / "model.pt", settings=settings)
    wanted = ap.load_pretrained(model, settings=model.settings)
    assert found.config == wanted.config
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)
    assert found.config.dropout == 0.2


def test_half_precision_is_widened() -> None:
    model = theirs()
    wanted = model.state_dict()["decoder.layers.1.fc1.weight"].clone()
    for dtype in (torch.float16, torch.bfloat16):
        found = ap.load_pretrained(theirs().to(dtype), settings=model.settings)
        values = found.parameters["decoder.1.feed_forward.fc1.weight"]
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, wanted.to(dtype).float().numpy())


def test_admins_omegas_are_profiled_ones() -> None:
    model = theirs(version="clinic", extra="omega")
    found = ap.load_pretrained(model, settings=model.settings)
    assert found.config.scheme_name == "admin"
    wanted = model.encoder.layers[1].fc_ratio_change.detach().numpy()
    np.testing.assert_allclose(found.omega["encoder"][3], wanted, rtol=1e-6)


def test_analyses_work_on_it() -> None:
    model = theirs(pre=True)
    found = ap.load_pretrained(model, settings=model.settings)
    batch = ap.Batch([ids(1, 7), ids(3, 4)], [ids(2, 5), ids(4, 6)])
    assert len(ap.analysis.dependency(found, batch).sublayers["decoder"]) == 6
    best = ap.generation.beam_search(found, [ids(1, 7)], beam=2, bos=2, eos=2, max_length=5)[0][0]
    assert 1 <= len(best.ids) <= 7  # with the first and the last


# What is wrong, by name


def tensors() -> tuple[dict[str, Any], dict[str, Any]]:
    model = theirs().float()
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}, model.settings


def without(name: str) -> Any:
    def change(state: dict[str, Any]) -> None:
        del state[name]

    return change


def changed(name: str, value: Any) -> Any:
    def change(state: dict[str, Any]) -> None:
        state[name] = value

    return change


FC1 = "encoder.layers.1.fc1.weight"
WRONG = {
    "a missing tensor": (without(FC1), rf"the mapping has no tensor '{FC1}'"),
    "a layer without a number": (
        lambda state: [state.pop(name) for name in list(state) if name.startswith("encoder.layers.0.")],
        "the mapping has no layer 0, but layer 1",
    ),
    "a foreign tensor": (
        changed("encoder.pooler.weight", np.ones(3)),
        "no part of the model takes: 'encoder.po",
    ),
    "no first map of a stack": (
        without("decoder.layers.0.fc1.weight"),
        "the mapping has no tensor 'decoder.layers.0.fc1.weight'",
    ),
    "another shape": (
        changed(FC1, np.ones((20, 13))),
        rf"'{FC1}' must be of shape \[20, 12\], got \[20, 13\]",
    ),
    "NaN": (changed(FC1, np.full((20, 12), np.nan)), rf"'{FC1}' holds numbers that are not finite"),
    "integers": (changed(FC1, np.ones((20, 12), int)), rf"'{FC1}' must hold real numbers, got int64"),
    "two vocabularies": (
        changed("decoder.embed_tokens.weight", np.ones((18, 12))),
        "cannot be expressed: both stacks must have the same sizes",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_tensors_are_named(what: str) -> None:
    change, words = WRONG[what]
    state, settings = tensors()
    change(state)
    with pytest.raises(ValueError, match=words):
        ap.load_pretrained(state, settings=settings)


def test_wrong_settings_are_named() -> None:
    state, settings = tensors()
    with pytest.raises(
        ValueError, match=r"does not say how many heads .* give settings with encoder_attention_h"
    ):
        ap.load_pretrained(state)
    with pytest.raises(ValueError, match=r"cannot be expressed: quantisation .quant_noise_pq=0.1"):
        ap.load_pretrained(state, settings={**settings, "quant_noise_pq": 0.1})
    with pytest.raises(ValueError, match="cannot be expressed: the activation 'mish'"):
        ap.load_pretrained(state, settings={**settings, "activation_fn": "mish"})
    with pytest.raises(ValueError, match="stacks of different heads"):
        ap.load_pretrained(state, settings={**settings, "encoder_attention_heads": 2})


def test_words_of_activations_are_fairseqs() -> None:
    state, settings = tensors()
    for theirs_word, ours in (("gelu", "gelu"), ("gelu_accurate", "gelu_tanh"), ("swish", "silu")):
        found = ap.load_pretrained(state, settings={**settings, "activation_fn": theirs_word})
        assert found.config.activation == ours


def test_wrong_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="source must be a path, a mapping of tensors or a module"):
        ap.load_pretrained(3)
    with pytest.raises(ValueError, match="the mapping is of no format that is known"):
        ap.load_pretrained({"blocks.0.w": np.ones((2, 6))})
    own = ap.Transformer(ap.TransformerConfig(vocab_size=5, encoder_layers=1, d_model=8, heads=2, d_ff=8))
    own.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"is a model of admin-py itself: admin_py.load opens it"):
        ap.load_pretrained(tmp_path / "own.safetensors")
    with pytest.raises(TypeError, match="'a' must be an array or a tensor, got one of type int"):
        ap.load_pretrained({"a": 1})
    with pytest.raises(ValueError, match="format must be one of"):
        ap.load_pretrained({}, "gpt5")
    with pytest.raises(FileNotFoundError):
        ap.load_pretrained(tmp_path / "nothing.pt")
    cut = tmp_path / "cut.pt"
    torch.save({"model": theirs().state_dict()}, cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is cut off or no checkpoint of PyTorch"):
        ap.load_pretrained(cut)


def test_a_pickle_needs_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"model": theirs().state_dict()}, tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"torch is not installed: pip install admin-py.pretrained."
    ):
        ap.load_pretrained(tmp_path / "model.pt")


class Code:
    """What a pickle would run where it is read without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    torch.save({"model": theirs().state_dict(), "args": Code(tmp_path / "ran")}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"but asks for getattr; nothing of it was run"):
        ap.load_pretrained(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()
