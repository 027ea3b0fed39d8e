"""Models written for other libraries: theirs compute the same logits, and they come back bit for bit."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proofs.deviation import deviation

import admin_py as ap
from admin_py.interop.families import FAMILIES
from admin_py.interop.gemma import AROUND_RMS
from admin_py.interop.gpt_neox import PARALLEL
from admin_py.interop.llama import BRANCH_RMS, PRE_RMS
from admin_py.interop.pretrained import FORMATS, LeftOut
from admin_py.schemes import Residual, Scheme

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from fairseq_model import Model  # noqa: E402  needs PyTorch
from hugging_face_models import CLASSES, ENCODERS, TRANSLATORS, theirs  # noqa: E402
from own_configs import drawn  # noqa: E402

SIZES = {"vocab_size": 19, "d_model": 12, "heads": 3, "d_ff": 20, "max_length": 30}
PAIR = {**SIZES, "encoder_layers": 2, "decoder_layers": 1}
TEXT = {**SIZES, "encoder_layers": 0, "decoder_layers": 2}
ENCODER = {**SIZES, "encoder_layers": 2, "decoder_layers": 0}
LLAMA = {
    **TEXT, "scheme": PRE_RMS, "positions": "rotary", "gated": True, "activation": "silu",
    "embedding_scale": 1.0, "bias": "none", "share_embeddings": "none", "kv_heads": 1, "norm_eps": 1e-6,
}  # fmt: skip
GEMMA2 = {
    **LLAMA, "scheme": AROUND_RMS, "activation": "gelu_tanh", "embedding_scale": None,
    "share_embeddings": "all", "head_width": 6, "attention_scale": 5**-0.5, "score_cap": 3.0,
    "logits_cap": 2.0, "attention_window": [4, None],
}  # fmt: skip
NEOX = {
    **TEXT, "scheme": PARALLEL, "positions": "rotary", "rotary_width": 2, "embedding_scale": 1.0,
    "share_embeddings": "none", "activation": "gelu",
}  # fmt: skip

GPT_J = {
    **TEXT, "scheme": PARALLEL, "positions": "rotary", "rotary_width": 2, "rotary_interleaved": True,
    "embedding_scale": 1.0, "share_embeddings": "none", "activation": "gelu_tanh", "bias": "feed_forward",
    "output_bias": True,
}  # fmt: skip
BEHIND_A_NORM = {**ENCODER, "scheme": "post_ln", "embedding_norm": "layer", "positions": "learned"}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Post-LN": ("marian", {**PAIR, "scheme": "post_ln"}),
    "Admin": ("marian", {**PAIR, "scheme": "admin"}),
    "DeepNorm": ("marian", {**PAIR, "scheme": "deepnorm", "share_embeddings": "decoder"}),
    "ReZero with Post-LN": ("marian", {**PAIR, "scheme": "rezero_post_ln", "activation": "gelu_tanh"}),
    "Post-LN, nothing shared": ("marian", {**PAIR, "scheme": "post_ln", "share_embeddings": "none"}),
    "Post-LN, inputs shared": ("marian", {**PAIR, "scheme": "post_ln", "share_embeddings": "inputs"}),
    "Post-LN, output bias, as they are": (
        "marian",
        {**PAIR, "scheme": "post_ln", "output_bias": True, "embedding_scale": 1.0, "activation": "silu"},
    ),
    "Post-LN, factor of logits": (
        "marian",
        {**PAIR, "scheme": "post_ln", "output_bias": True, "logits_scale": 0.5, "embedding_scale": 2.0},
    ),
    "Pre-LN": ("pegasus", {**PAIR, "scheme": "pre_ln"}),
    **{
        f"Pre-LN, {share} shared": ("pegasus", {**PAIR, "scheme": "pre_ln", "share_embeddings": share})
        for share in ("decoder", "inputs", "none")
    },
    "LayerScale": ("pegasus", {**PAIR, "scheme": "layer_scale", "positions": "learned"}),
    "LayerNorm scaling": ("pegasus", {**PAIR, "scheme": "layernorm_scaling", "output_bias": True}),
    "Pre-LN language model": ("gpt2", {**TEXT, "scheme": "pre_ln"}),
    "Pre-LN language model, tied": (
        "gpt2",
        {**TEXT, "scheme": "pre_ln", "embedding_scale": 1.0, "positions": "learned", "activation": "gelu"},
    ),
    "Admin language model": ("opt", {**TEXT, "scheme": "admin"}),
    "Post-LN language model": (
        "opt", {**TEXT, "scheme": "post_ln", "embedding_scale": 1.0, "positions": "learned"},
    ),
    "OPT without biases": ("opt", {**TEXT, "scheme": "post_ln", "bias": "none", "activation": "gelu"}),
    "Llama": ("llama", LLAMA),
    "Llama, tied, biases": (
        "llama",
        {**LLAMA, "share_embeddings": "all", "bias": "attention", "kv_heads": None, "rotary_theta": 500.0},
    ),
    "Llama 3, wide heads": ("llama", {**LLAMA, "head_width": 6, "rotary_scaling": (4.0, 1.0, 4.0, 8)}),
    "Qwen 2": ("qwen2", {**LLAMA, "bias": "qkv"}),
    "Qwen 3": ("qwen3", {**LLAMA, "head_width": 6, "qk_norm": "rms"}),
    "Qwen 3, biases, a window above": (
        "qwen3",
        {**LLAMA, "head_width": 6, "qk_norm": "rms", "bias": "attention", "attention_window": [None, 4]},
    ),
    "Mistral": ("mistral", {**LLAMA, "attention_window": 4}),
    "Qwen 2, a window below": ("qwen2", {**LLAMA, "bias": "qkv", "attention_window": [4, None]}),
    "OLMo 2": (
        "olmo2", {**LLAMA, "scheme": BRANCH_RMS, "qk_norm": "rms", "qk_norm_whole": True},
    ),
    "Gemma": (
        "gemma",
        {
            **LLAMA, "activation": "gelu_tanh", "embedding_scale": None, "share_embeddings": "all",
            "head_width": 6,
        },
    ),
    "Gemma 2": ("gemma2", GEMMA2),
    "Gemma 2, untied, neither windows nor caps": (
        "gemma2",
        {
            **LLAMA, "scheme": AROUND_RMS, "activation": "gelu", "share_embeddings": "all", "head_width": 6,
            "bias": "attention",
        },
    ),
    "GPT-NeoX": ("gpt_neox", NEOX),
    "GPT-NeoX, one after the other, tied": (
        "gpt_neox",
        {
            **NEOX, "scheme": "pre_ln", "bias": "feed_forward", "share_embeddings": "all",
            "rotary_width": None, "rotary_theta": 500.0, "activation": "gelu_tanh",
        },
    ),
    "BART": ("bart", {**PAIR, "scheme": "post_ln", "embedding_norm": "layer", "output_bias": True}),
    "Admin behind a norm": ("bart", {**PAIR, "scheme": "admin", "embedding_norm": "layer"}),
    "mBART": ("mbart", {**PAIR, "scheme": "pre_ln", "embedding_norm": "layer", "positions": "learned"}),
    "BERT": ("bert", {**ENCODER, "scheme": "post_ln", "embedding_norm": "layer", "activation": "gelu"}),
    "Admin, an encoder behind a norm": (
        "bert", {**ENCODER, "scheme": "admin", "embedding_norm": "layer", "norm_eps": 1e-12},
    ),
}  # fmt: skip


def ids(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(3, 19, count).tolist()


def batch_of(config: ap.TransformerConfig) -> ap.Batch:
    pair = config.kind == "encoder_decoder"
    return ap.Batch([ids(1, 11)], [ids(2, 8)]) if pair else ap.Batch([ids(1, 11)])


def logits_of(model: Any, batch: ap.Batch) -> np.ndarray:
    source = torch.from_numpy(batch.source.tokens.astype(np.int64))[None]
    with torch.no_grad():
        if model.config.architectures[0] in ENCODERS.values():
            return model(source).last_hidden_state[0].numpy()
        if batch.target is None:
            return model(source[:, :-1]).logits[0].numpy()
        target = torch.from_numpy(batch.target.tokens.astype(np.int64))[None]
        read = {"input_ids": source, "decoder_input_ids": target[:, :-1]}
        return model(**read, use_cache=False).logits[0].numpy()  # with it FSMT reads one token at a time


def near(family: str, dtype: str) -> float:
    """Rounding; RMSNorm, rotary angles and M2M100's sinusoids are computed in float32 there."""
    exact = ("gpt2", "opt", "marian", "pegasus", "bart", "mbart", *ENCODERS)
    return 1e-10 if dtype == "float64" and family in exact else 1e-5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_hugging_face_computes_the_same(name: str, dtype: str, tmp_path: Path) -> None:
    family, fields = CASES[name]
    check_written(drawn(ap.TransformerConfig(**fields)).copy(dtype=dtype), family, tmp_path)


