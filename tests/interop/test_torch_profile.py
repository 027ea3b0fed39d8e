"""Admin for modules of PyTorch: profiles equal ours of the same model, and omega is set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import admin_py as ap

torch = pytest.importorskip("torch")

from own_configs import batch_of, drawn  # noqa: E402  beside what needs PyTorch
from torch_batches import padded  # noqa: E402

nn = torch.nn

SIZES = {"vocab_size": 20, "d_model": 12, "heads": 3, "d_ff": 16, "encoder_layers": 2, "decoder_layers": 2}
KINDS = {
    "encoder-decoder": {},
    "language model": {"encoder_layers": 0},
    "encoder": {"decoder_layers": 0},
    "fixed omega": {"scheme": "deepnorm"},
    "no omega": {"scheme": "pre_ln"},
    "hybrid": {"scheme": ("admin", "rezero")},
    "one omega a sub-layer": {"scheme": "one number"},
}


@pytest.fixture(autouse=True)
def one_number() -> Any:
    """Admin with one number in place of a vector."""
    scale = ap.Scale("scalar", 1.0, trained=True)
    rule = lambda site: ap.Residual(norm_post="layer", omega=scale, profiled=True)  # noqa: E731
    yield ap.schemes.register(ap.Scheme("one number", rule))
    ap.schemes.unregister("one number")


def assert_equal(found: ap.VarianceProfile, wanted: ap.VarianceProfile, rtol: float) -> None:
    assert found.stacks == wanted.stacks
    for stack in wanted.stacks:
        assert found.names(stack) == wanted.names(stack)
        for column in ("var_input", "var_branch", "omega"):
            np.testing.assert_allclose(
                getattr(found, column)(stack), getattr(wanted, column)(stack), rtol=rtol
            )


@pytest.mark.parametrize("mask", ["lengths", "left"])
@pytest.mark.parametrize("method", ["clinic", "paper"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_ours_of_the_same_model(kind: str, method: str, mask: str) -> None:
    """To the rounding of float64; padding does not count."""
    model = drawn(ap.TransformerConfig(**{**SIZES, **KINDS[kind]}))
    module, batch = ap.interop.torch.module(model), batch_of(model.config)
    read = padded(model, batch, mask).inputs
    real = dict.fromkeys(model.config.stacks, read["source_mask"])
    if "target_mask" in read:
        real["decoder"] = read["target_mask"]
    found = ap.interop.torch.profile(module, read, real=real, method=method, dropout=False)
    wanted = model.profile(batch, method=method, dropout=False)
    assert_equal(found, wanted, 1e-11)
    again = ap.load_pretrained(module, dtype="float64")
    for stack, omega in model.omega.items():
        np.testing.assert_allclose(again.omega[stack], omega, rtol=1e-11)


def test_in_float32_too_and_omega_may_stay_as_it_is() -> None:
    model = drawn(ap.TransformerConfig(**SIZES)).copy(dtype="float32")
    module, batch = ap.interop.torch.module(model), batch_of(model.config)
    read = padded(model, batch).inputs
    real = {"encoder": read["source_mask"], "decoder": read["target_mask"]}
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = ap.interop.torch.profile(module, read, real=real, dropout=False, apply=False)
    assert_equal(found, model.profile(batch, dropout=False), 1e-5)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_dropout_is_on_by_default_and_modes_come_back() -> None:
    model = drawn(ap.TransformerConfig(**SIZES, dropout=0.5))
    module, read = ap.interop.torch.module(model), padded(model, batch_of(model.config)).inputs
    module.decoder.train()
    modes = {name: one.training for name, one in module.named_modules()}
    torch.manual_seed(1)
    first, second = (ap.interop.torch.profile(module, read, apply=False) for _ in range(2))
    assert not np.array_equal(first.omega("encoder"), second.omega("encoder"))
    assert {name: one.training for name, one in module.named_modules()} == modes


# Models of one's own


class Layer(nn.Module):
    """A Post-LN layer as people write it, with Admin's residual additions."""

    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(d, hidden), nn.Linear(hidden, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.add1, self.add2 = ap.interop.torch.AdminResidual(d), ap.interop.torch.AdminResidual(d)

    def forward(self, x: Any) -> Any:
        x = self.norm1(self.add1(x, self.self_attn(x, x, x, need_weights=False)[0]))
        return self.norm2(self.add2(x, self.linear2(self.linear1(x).relu())))


def plain_stacks() -> tuple[ap.Transformer, Any, Any, Any]:
    """An Admin encoder of ours, the same of one's own with omega 1, torch.nn's Post-LN, and x_0."""
    model = drawn(ap.TransformerConfig(**{**SIZES, "decoder_layers": 0}))
    model.set_omega({"encoder": np.ones(4)})
    ids = np.random.default_rng(2).integers(0, 20, (3, 5))
    x = torch.from_numpy(model.observe(ap.Batch(list(ids)))["encoder.input"].reshape(3, 5, 12).copy())
    state = {name.removeprefix("encoder.layers."): one for name, one in ap.interop.to_torch_nn(model).items()}
    own = nn.Sequential(*(Layer(12, 3, 16) for _ in range(2))).double()
    assert set(own.load_state_dict(state, strict=False).missing_keys) == {
        f"{n}.add{k}.omega" for n in (0, 1) for k in (1, 2)
    }
    layer = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True)
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    stack.load_state_dict({f"layers.{name}": one for name, one in state.items()})
    return model, own, stack, (ids, x)


