"""torch.nn.Transformer and its parts, alone or within a model: the same vectors and gradients here."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

from foreign_models import stirred  # noqa: E402  needs PyTorch
from torch import nn  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")

D, V = 12, 17
SIZES: dict[str, Any] = {"d_model": D, "nhead": 3, "dim_feedforward": 20, "batch_first": True}
KINDS: dict[str, dict[str, Any]] = {
    "Post-LN": {},
    "Pre-LN": {"norm_first": True},
    "gelu": {"activation": "gelu", "layer_norm_eps": 1e-3},
    "tanh": {"activation": nn.GELU(approximate="tanh")},
    "no biases": {"bias": False},
}
NEAR = {"rtol": 1e-10, "atol": 1e-11}


def made(build: Any) -> Any:
    torch.manual_seed(3)
    return stirred(build())


def vectors(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, D))


def triangle(length: int) -> Any:
    return nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)


def padded(x: np.ndarray, texts: list[list[int]]) -> tuple[Any, Any]:
    """Vectors [B, T, D] of ids, and where there is padding."""
    rows = [torch.from_numpy(x[text]) for text in texts]
    lengths = torch.tensor([len(text) for text in texts])
    y = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return y, torch.arange(y.shape[1])[None] >= lengths[:, None]


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_encoders(kind: str, final: bool) -> None:
    """A stack of layers, in the order of float64's sums."""
    layer = lambda: nn.TransformerEncoderLayer(**SIZES, **KINDS[kind])  # noqa: E731
    norm = nn.LayerNorm(D, eps=KINDS[kind].get("layer_norm_eps", 1e-5)) if final else None
    if final and kind == "no biases":
        norm = nn.LayerNorm(D, bias=False)
    module = made(lambda: nn.TransformerEncoder(layer(), 2, norm, enable_nested_tensor=False))
    x, texts = vectors(1, V), [[3, 9, 1, 16, 0], [4], [5, 5, 2]]
    y, padding = padded(x, texts)
    with torch.no_grad():
        wanted = module(y, src_key_padding_mask=padding)[~padding].numpy()
    ours = ap.load_pretrained(module, settings={"embedding": x}, dtype="float64")
    batch = ap.Batch(texts)
    np.testing.assert_allclose(ours.forward(batch), wanted, **NEAR)
    assert np.isfinite(ap.analysis.dependency(ours, batch).own("encoder")).all()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_alone(kind: str) -> None:
    module = made(lambda: nn.TransformerEncoderLayer(**SIZES, **KINDS[kind]))
    x = vectors(1, 7)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)[None])[0].numpy()
    ours = ap.load_pretrained(module, settings={"embedding": x}, dtype="float64")
    np.testing.assert_allclose(ours.forward(ap.Batch([list(range(7))])), wanted, **NEAR)
    assert ours.config.encoder_layers == 1


def test_a_causal_encoder_is_a_language_model() -> None:
    module = made(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES), 2))
    x, text = vectors(1, V), [3, 9, 1, 16, 0]
    with torch.no_grad():
        wanted = module(torch.from_numpy(x[text])[None, :-1], mask=triangle(4))[0].numpy()
    ours = ap.load_pretrained(module, settings={"embedding": x, "causal": True}, dtype="float64")
    assert ours.config.kind == "language_model"
    np.testing.assert_allclose(ours.forward(ap.Batch([text]))[:, :D], wanted, **NEAR)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_decoders_read_their_memory(kind: str, alone: bool) -> None:
    build = lambda: nn.TransformerDecoderLayer(**SIZES, **KINDS[kind])  # noqa: E731
    module = made(build if alone else lambda: nn.TransformerDecoder(build(), 2))
    memory, x = vectors(1, 6), vectors(2, 9)
    source, target = [5, 0, 3], [8, 2, 2, 7, 1]
    with torch.no_grad():
        wanted = module(
            torch.from_numpy(x[target[:-1]])[None], torch.from_numpy(memory[source])[None], triangle(4)
        )[0].numpy()
    settings = {"embedding": memory, "target_embedding": x}
    ours = ap.load_pretrained(module, settings=settings, dtype="float64")
    batch = ap.Batch([source], [target])
    np.testing.assert_allclose(ours.forward(batch)[:, :D], wanted, **NEAR)
    assert np.isfinite(ap.analysis.dependency(ours, batch).own("decoder")).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tanh"])