CHOSEN: dict[str, dict[str, Any]] = {
    **{kind: {**BEHIND_A_NORM, "norm_eps": 1e-12, "activation": "gelu"} for kind in ENCODERS},
    "roberta": {**BEHIND_A_NORM, "scheme": "admin", "norm_eps": 1e-3},
    "gptj": GPT_J,
    "fsmt, learned": {**PAIR, "scheme": "post_ln", "positions": "learned", "activation": "gelu"},
    **{
        f"fsmt, {share}": {**PAIR, "scheme": "admin", "share_embeddings": share, "max_length": 17}
        for share in ("decoder", "all", "none")
    },
}
"""Families that are written where they are asked for: another holds such models, too, or few models fit."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CHOSEN)
def test_hugging_face_computes_the_same_as_a_family_that_is_asked_for(
    name: str, dtype: str, tmp_path: Path
) -> None:
    model, family = drawn(ap.TransformerConfig(**CHOSEN[name])), name.partition(",")[0]
    if family == "gptj":
        with pytest.raises(ValueError, match=r"that differ, in decoder\.0, decoder\.1\."):
            ap.interop.to_hugging_face(model, tmp_path / "out", family=family)
        with_one_norm(model)
    assert not (tmp_path / "out").exists()
    check_written(model.copy(dtype=dtype), family, tmp_path, asked=True)


def with_one_norm(model: ap.Transformer) -> None:
    """For both branches of every layer."""
    for name, value in model.parameters.items():
        if ".feed_forward.norm_pre." in name:
            value[...] = model.parameters[name.replace("feed_forward", "self_attn")]


def check_written(model: ap.Transformer, family: str, tmp_path: Path, *, asked: bool = False) -> None:
    """Theirs computes the same, and it comes back bit for bit."""
    dtype = model.dtype
    before = model.state
    written = ap.interop.to_hugging_face(model, tmp_path, family=family if asked else None)
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["model_type"] == family
    found = getattr(transformers, told["architectures"][0]).from_pretrained(tmp_path)
    assert found.dtype == getattr(torch, dtype)
    batch = batch_of(model.config)
    assert deviation(logits_of(found.eval(), batch), model.forward(batch)) < near(family, dtype)
    again = ap.load_pretrained(tmp_path, dtype=dtype)
    assert list(again.parameters) == list(written.parameters)
    for parameter, value in written.parameters.items():
        np.testing.assert_array_equal(again.parameters[parameter], value, parameter)
    np.testing.assert_array_equal(again.forward(batch), written.forward(batch))
    assert all(np.array_equal(value, before[parameter]) for parameter, value in model.parameters.items())


def test_what_needs_no_change_is_not_changed(tmp_path: Path) -> None:
    fields = {**PAIR, "scheme": "post_ln", "positions": "learned"}
    model = drawn(ap.TransformerConfig(**fields))
    assert ap.interop.to_hugging_face(model, tmp_path) is model
    assert ap.load_pretrained(tmp_path, dtype="float64").config.replace(dropout=0.1) == model.config


@pytest.mark.parametrize("kind", [*CLASSES, *TRANSLATORS, *ENCODERS])
def test_what_came_from_there_goes_back(kind: str, tmp_path: Path) -> None:
    encoder = kind in ENCODERS
    at_zero = {"pad_token_id": 0} if encoder else {}  # by which RoBERTa counts positions
    model = read(theirs(kind, **at_zero).float())
    padding = 0 if encoder else 1
    settings = {"pad_token_id": padding, "bos_token_id": 5}
    ap.interop.to_hugging_face(model, tmp_path, family=kind, settings=settings)
    told = json.loads((tmp_path / "config.json").read_text())
    assert (told["model_type"], told["bos_token_id"]) == (kind, 5)
    found = getattr(transformers, told["architectures"][0]).from_pretrained(tmp_path)
    batch = batch_of(model.config)
    assert deviation(logits_of(found.eval(), batch), model.forward(batch)) < 1e-5
    wanted = theirs(kind, **at_zero).float().state_dict()
    for name, value in found.state_dict().items():
        if name.startswith("pooler."):  # which no hidden state goes through
            continue
        if encoder and "_embeddings.weight" in name and "word" not in name:
            continue  # positions and token types are one here
        unread = name.endswith("embed_positions.weight") and kind in ("opt", "bart", "mbart", "fsmt")
        skipped = 2 if unread else 0
        if kind in ("gemma", "gemma2") and name.endswith("norm.weight"):  # 1 is added to it here
            torch.testing.assert_close(value, wanted[name], rtol=0, atol=2**-23)
            continue
        assert torch.equal(value[skipped:], wanted[name][skipped:]), name


def read(model: Any) -> ap.Transformer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        return ap.load_pretrained(model)


def test_every_family_that_is_read_is_written() -> None:
    assert set(FAMILIES) == {"pegasus", *CLASSES, *TRANSLATORS, *ENCODERS}
    other = {"fairseq", "nanogpt", "joeynmt", "torch", "admin_py"}
    assert set(FAMILIES) == set(FORMATS) - other


@pytest.mark.parametrize("family", ["roberta", "m2m_100"])
def test_ids_that_positions_are_counted_by_are_not_changed(family: str, tmp_path: Path) -> None:
    model = read(theirs(family).float())
    with pytest.raises(ValueError, match=f"pad_token_id of {family} at [01], by which .* got 3"):
        ap.interop.to_hugging_face(model, tmp_path / "out", family=family, settings={"pad_token_id": 3})
    assert not (tmp_path / "out").exists()


def test_all_that_stands_in_the_way_is_named(tmp_path: Path) -> None:
    """In one error, and nothing is written."""
    for fields, words in (
        (
            {**PAIR, "scheme": "sandwich", "logits_cap": 30.0, "kv_heads": 1},
            "as pegasus, the nearest family of Hugging Face: it has kv_heads=1; logits_cap=30.0; "
            "norm_branch='layer' of encoder.0.self_attn and 6 more. admin_py.interop.torch.module(model)",
        ),
        (
            {**TEXT, "scheme": "pre_ln", "gated": True, "positions": "rotary"},
            "as gpt_neox, the nearest family of Hugging Face: it has gated=True. admin_py",
        ),
        (
            {**ENCODER, "scheme": "pre_ln", "embedding_norm": "layer"},
            "as bert, the nearest family of Hugging Face: it has norm_pre='layer' of encoder.0.self_attn",
        ),
    ):
        with pytest.raises(ValueError, match="model ") as error:
            ap.interop.to_hugging_face(drawn(ap.TransformerConfig(**fields)), tmp_path / "out")
        assert words in str(error.value)
    with pytest.raises(ValueError, match=r"as opt: it has norm_eps=1e-06. admin_py"):
        ap.interop.to_hugging_face(
            drawn(ap.TransformerConfig(**{**TEXT, "scheme": "pre_ln", "norm_eps": 1e-6})),
            tmp_path / "out",
            family="opt",
        )
    pre = drawn(ap.TransformerConfig(**{**PAIR, "scheme": "pre_ln"}))
    with pytest.raises(
        ValueError, match=r"as m2m_100: it has positions of the encoder that are not M2M100's"
    ):
        ap.interop.to_hugging_face(pre, tmp_path / "out", family="m2m_100")
    with pytest.raises(ValueError, match="family must be one of"):
        ap.interop.to_hugging_face(pre, tmp_path / "out", family="t5")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "fields", "words"),
    [
        ("mistral", {**LLAMA, "attention_window": [4, None]}, "windows that differ from layer to layer"),
        ("qwen2", {**LLAMA, "bias": "qkv", "attention_window": [4, 5]}, "windows of several lengths, 4, 5"),
        ("olmo2", {**LLAMA, "scheme": BRANCH_RMS, "qk_norm": "rms"}, "qk_norm_whole=False"),
        ("gemma2", {**GEMMA2, "attention_scale": 0.3}, "attention_scale=0.3, which is 1 / sqrt of no"),
        ("gemma2", {**GEMMA2, "attention_scale": 1e-200}, "attention_scale=1e-200, which is 1 / sqrt of no"),
        ("gpt_neox", {**NEOX, "rotary_interleaved": True}, "rotary_interleaved=True"),
    ],
)
def test_what_one_family_lacks(family: str, fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"written as {family}: it has {words}"):
        ap.interop.to_hugging_face(drawn(ap.TransformerConfig(**fields)), tmp_path / "out", family=family)


def test_small_gains_of_gemma_are_rounded(tmp_path: Path) -> None:
    """What is returned has what comes back, and the model that was given its own."""
    model = drawn(ap.TransformerConfig(**GEMMA2))
    gain = model.parameters["decoder.norm_final.gamma"]
    gain[:3] = 1e-3 / 3, 0.25, 1.7
    before = gain.copy()
    written = ap.interop.to_hugging_face(model, tmp_path)
    found = written.parameters["decoder.norm_final.gamma"]
    assert np.array_equal(gain, before)
    assert found[0] != gain[0]
    assert np.array_equal(found[1:3], gain[1:3])
    np.testing.assert_allclose(found, gain, rtol=0, atol=2**-53)
    again = ap.load_pretrained(tmp_path, dtype="float64")
    np.testing.assert_array_equal(again.parameters["decoder.norm_final.gamma"], found)


FAIRSEQ: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Post-LN": ({**PAIR, "scheme": "post_ln"}, {}),
    "Admin": ({**PAIR, "scheme": "admin"}, {"share": "none"}),
    "Pre-LN": ({**PAIR, "scheme": "pre_ln"}, {"pre": True}),
    "inputs shared": ({**PAIR, "scheme": "post_ln", "share_embeddings": "inputs"}, {"share": "inputs"}),
    "output shared": ({**PAIR, "scheme": "post_ln", "share_embeddings": "decoder"}, {"share": "decoder"}),
    "as they are": ({**PAIR, "scheme": "post_ln", "embedding_scale": 1.0}, {"scaled": False}),
    "a norm on embeddings": (
        {**PAIR, "scheme": "admin", "embedding_norm": "layer"},
        {"share": "all", "normed": True},
    ),
    "a language model": ({**TEXT, "scheme": "pre_ln"}, {"encoder": False, "pre": True}),
}


@pytest.mark.parametrize("name", FAIRSEQ)
def test_fairseq_computes_the_same(name: str, tmp_path: Path) -> None:
    """Its arithmetic and names as tests/helpers has them."""
    fields, options = FAIRSEQ[name]
    if name != "a language model":
        fields = {**fields, "decoder_layers": 2}
    model = drawn(ap.TransformerConfig(**fields))
    path = tmp_path / "new" / "checkpoint.pt"
    written = ap.interop.to_fairseq(model, path)
    made = Model(**{"vocab_size": 19, "layers": 2, "learned": True, **options}).double().eval()
    with torch.serialization.safe_globals([argparse.Namespace]):
        kept = torch.load(path, weights_only=True)
    missing = made.load_state_dict(kept["model"], strict=False)
    assert missing.missing_keys == []
    assert set(missing.unexpected_keys) <= {"decoder.output_projection.weight"}
    batch = batch_of(model.config)
    source = torch.from_numpy(batch.source.tokens.astype(np.int64))
    with torch.no_grad():
        if batch.target is None:
            found = made(None, source[:-1])
        else:
            found = made(source, torch.from_numpy(batch.target.tokens[:-1].astype(np.int64)))
    assert deviation(found.numpy(), model.forward(batch)) < 1e-10
    again = ap.load_pretrained(path, dtype="float64")
    assert list(again.parameters) == list(written.parameters)
    for parameter, value in written.parameters.items():
        np.testing.assert_array_equal(again.parameters[parameter], value, parameter)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "admin", "deepnorm", "layer_scale"])
def test_the_stacks_of_pytorch_compute_the_same(scheme: str, norm: str) -> None:
    fields = {
        **PAIR, "scheme": scheme, "activation": "gelu", "norm_eps": 1e-6, "embedding_norm": norm,
    }  # fmt: skip
    model = drawn(ap.TransformerConfig(**fields))
    state, batch = ap.interop.to_torch_nn(model), batch_of(model.config)
    pre = scheme in ("pre_ln", "layer_scale")
    sizes = {"norm_first": pre, "activation": "gelu", "layer_norm_eps": 1e-6, "batch_first": True}
    layers = [
        kind(12, 3, 20, **sizes).double()
        for kind in (torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)
    ]
    norms = [torch.nn.LayerNorm(12, eps=1e-6).double() if pre else None for _ in range(2)]
    encoder = torch.nn.TransformerEncoder(layers[0], 2, norms[0], enable_nested_tensor=False)
    decoder = torch.nn.TransformerDecoder(layers[1], 1, norms[1])
    both = torch.nn.Transformer(
        12, 3, custom_encoder=encoder, custom_decoder=decoder, batch_first=True
    ).eval()
    both.load_state_dict(state)
    seen = model.observe(batch)
    first = {
        stack: torch.from_numpy(seen[f"{stack}.input"] * (model.omega[stack][0] if not pre else 1.0))[None]
        for stack in ("encoder", "decoder")
    }
    causal = torch.nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    with torch.no_grad():
        found = both(first["encoder"], first["decoder"], tgt_mask=causal)[0].numpy()
    logits = found @ model.parameters["embedding.weight"].T
    assert deviation(logits, model.forward(batch)) < 1e-10


def test_what_fairseq_and_pytorch_lack_is_named(tmp_path: Path) -> None:
    model = drawn(
        ap.TransformerConfig(**{**PAIR, "scheme": "rezero", "gated": True, "activation": "quick_gelu"})
    )
    with pytest.raises(
        ValueError, match=r"written for fairseq: it has activation='quick_gelu'; gated=True; norm_"
    ):
        ap.interop.to_fairseq(model, tmp_path / "it.pt")
    with pytest.raises(
        ValueError, match=r"written for torch.nn: it has gated=True; norm_p.* of encoder.0.self_attn"
    ):
        ap.interop.to_torch_nn(model)
    parallel = Scheme("beside", lambda site: Residual(norm_pre="layer", parallel=site.kind != "self_attn"))
    for fields, words in (
        ({"attention_window": 4}, "attention_window=4"),
        ({"qk_norm": "rms"}, "qk_norm='rms'"),
        ({"score_cap": 9.0}, "score_cap=9.0"),
        ({"scheme": parallel}, "parallel=True of encoder.0.feed_forward"),
    ):
        new = drawn(ap.TransformerConfig(**{**PAIR, "scheme": "pre_ln", **fields}))
        with pytest.raises(ValueError, match=rf"written for fairseq: it has .*{words}"):
            ap.interop.to_fairseq(new, tmp_path / "it.pt")
        with pytest.raises(ValueError, match=rf"written for torch.nn: it has .*{words}"):
            ap.interop.to_torch_nn(new)
    one = drawn(ap.TransformerConfig(**{**PAIR, "scheme": "pre_ln", "embedding_norm": ("layer", "none")}))
    with pytest.raises(ValueError, match=r"written for fairseq: it has embedding_norm=\('layer', 'none'\)"):
        ap.interop.to_fairseq(one, tmp_path / "it.pt")
    with pytest.raises(ValueError, match=r"written for fairseq: it has no decoder"):
        ap.interop.to_fairseq(
            drawn(ap.TransformerConfig(**{**SIZES, "encoder_layers": 1, "decoder_layers": 0})),
            tmp_path / "it.pt",
        )
    assert not (tmp_path / "it.pt").exists()
