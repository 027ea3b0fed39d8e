"""Families of Hugging Face at random weights and awkward sizes: the same logits and gradients here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hugging_face_models import CLASSES, TRANSLATORS, theirs  # noqa: E402  needs both

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "OPT": ("opt", {}),
    "OPT, Post-LN": ("opt", {"do_layer_norm_before": False}),
    "OPT, gelu, untied": ("opt", {"activation_function": "gelu", "tie_word_embeddings": False}),
    "OPT, no final norm": ("opt", {"_remove_final_layer_norm": True}),
    "OPT, no biases": ("opt", {"enable_bias": False}),
    "Galactica": (
        "opt",
        {"enable_bias": False, "layer_norm_elementwise_affine": False, "activation_function": "gelu"},
    ),
    "OPT, plain norms, none at the end": (
        "opt",
        {"layer_norm_elementwise_affine": False, "_remove_final_layer_norm": True},
    ),
    "GPT-2": ("gpt2", {}),
    "Llama": ("llama", {}),
    "Llama, tied, all heads, biases": (
        "llama",
        {"num_key_value_heads": 3, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "Llama, wide heads": ("llama", {"head_dim": 6, "rope_theta": 500.0, "hidden_act": "gelu"}),
    "Llama 3": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 100.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8,
            },
        },
    ),
    "Mistral": ("mistral", {"sliding_window": 5}),
    "Mistral, no window": ("mistral", {"sliding_window": None, "num_key_value_heads": 3}),
    "Qwen 2": ("qwen2", {"tie_word_embeddings": True}),
    "Qwen 2, windows above": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
    ),
    "Qwen 3, windows by name": (
        "qwen3",
        {
            "use_sliding_window": True,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "Gemma": ("gemma", {}),
    "Gemma, untied, biases, silu": (
        "gemma",
        {"tie_word_embeddings": False, "attention_bias": True, "hidden_act": "silu"},
    ),
    "Gemma 2": ("gemma2", {}),
    "Gemma 2, one window, no caps, biases": (
        "gemma2",
        {
            "layer_types": ["sliding_attention", "sliding_attention"],
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "attention_bias": True,
            "num_key_value_heads": 3,
            "query_pre_attn_scalar": 7,
        },
    ),
    "Qwen 3": ("qwen3", {}),
    "Qwen 3, tied, biases": (
        "qwen3",
        {"tie_word_embeddings": True, "attention_bias": True, "num_attention_heads": 6, "head_dim": 4},
    ),
    "OLMo 2": ("olmo2", {}),
    "OLMo 2, all heads, tied": ("olmo2", {"num_key_value_heads": 3, "tie_word_embeddings": True}),
    "GPT-NeoX": ("gpt_neox", {}),
    "GPT-NeoX, one after the other, tied": (
        "gpt_neox",
        {
            "use_parallel_residual": False,
            "tie_word_embeddings": True,
            "hidden_act": "gelu_new",
            "rotary_pct": 1.0,
            "rotary_emb_base": 200,
        },
    ),
    "GPT-NeoX, wide heads, no biases of attention": (
        "gpt_neox",
        {"num_attention_heads": 1, "attention_bias": False},
    ),
    "GPT-J": ("gptj", {}),
    "GPT-J, tied, relu": (
        "gptj",
        {"tie_word_embeddings": True, "activation_function": "relu", "rotary_dim": 4, "n_inner": 17},
    ),
    "GPT-2, gelu": ("gpt2", {"activation_function": "gelu"}),
    "GPT-2, untied, inner": (
        "gpt2",
        {"activation_function": "relu", "tie_word_embeddings": False, "n_inner": 17},
    ),
    "GPT-2, scores as they are": ("gpt2", {"activation_function": "relu", "scale_attn_weights": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_theirs(name: str) -> None:
    """To the rounding of float64, since the two sides sum in different orders. Where there are RMSNorm and
    rotary positions, to that of float32: theirs are computed in it whatever the model's type.
    """
    kind, options = CASES[name]
    model = theirs(kind, **options)
    ours = ap.load_pretrained(model, dtype="float64")
    near = {"rtol": 1e-8, "atol": 1e-10} if kind in ("gpt2", "opt") else {"rtol": 1e-5, "atol": 3e-6}
    ids = np.random.default_rng(1).integers(0, 19, 13).tolist()
    logits = model(torch.tensor([ids[:-1]])).logits[0]
    batch = ap.Batch([ids])
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), **near)
    torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).backward()
    ours.backward(batch, training=False)
    ends = ("wte.weight", "embed_tokens.weight", "embed_in.weight")
    wanted = next(one for name, one in model.named_parameters() if name.endswith(ends))
    np.testing.assert_allclose(ours.gradients["embedding.weight"], wanted.grad.numpy(), **near)


PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "Marian": ("marian", {"activation_function": "swish", "scale_embedding": True}),
    "Marian, odd": ("marian", {"d_model": 15, "activation_function": "relu"}),
    "Marian, output apart": ("marian", {"tie_word_embeddings": False}),
    "M2M100": ("m2m_100", {}),
    "BART": ("bart", {}),
    "BART, scaled, relu, output apart": (
        "bart",
        {"scale_embedding": True, "activation_function": "relu", "tie_word_embeddings": False},
    ),
    "mBART": ("mbart", {}),
    "mBART, scaled": ("mbart", {"scale_embedding": True, "activation_function": "relu"}),
    "FSMT": ("fsmt", {}),
    "FSMT, all one, embeddings as they are": (
        "fsmt",
        {"tie_word_embeddings": True, "scale_embedding": False, "activation_function": "gelu"},
    ),
    "M2M100, embeddings as they are": ("m2m_100", {"scale_embedding": False, "activation_function": "gelu"}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_logits_and_gradients_of_translators_are_theirs(name: str) -> None:
    """M2M100's sinusoids are kept in float32."""
    kind, options = PAIRS[name]
    model = theirs(kind, **options)
    ours = ap.load_pretrained(model, dtype="float64")
    rng = np.random.default_rng(1)
    source, target = rng.integers(3, 19, 11).tolist(), rng.integers(3, 19, 8).tolist()
    found = model(
        input_ids=torch.tensor([source]),
        decoder_input_ids=torch.tensor([target[:-1]]),
        use_cache=False,  # with it FSMT reads one token at a time
    ).logits[0]
    batch = ap.Batch([source], [target])
    near = {"rtol": 1e-5, "atol": 3e-6} if kind == "m2m_100" else {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(ours.forward(batch), found.detach().numpy(), **near)
    torch.nn.functional.cross_entropy(found, torch.tensor(target[1:])).backward()
    ours.backward(batch, training=False)
    gradient = model.model.encoder.layers[1].fc2.weight.grad.numpy()
    np.testing.assert_allclose(ours.gradients["encoder.1.feed_forward.fc2.weight"], gradient, **near)


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_ragged_batches_are_their_padded_ones(kind: str) -> None:
    """Padding has no part in it here; to the rounding of float32, in which M2M100's sinusoids are."""
    model = theirs(kind)
    rng = np.random.default_rng(2)
    sources, targets = (
        [rng.integers(3, 19, n).tolist() for n in counts] for counts in ((9, 2, 5), (3, 7, 4))
    )

    def padded(texts: list[list[int]]) -> tuple[Any, Any]:
        longest = max(map(len, texts))
        rows = [text + [1] * (longest - len(text)) for text in texts]
        return torch.tensor(rows), torch.tensor(rows) != 1

    ids, mask = padded(sources)
    read, real = padded([target[:-1] for target in targets])
    with torch.no_grad():
        logits = model(
            input_ids=ids, attention_mask=mask.long(), decoder_input_ids=read, use_cache=False
        ).logits[real]
    found = ap.load_pretrained(model).forward(ap.Batch(sources, targets))
    np.testing.assert_allclose(found, logits.numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_greedy_translations_are_theirs(kind: str) -> None:
    model = theirs(kind)
    ours = ap.load_pretrained(model, dtype="float64")
    source, begin = [4, 7, 11, 9, 2], 1 if kind == "marian" else 2  # others have no position for padding
    options: dict[str, Any] = {"decoder_start_token_id": begin, "num_beams": 1, "do_sample": False}
    options |= {"forced_eos_token_id": None, "eos_token_id": 18}
    wanted = model.generate(torch.tensor([source]), max_new_tokens=6, **options)[0].tolist()
    found = ap.generation.greedy(ours, [source], max_new_tokens=6, bos=begin, eos=18)[0].tolist()
    assert found == wanted


def test_a_translator_without_an_output_has_that_of_its_embedding() -> None:
    model = theirs("bart", "BartModel")
    source, target = [4, 7, 11, 9], [3, 8, 5]
    with torch.no_grad():
        hidden = model(
            input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([target[:-1]])
        ).last_hidden_state[0]
        wanted = hidden @ model.shared.weight.T
    found = ap.load_pretrained(model, dtype="float64").forward(ap.Batch([source], [target]))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", [*CLASSES, *TRANSLATORS])
@pytest.mark.parametrize("parts", [False, True])
def test_folders(kind: str, parts: bool, tmp_path: Path) -> None:
    model = theirs(kind).float()
    model.save_pretrained(tmp_path, **({"max_shard_size": "3KB"} if parts else {}))
    assert (tmp_path / "model.safetensors.index.json").exists() == parts
    found, wanted = ap.load_pretrained(tmp_path), ap.load_pretrained(model)
    assert found.config == wanted.config
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)


@pytest.mark.parametrize("kind", CLASSES)
def test_greedy_decoding_is_theirs(kind: str) -> None:
    model = theirs(kind)
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
    words = "cannot be expressed: relative positions, .*it is of the kind 't5'"
    with pytest.raises(ValueError, match=words):
        ap.load_pretrained(tmp_path)


def test_windows_are_where_configurations_say_it() -> None:
    def windows(kind: str, **options: Any) -> Any:
        return ap.load_pretrained(theirs(kind, **options)).config.attention_window

    assert windows("mistral", sliding_window=16) == (16, 16)
    assert windows("qwen2", sliding_window=16) is None  # it is not used
    assert windows("gemma2") == (4, None)
    state, settings = theirs("mistral").state_dict(), theirs("mistral").config.to_dict()
    named = {**settings, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 6}
    assert ap.load_pretrained(state, settings=named).config.attention_window == (None, 6)
    named["layer_types"] = ["full_attention", "chunked_attention"]
    with pytest.raises(
        ValueError, match="layer_types must be full_attention or sliding_attention for each of 2"
    ):
        ap.load_pretrained(state, settings=named)
    early = {name: value for name, value in settings.items() if name not in ("layer_types", "sliding_window")}
    assert ap.load_pretrained(state, "mistral", settings=early).config.attention_window == (4096, 4096)


def test_other_rotary_positions_are_refused() -> None:
    yarn = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 8}
    with pytest.raises(ValueError, match=r"rotary positions of the kind .*yarn"):
        ap.load_pretrained(theirs("llama", rope_parameters=yarn))
    state = theirs("llama", attention_bias=True).state_dict()
    state = {name: value for name, value in state.items() if not name.endswith("q_proj.bias")}
    settings = {"model_type": "llama", "num_attention_heads": 3, "max_position_embeddings": 30}
    with pytest.raises(ValueError, match=r"cannot be expressed: biases of self_attn.o_proj alone"):
        ap.load_pretrained(state, settings=settings)


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