def test_transformers(kind: str) -> None:
    """Each has a final norm in both stacks, whatever the place of the others. Not "tanh": copies that PyTorch
    makes of a decoder's layer have relu in the place of an activation that is a module.
    """
    module = made(lambda: nn.Transformer(num_encoder_layers=2, num_decoder_layers=1, **SIZES, **KINDS[kind]))
    x, y = vectors(1, V), vectors(2, V)
    sources, targets = [[3, 9, 1, 16], [4, 2]], [[1, 2, 3], [7, 7, 0, 5, 11]]
    given, no_source = padded(x, sources)
    read, no_target = padded(y, [target[:-1] for target in targets])
    found = module(
        given, read, tgt_mask=triangle(read.shape[1]), src_key_padding_mask=no_source,
        memory_key_padding_mask=no_source,
    )  # fmt: skip
    settings = {"embedding": x, "target_embedding": y, "output": vectors(3, V)}
    ours = ap.load_pretrained(module, settings=settings, dtype="float64")
    logits = found[~no_target] @ torch.from_numpy(settings["output"]).T
    batch = ap.Batch(sources, targets)
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), **NEAR)
    labels = torch.tensor([i for target in targets for i in target[1:]])
    nn.functional.cross_entropy(logits, labels).backward()
    ours.backward(batch, training=False)
    wanted = module.encoder.layers[1].self_attn.in_proj_weight.grad.numpy()
    parts = [ours.gradients[f"encoder.1.self_attn.{part}.weight"] for part in "qkv"]
    np.testing.assert_allclose(np.concatenate(parts), wanted, rtol=1e-8, atol=1e-12)


def test_without_embeddings_they_are_the_unit_vectors() -> None:
    module = made(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES), 1))
    with torch.no_grad():
        wanted = module(torch.eye(D, dtype=torch.float64)[None, [3, 0, 11]])[0].numpy()
    ours = ap.load_pretrained(module, dtype="float64")
    np.testing.assert_allclose(ours.forward(ap.Batch([[3, 0, 11]])), wanted, **NEAR)


class Language(nn.Module):
    """A model around PyTorch's encoder, as its tutorials have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(V, D), nn.Linear(D, V)
        self.register_buffer("table", torch.randn(1, 30, D))
        self.body = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**SIZES, norm_first=True), 2, nn.LayerNorm(D)
        )

    def forward(self, ids: Any) -> Any:
        x = D**0.5 * self.embedding(ids) + self.table[0, : len(ids)]
        return self.head(self.body(x[None], mask=triangle(len(ids)))[0])


NAMED = {
    "embedding": "embedding.weight",
    "positions": "table",
    "output": "head.weight",
    "output_bias": "head.bias",
    "embedding_scale": D**0.5,
    "causal": True,
}


def test_a_model_around_it_is_read_by_the_names_of_its_ends() -> None:
    model, text = made(Language), [3, 9, 1, 16, 0, 2]
    logits = model(torch.tensor(text[:-1]))
    ours = ap.load_pretrained(model, settings=NAMED, dtype="float64")
    batch = ap.Batch([text])
    np.testing.assert_allclose(ours.forward(batch), logits.detach().numpy(), **NEAR)
    nn.functional.cross_entropy(logits, torch.tensor(text[1:])).backward()
    ours.backward(batch, training=False)
    near = {"rtol": 1e-9, "atol": 1e-13}
    np.testing.assert_allclose(ours.gradients["output.bias"], model.head.bias.grad.numpy(), **near)
    np.testing.assert_allclose(
        ours.gradients["embedding.weight"], model.embedding.weight.grad.numpy(), **near
    )
    assert (ours.config.max_length, ours.config.vocab_size) == (30, V)


def test_a_mapping_is_told_what_tensors_do_not_say() -> None:
    model = made(Language)
    state = dict(model.state_dict())
    with pytest.raises(ValueError, match=r"does not say norm_first: give settings with it"):
        ap.load_pretrained(state, settings=NAMED)
    with pytest.raises(ValueError, match=r"does not say nhead: give settings with it"):
        ap.load_pretrained(state, settings={**NAMED, "norm_first": True})
    ours = ap.load_pretrained(state, settings={**NAMED, "norm_first": True, "nhead": 3})
    wanted = ap.load_pretrained(model, settings=NAMED)
    assert all(np.array_equal(ours.parameters[x], wanted.parameters[x]) for x in wanted.parameters)
    with pytest.raises(ValueError, match=re.escape("no part of the model takes: 'head.weight', 'head.bias'")):
        ap.load_pretrained(model, settings={"embedding": "embedding.weight", "positions": "table"})


class WithOmegas(nn.Module):
    """Layers with admin-torch's modules beside their branches."""

    def __init__(self, trained: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(**SIZES) for _ in range(2))
        for layer in self.layers:
            for name in ("residual_ffn", "residual_attn"):
                part = nn.Module()
                value = 1 + torch.rand(D if trained else 1)
                if trained:
                    part.omega = nn.Parameter(value)
                else:
                    part.register_buffer("omega", value)
                layer.add_module(name, part)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer.norm1(x * layer.residual_attn.omega + layer.self_attn(x, x, x)[0])
            x = layer.norm2(x * layer.residual_ffn.omega + layer.linear2(layer.linear1(x).relu()))
        return x


