"""Families of Hugging Face at random weights and awkward sizes: the same logits and gradients here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

COMMON: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 19, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 30},
    "opt": {
        "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "ffn_dim": 20, "num_attention_heads": 3,
        "max_position_embeddings": 30, "word_embed_proj_dim": 12,
    },
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "OPT": ("opt", {}),
    "OPT, Post-LN": ("opt", {"do_layer_norm_before": False}),
    "OPT, gelu, untied": ("opt", {"activation_function": "gelu", "tie_word_embeddings": False}),
    "OPT, no final norm": ("opt", {"_remove_final_layer_norm": True}),
    "GPT-2, gelu": ("gpt2", {"activation_function": "gelu"}),
    "GPT-2, untied, inner": (
        "gpt2",
        {"activation_function": "relu", "tie_word_embeddings": False, "n_inner": 17},
    ),
    "GPT-2, scores as they are": ("gpt2", {"activation_function": "relu", "scale_attn_weights": False}),
}
CLASSES = {"gpt2": "GPT2LMHeadModel", "opt": "OPTForCausalLM"}


def theirs(kind: str, **options: Any) -> Any:
    """A model with random weights, norms and biases included."""
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(kind, **{**COMMON[kind], **options})
    model = getattr(transformers, CLASSES[kind])(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_theirs(name: str) -> None:
    """To the rounding of float64: the two sides sum in different orders."""
    kind, options = CASES[name]
    model = theirs(kind, **options)
    ours = ap.load_pretrained(model, dtype="float64")
    ids = np.random.default_rng(1).integers(0, 19, 8).tolist()
    logits = model(torch.tensor([ids[:-1]])).logits[0]
    batch = ap.Batch([ids])
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), rtol=1e-9, atol=1e-11)
    torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).backward()
    ours.backward(batch, training=False)
    wanted = next(p for n, p in model.named_parameters() if n.endswith(("wte.weight", "embed_tokens.weight")))
    np.testing.assert_allclose(ours.gradients["embedding.weight"], wanted.grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("parts", [False, True])
def test_folders(kind: str, parts: bool, tmp_path: Path) -> None:
    activation = {"activation_function": "relu"}
    model = theirs(kind, **activation).float()
    model.save_pretrained(tmp_path, **({"max_shard_size": "3KB"} if parts else {}))
    assert (tmp_path / "model.safetensors.index.json").exists() == parts
    found, wanted = ap.load_pretrained(tmp_path), ap.load_pretrained(model)
    assert found.config == wanted.config
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)


def test_greedy_decoding_is_theirs() -> None:
    model = theirs("opt")
    ours = ap.load_pretrained(model, dtype="float64")
    prompt = [4, 7, 2, 9]
    wanted = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, eos_token_id=18)[0]
    found = ap.generation.greedy(ours, [prompt], max_new_tokens=6, eos=18)[0]
    assert list(prompt) + list(found)[-len(wanted) + len(prompt) :] == wanted.tolist()


def test_what_cannot_be_expressed_is_named(tmp_path: Path) -> None:
    model = theirs("gpt2", activation_function="relu", scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(ValueError, match=r"scores divided by the number of the layer .scale_attn_by_inverse"):
        ap.load_pretrained(model)
    with pytest.raises(ValueError, match="the activation 'tanh'"):
        ap.load_pretrained(theirs("opt", activation_function="tanh"))
    with pytest.raises(ValueError, match="embeddings of another width than the layers"):
        ap.load_pretrained(theirs("opt", word_embed_proj_dim=8))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ValueError, match=r"must hold one of model.safetensors, pytorch_model.bin"):
        ap.load_pretrained(tmp_path)
    torch.save({"shared.weight": torch.ones(3, 2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="is of the kind 't5', which is none of fairseq, gpt2, opt"):
        ap.load_pretrained(tmp_path)


def test_parts_that_are_missing_are_named(tmp_path: Path) -> None:
    theirs("opt").float().save_pretrained(tmp_path, max_shard_size="3KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    first = next(iter(index["weight_map"].values()))
    (tmp_path / first).unlink()
    with pytest.raises(FileNotFoundError, match=first):
        ap.load_pretrained(tmp_path)
    index["weight_map"]["one.more"] = "../elsewhere.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises((ValueError, FileNotFoundError)):
        ap.load_pretrained(tmp_path)
