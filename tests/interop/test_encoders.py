"""BERT and its like of Hugging Face at random weights and awkward sizes: the same hidden states here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap
from admin_py.interop.pretrained import LeftOut

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hugging_face_models import ENCODERS, theirs  # noqa: E402  needs both

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{kind: (kind, {}) for kind in ENCODERS},
    "BERT, relu": ("bert", {"hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "BERT, one head": ("bert", {"num_attention_heads": 1, "intermediate_size": 7}),
    "RoBERTa, padding 3": ("roberta", {"pad_token_id": 3}),
}
HEADS = {
    "BertForMaskedLM": ("bert", ["cls.predictions.transform.dense", "cls.predictions.decoder"]),
    "BertForSequenceClassification": ("bert", ["bert.pooler.dense", "classifier"]),
    "RobertaForMaskedLM": ("roberta", ["lm_head.dense", "lm_head.layer_norm"]),
    "XLMRobertaForQuestionAnswering": ("xlm-roberta", ["qa_outputs"]),
    "ElectraForPreTraining": ("electra", ["discriminator_predictions.dense"]),
    "ElectraForMaskedLM": ("electra", ["generator_predictions.LayerNorm", "generator_lm_head"]),
    "DistilBertForMaskedLM": ("distilbert", ["vocab_transform", "vocab_projector"]),
}


def read(model: Any, **options: Any) -> ap.Transformer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        return ap.load_pretrained(model, **options)


def padded(texts: list[list[int]], padding: int) -> tuple[Any, Any]:
    longest = max(map(len, texts))
    ids = torch.tensor([text + [padding] * (longest - len(text)) for text in texts])
    return ids, torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])


TEXTS = [np.random.default_rng(i).integers(5, 19, count).tolist() for i, count in enumerate((11, 1, 7))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_hidden_states_are_theirs(name: str, dtype: str) -> None:
    """Of a padded batch there, a ragged one here; to the rounding of the type, summed in another order."""
    kind, options = CASES[name]
    model = theirs(kind, **options).to(getattr(torch, dtype))
    ids, mask = padded(TEXTS, model.config.pad_token_id)
    with torch.no_grad():
        wanted = model(ids, attention_mask=mask).last_hidden_state[mask.bool()].numpy()
    ours = read(model, dtype=dtype)
    near = {"rtol": 1e-10, "atol": 1e-11} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(ours.forward(ap.Batch(TEXTS)), wanted, **near)


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_left_out_by_name(name: str) -> None:
    kind, parts = HEADS[name]
    model = theirs(kind, name)
    with pytest.warns(LeftOut) as caught:
        ours = ap.load_pretrained(model, dtype="float64")
    said = str(caught[0].message)
    assert said.startswith(f"the module {name} is read without its head: ")
    assert all(part in said for part in parts)
    assert caught[0].filename == __file__
    ids, mask = padded(TEXTS, model.config.pad_token_id)
    with torch.no_grad():
        wanted = model.base_model(ids, attention_mask=mask).last_hidden_state[mask.bool()].numpy()
    np.testing.assert_allclose(ours.forward(ap.Batch(TEXTS)), wanted, rtol=1e-10, atol=1e-11)


def test_other_token_types() -> None:
    model = theirs("bert")
    ours = read(model, settings={"token_type_ids": 1}, dtype="float64")
    ids = torch.tensor([TEXTS[0]])
    with torch.no_grad():
        wanted = model(ids, token_type_ids=torch.ones_like(ids)).last_hidden_state[0].numpy()
    np.testing.assert_allclose(ours.forward(ap.Batch(TEXTS[:1])), wanted, rtol=1e-10, atol=1e-11)
    with pytest.raises(ValueError, match=r"token_type_ids must be an integer from 0 to 1, got 2"):
        read(model, settings={"token_type_ids": 2})


def test_names_of_the_first_checkpoints() -> None:
    model = theirs("bert", "BertForMaskedLM")
    ours = read(model)
    renamed = {}
    for name, value in model.state_dict().items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        renamed[old] = value
    renamed["bert.embeddings.position_ids"] = torch.arange(30)[None]
    again = read(renamed, settings={"num_attention_heads": 3})  # told by the names
    assert again.config == ours.config
    assert all(np.array_equal(again.parameters[name], ours.parameters[name]) for name in ours.parameters)


@pytest.mark.parametrize("kind", ENCODERS)
def test_folders(kind: str, tmp_path: Path) -> None:
    model = theirs(kind).float()
    model.save_pretrained(tmp_path)
    found, wanted = read(tmp_path), read(model)
    assert found.config == wanted.config
    assert all(np.array_equal(found.parameters[x], wanted.parameters[x]) for x in wanted.parameters)


@pytest.mark.parametrize("kind", ENCODERS)
def test_what_an_encoder_can_be_asked(kind: str, tmp_path: Path) -> None:
    """It has no logits, hence no loss: what reads hidden states works, the rest says why not."""
    model = read(theirs(kind).float())
    assert model.config.kind == "encoder"
    batch = ap.Batch(TEXTS)
    dependency = ap.analysis.dependency(model, batch)
    assert np.isfinite(dependency.own("encoder")).all()
    assert ap.analysis.output_change(model, batch).stacks == ("encoder",)
    seen = model.observe(batch)
    np.testing.assert_array_equal(seen["output"], model.forward(batch))
    for one in seen["encoder.1.self_attn.probabilities"]:
        np.testing.assert_allclose(one.sum(axis=-1), 1.0, atol=1e-5)
    with pytest.raises((ValueError, RuntimeError), match=r"encoder"):
        model.loss(batch)
    model.save(tmp_path / "model.safetensors")
    again = ap.load(tmp_path / "model.safetensors")
    assert again.config == model.config
    np.testing.assert_array_equal(again.forward(batch), model.forward(batch))


def test_what_cannot_be_expressed_is_named() -> None:
    with pytest.raises(ValueError, match=r"another width than the layers .embedding_size=8, hidden_size=12"):
        read(theirs("electra", embedding_size=8))
    with pytest.raises(ValueError, match=r"an encoder that reads from left to right .is_decoder=True"):
        read(theirs("bert", is_decoder=True))
    with pytest.raises(ValueError, match=r"positions of the kind 'relative_key'"):
        read(theirs("bert"), settings={"position_embedding_type": "relative_key"})
    state = dict(theirs("bert").state_dict())
    settings = {"model_type": "bert", "num_attention_heads": 3}
    with pytest.raises(ValueError, match=r"no part of the model takes: 'encoder.layer.0.adapter.weight'"):
        read({**state, "encoder.layer.0.adapter.weight": torch.ones(3)}, settings=settings)
    broken = {**state, "embeddings.token_type_embeddings.weight": torch.full((2, 12), torch.nan)}
    with pytest.raises(ValueError, match=r"encoder.positions.weight. here holds numbers that are not finite"):
        read(broken, settings=settings)
    with pytest.raises(ValueError, match=r"the same width, got shapes \[30, 1\] and \[2, 12\]"):
        read({**state, "embeddings.position_embeddings.weight": torch.ones(30, 1)}, settings=settings)
    del state["encoder.layer.1.output.dense.weight"]
    with pytest.raises(ValueError, match=r"has no tensor 'encoder.layer.1.output.dense.weight'"):
        read(state, settings=settings)
    with pytest.raises(ValueError, match=r"does not say num_attention_heads"):
        read(state, settings={"model_type": "bert"})