@pytest.mark.parametrize("trained", [False, True])
def test_omegas_of_admin_torch(trained: bool) -> None:
    model, x = made(lambda: WithOmegas(trained)), vectors(1, 7)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)[None])[0].numpy()
    ours = ap.load_pretrained(model, settings={"embedding": x}, dtype="float64")
    np.testing.assert_allclose(ours.forward(ap.Batch([list(range(7))])), wanted, **NEAR)
    assert ours.config.scheme_name == ("admin" if trained else "admin_torch")
    omega = model.layers[1].residual_attn.omega.detach().numpy()
    np.testing.assert_array_equal(ours.omega["encoder"][2], omega if trained else omega[0])


def test_what_is_wrong_is_named() -> None:
    layer = made(lambda: nn.TransformerEncoderLayer(**SIZES))
    with pytest.raises(
        ValueError, match=r"embedding of the settings must be of 12 columns, got shape \[4, 3\]"
    ):
        ap.load_pretrained(layer, settings={"embedding": np.ones((4, 3))})
    with pytest.raises(ValueError, match=r"has no tensor 'table'"):
        ap.load_pretrained(layer, settings={"embedding": "table"})
    with pytest.raises(ValueError, match=r"an output of 13 tokens and embeddings of 14"):
        ap.load_pretrained(layer, settings={"embedding": vectors(1, 14), "output": vectors(1, 13)})
    two = nn.ModuleList([layer, layer])
    with pytest.raises(
        ValueError, match=r"must have an encoder, a decoder or one of each, .* give settings with pre"
    ):
        ap.load_pretrained(two)
    assert ap.load_pretrained(layer, settings={"activation": "swish"}).config.activation == "silu"
    with pytest.raises(ValueError, match=r"cannot be expressed: the activation 'tanh'"):
        ap.load_pretrained(layer, settings={"activation": "tanh"})
    other = nn.TransformerEncoderLayer(**{**SIZES, "nhead": 2})
    with pytest.raises(ValueError, match=r"has layers of different nhead"):
        ap.load_pretrained(nn.ModuleList([layer, other]))
    layer.add_module("residual", nn.Module())
    layer.residual.register_buffer("omega", torch.ones(1))
    with pytest.raises(ValueError, match=r"'residual.omega' may be of any sub-layer"):
        ap.load_pretrained(layer)
    del layer.residual
    layer.add_module("residual_attn", nn.Module())
    layer.residual_attn.register_buffer("omega", torch.ones(1))
    with pytest.raises(ValueError, match=r"has no omega of feed_forward, but 'residual_attn.omega'"):
        ap.load_pretrained(layer)