def test_additions_are_found_and_omega_is_set() -> None:
    model, own, _, (ids, x) = plain_stacks()
    found = ap.interop.torch.profile(own, x, dropout=False)
    wanted = model.profile(ap.Batch(list(ids)), dropout=False)
    np.testing.assert_allclose(found.omega("encoder"), wanted.omega("encoder"), rtol=1e-11)
    np.testing.assert_allclose(found.var_branch("encoder"), wanted.var_branch("encoder"), rtol=1e-11)
    assert found.names("encoder") == ("0.add1", "0.add2", "1.add1", "1.add2")
    assert found.plot().lines  # whatever the modules are called
    assert own[1].add2.omega.tolist() == pytest.approx([wanted.omega("encoder")[3]] * 12)
    with torch.no_grad():
        hidden = own(x).reshape(15, 12).numpy()
    np.testing.assert_allclose(hidden, model.forward(ap.Batch(list(ids))), rtol=1e-9, atol=1e-11)


def test_a_module_of_pytorchs_own_is_profiled_by_names() -> None:
    model, _, stack, (ids, x) = plain_stacks()
    names = [
        pair
        for n in range(2)
        for pair in (
            (f"layers.{n}.self_attn", f"layers.{n}.dropout1"),
            (f"layers.{n}.linear1", f"layers.{n}.dropout2"),
        )
    ]
    found = ap.interop.torch.profile(stack, x, sublayers={"encoder": names}, method="paper", dropout=False)
    wanted = model.profile(ap.Batch(list(ids)), method="paper", dropout=False)
    for column in ("omega", "var_input", "var_branch"):
        np.testing.assert_allclose(
            getattr(found, column)("encoder"), getattr(wanted, column)("encoder"), rtol=1e-11
        )
    with pytest.raises(ValueError, match=r"'layers.0.self_attn' has none: make it an AdminResidual, or take"):
        ap.interop.torch.profile(stack, x, sublayers=names)


def test_omega_is_a_parameter_or_a_buffer() -> None:
    AdminResidual = ap.interop.torch.AdminResidual
    trained, fixed = AdminResidual(3, omega=[1.0, 2.0, 3.0]), AdminResidual(3, 2.0, trained=False)
    assert [name for name, _ in trained.named_parameters()] == ["omega"]
    assert [name for name, _ in fixed.named_buffers()] == ["omega"]
    x = torch.ones(2, 3, requires_grad=True)
    assert trained(x, 2 * x).tolist() == [[3.0, 4.0, 5.0]] * 2
    trained(x, 2 * x).sum().backward()
    assert trained.omega.grad.tolist() == [2.0] * 3
    with pytest.raises(AttributeError, match="has no attribute 'AdminResiduals'"):
        ap.interop.torch.AdminResiduals  # noqa: B018


# What is wrong, by name


class Twice(nn.Module):
    """Calls its additions in another order than they are named in, twice, or not at all."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.a, self.b = (ap.interop.torch.AdminResidual(4) for _ in range(2))
        self.order = order

    def forward(self, x: Any) -> Any:
        for name in self.order:
            x = getattr(self, name)(x, x)
        return x


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ba", "called once each, in their order: 'b' was called where 'a' was due"),
        ("aab", "'a' was called where 'b' was due"),
        ("aba", "'a' was called where none was due"),
        ("a", "'b' was not called"),
    ],
)
def test_the_order_of_calls_is_checked_and_omega_as_it_was(order: str, words: str) -> None:
    module = Twice(order)
    module.a.omega.data.fill_(7.0)
    with pytest.raises(ValueError, match=words):
        ap.interop.torch.profile(module, torch.randn(2, 3, 4))
    assert module.a.omega.tolist() == [7.0] * 4
    assert not any(one._forward_pre_hooks for one in module.modules())


def test_wrong_arguments_are_named() -> None:
    module, x = Twice("ab"), torch.randn(2, 3, 4)
    for options, error, words in (
        ({"sublayers": ["a", "c"]}, ValueError, "there is no module 'c' in the Twice"),
        ({"sublayers": {"middle": ["a"]}}, ValueError, "of the stacks encoder and decoder, got 'middle'"),
        ({"sublayers": ["a", 3]}, TypeError, "names of modules or pairs of these, got 3"),
        ({"sublayers": "a"}, TypeError, "must be a list of names, got 'a'"),
        ({"real": torch.ones(3, 3)}, ValueError, r"real must have the shape of the activations, \[2, 3\]"),
        ({"real": 3}, TypeError, "real must be a tensor, or a mapping from encoder to one, got 3"),
        ({"method": "admin_torch"}, ValueError, "method must be one of"),
    ):
        with pytest.raises(error, match=words):
            ap.interop.torch.profile(module, x, **options)
    with pytest.raises(ValueError, match="sublayers must be named: the module has no AdminResidual"):
        ap.interop.torch.profile(nn.Linear(2, 2), x)
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module, got 3"):
        ap.interop.torch.profile(3, x)
