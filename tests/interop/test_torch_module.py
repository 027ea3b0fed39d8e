"""Models as plain modules of PyTorch: the same logits and gradients, alone in a folder, and the way back."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proofs.configurations import CASES, ENCODER_CASES, LARGE_CASES, Case, identifiers
from proofs.deviation import deviation, worst_gradient

import admin_py as ap
from admin_py.schemes import Residual

torch = pytest.importorskip("torch")

from own_configs import batch_of, config_of, drawn  # noqa: E402  beside what needs PyTorch
from torch_batches import padded  # noqa: E402

from admin_py.interop import torch_model  # noqa: E402

# As the core against another model in PyTorch (test_core_torch.py): both sides round, each in its own order.
OUTPUT = {"float64": 1e-12, "float32": 1e-5}
GRADIENT = {"float64": 2e-11, "float32": 3e-4}

ALL = [
    case
    for case in CASES + ENCODER_CASES + LARGE_CASES[:2] + LARGE_CASES[5:7] + LARGE_CASES[-1:]
    if not (
        case.config["encoder"]["causal"] and case.config["encoder"]["layers"]
    )  # an encoder here reads all
]
SMALL = {"vocab_size": 20, "encoder_layers": 2, "decoder_layers": 2, "d_model": 12, "heads": 3, "d_ff": 16}


def small(**fields: Any) -> ap.Transformer:
    return drawn(ap.TransformerConfig(**{**SMALL, **fields}))


def package_batch(case: Case) -> ap.Batch:
    found = case.batch(31)
    source = (found.source_tokens, found.source_offsets)
    return ap.Batch(source, None if found.target_tokens is None else found[2:])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", ALL, ids=identifiers(ALL))
def test_logits_and_gradients_are_ours(case: Case, dtype: str) -> None:
    model = drawn(config_of(case.config), dtype, seed=31)
    assert all(model.config.to_core()[stack] == case.config[stack] for stack in model.config.stacks)
    module, batch = ap.interop.torch.module(model), package_batch(case)
    read = padded(model, batch)
    found = module(**read.inputs)[read.real]
    assert found.dtype == getattr(torch, dtype)
    assert deviation(model.forward(batch), found.detach().numpy()) < OUTPUT[dtype]
    if read.labels is None:
        return
    torch.nn.functional.cross_entropy(found, read.labels, label_smoothing=0.1).backward()
    model.backward(batch, label_smoothing=0.1, training=False)
    gradients = {name: one.grad.numpy() for name, one in module.named_parameters() if one.grad is not None}
    assert set(gradients) == set(model.trained)
    worst, where = worst_gradient(model.gradients, gradients, model.trained)
    assert worst < GRADIENT[dtype], where


MODELS: dict[str, dict[str, Any]] = {
    **{scheme: {"scheme": scheme} for scheme in ap.schemes.names()},
    "hybrid": {"scheme": ("deepnorm", "pre_ln")},
    "language model": {"encoder_layers": 0, "positions": "learned"},
    "rotary language model": {
        "encoder_layers": 0, "positions": "rotary", "kv_heads": 1, "gated": True, "bias": "none",
        "score_cap": 2.0, "scheme": "pre_ln",
    },
    "encoder": {"decoder_layers": 0, "scheme": "pre_ln"},
    "capped, learned": {"positions": "learned", "score_cap": 1.5, "share_embeddings": "none"},
}  # fmt: skip


@pytest.mark.parametrize("mask", ["lengths", "right", "left"])
@pytest.mark.parametrize("name", ["admin", *list(MODELS)[-5:]])
def test_padding_means_nothing_wherever_it_is(name: str, mask: str) -> None:
    """Gradients too: what comes out for padding may be anything, but it is a number."""
    model = small(**MODELS[name])
    module, batch = ap.interop.torch.module(model), batch_of(model.config)
    read = padded(model, batch, mask)
    found = module(**read.inputs)
    assert torch.isfinite(found).all()
    assert deviation(model.forward(batch), found[read.real].detach().numpy()) < OUTPUT["float64"]
    (found[read.real] ** 2).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in module.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_it_comes_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = small(**MODELS[name]).copy(dtype="float32")
    module = ap.interop.torch.module(model)
    ap.interop.torch.write(model, tmp_path / "ours")
    torch_model.save(module, tmp_path / "theirs")
    sources = {
        "module": (module, {}),
        "state": (module.state_dict(), {"settings": module.config}),
        "our folder": (tmp_path / "ours", {}),
        "their folder": (tmp_path / "theirs", {}),
        "wrapped": (torch.nn.DataParallel(module), {}),
        "state of what is compiled": (
            torch.compile(module, backend="eager").state_dict(),
            {"settings": module.config},
        ),
    }
    for what, (source, options) in sources.items():
        found = ap.load_pretrained(source, **options)
        assert found.config == model.config, what
        assert found.config.to_dict() == model.config.to_dict(), what
        for parameter, value in model.parameters.items():
            np.testing.assert_array_equal(found.parameters[parameter], value, what)


def test_a_scheme_of_ones_own_comes_back_as_its_table() -> None:
    own = ap.Scheme("of this test", lambda site: Residual(norm_pre="rms", kappa=0.1 * site.layer))
    model = small(scheme=own)
    found = ap.load_pretrained(ap.interop.torch.module(model), dtype="float64")
    assert found.config == model.config
    batch = batch_of(model.config)
    np.testing.assert_array_equal(found.forward(batch), model.forward(batch))


ALONE = """
import sys
sys.modules["admin_py"] = None
import torch
import model
made = model.load(".")
inputs = torch.load("inputs.pt")
torch.save(made(**inputs), "found.pt")
with torch.no_grad():
    made.encoder.norm_final.gamma.mul_(2)
model.save(made, "again")
"""


def test_a_folder_is_used_without_admin_py(tmp_path: Path) -> None:
    model = small(scheme="pre_ln").copy(dtype="float32")
    batch = batch_of(model.config)
    read = padded(model, batch)
    ap.interop.torch.write(model, tmp_path)
    torch.save(read.inputs, tmp_path / "inputs.pt")
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt")
    assert deviation(model.forward(batch), found[read.real].detach().numpy()) < OUTPUT["float32"]
    again = ap.load_pretrained(tmp_path / "again")
    for name, value in model.parameters.items():
        factor = 2 if name == "encoder.norm_final.gamma" else 1
        np.testing.assert_array_equal(again.parameters[name], factor * value)
    assert (tmp_path / "again" / "model.py").read_bytes() == Path(torch_model.__file__).read_bytes()


def test_the_file_knows_pytorch_alone() -> None:
    tree = ast.parse(Path(torch_model.__file__).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    found = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    found = {name.partition(".")[0] for name in found}
    assert found - set(sys.stdlib_module_names) == {"torch", "safetensors"}


def test_every_field_is_known_and_no_other() -> None:
    """A field that a later version adds is not passed over in silence."""
    fields = {field.name for field in dataclasses.fields(ap.TransformerConfig)}
    assert fields | {"model_type"} == torch_model.FIELDS
    assert set(vars(Residual())) == torch_model.SUBLAYER_FIELDS
    config = ap.interop.torch.module(small()).config
    with pytest.raises(ValueError, match="the configuration has the field 'window', which is not known"):
        torch_model.TorchTransformer({**config, "window": 3})
    config = copy.deepcopy(config)
    config["scheme"]["sublayers"]["decoder"][4]["norm_query"] = "rms"
    with pytest.raises(ValueError, match="a sub-layer has the field 'norm_query'"):
        torch_model.TorchTransformer(config)
    config["scheme"]["sublayers"]["decoder"][4] = {
        **config["scheme"]["sublayers"]["decoder"][3],
        "norm_pre": "batch",
    }
    with pytest.raises(ValueError, match="the norm 'batch' is not known"):
        torch_model.TorchTransformer(config)


@pytest.mark.parametrize("name", ["admin", *list(MODELS)[-5:]])
def test_it_compiles_whole(name: str) -> None:
    """As one graph, traced forward and backward; what a backend makes of it is PyTorch's."""
    model = small(**MODELS[name])
    module, batch = ap.interop.torch.module(model), batch_of(model.config)
    read = padded(model, batch)
    found = torch.compile(module, fullgraph=True, backend="aot_eager")(**read.inputs)[read.real]
    assert deviation(model.forward(batch), found.detach().numpy()) < OUTPUT["float64"]
    (found**2).sum().backward()
    assert all(one.grad is not None for one in module.parameters())


@pytest.mark.parametrize("name", ["admin", "deepnorm", "rezero", *list(MODELS)[-5:]])
@pytest.mark.parametrize("how", ["autocast", "bfloat16"])
def test_lower_precision_is_near(name: str, how: str) -> None:
    """bfloat16 has 8 bits: half a percent of each number, through a dozen matrices."""
    model = small(**MODELS[name]).copy(dtype="float32")
    module, batch = ap.interop.torch.module(model), batch_of(model.config)
    read = padded(model, batch)
    wanted = module(**read.inputs)[read.real].detach()
    if how == "bfloat16":
        module = module.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how == "autocast"):
        found = module(**read.inputs)[read.real]
    assert deviation(found.detach().float().numpy(), wanted.numpy()) < 0.1
    found.float().square().sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in module.parameters())


@pytest.mark.parametrize("site", ["dropout", "attention_dropout", "activation_dropout"])
def test_dropout_is_on_in_training_alone(site: str) -> None:
    model = small(**{"dropout": 0.0, site: 0.5})
    module, read = ap.interop.torch.module(model), padded(model, batch_of(model.config))
    torch.manual_seed(1)
    with torch.no_grad():
        evaluated = [module(**read.inputs) for _ in range(2)]
        module.train()
        trained = [module(**read.inputs) for _ in range(2)]
    assert torch.equal(*evaluated)
    assert not torch.equal(*trained)


def test_fixed_scales_are_buffers_and_trained_ones_parameters() -> None:
    fixed, trained = (ap.interop.torch.module(small(scheme=name)) for name in ("deepnorm", "admin"))
    name = "decoder.1.cross_attn.omega"
    assert name in dict(fixed.named_buffers())
    assert dict(trained.named_parameters())[name].shape == (12,)
    assert set(trained.state_dict()) == set(small().parameters)


def test_nothing_is_shared_and_the_weights_train() -> None:
    model = small()
    before, module = model.state, ap.interop.torch.module(model)
    read = padded(model, batch_of(model.config))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(module(**read.inputs)[read.real], read.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(np.array_equal(value, before[name]) for name, value in model.parameters.items())
    again = ap.load_pretrained(module, dtype="float64")
    assert again.loss(batch_of(model.config)).nll < losses[0] / 2


# What is wrong, by name


def test_wrong_inputs_are_named() -> None:
    module = ap.interop.torch.module(small())
    ids = torch.ones(1, 3, dtype=torch.long)
    with pytest.raises(ValueError, match="an encoder-decoder takes source and target"):
        module(ids)
    with pytest.raises(ValueError, match="any other model a source alone"):
        ap.interop.torch.module(small(encoder_layers=0))(ids, ids)
    with pytest.raises(ValueError, match="at most 4 tokens are read, got 5"):
        ap.interop.torch.module(small(max_length=4, encoder_layers=0))(torch.ones(1, 5, dtype=torch.long))
    for wrong in (torch.nn.Linear(2, 2), module):
        with pytest.raises(TypeError, match="model must be a Transformer, got an object of type"):
            ap.interop.torch.module(wrong)


def test_what_cannot_come_back_is_named(tmp_path: Path) -> None:
    model = small()
    module = ap.interop.torch.module(model)
    with pytest.raises(ValueError, match=r"tensors alone need settings, the module's config"):
        ap.load_pretrained(module.state_dict())
    state = module.state_dict()
    del state["encoder.1.feed_forward.fc2.bias"]
    with pytest.raises(
        ValueError, match=r"not hold a whole model of admin-py: .*encoder.1.feed_forward.fc2.bias"
    ):
        ap.load_pretrained(state, settings=module.config)
    ap.interop.torch.write(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "windows": 3}))
    with pytest.raises(
        ValueError, match=r"whole model of admin-py: a TransformerConfig has no field 'windows'"
    ):
        ap.load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "d_ff": 17}))
    with pytest.raises(ValueError, match=r"fc1.weight must have shape \(17, 12\), got \(16, 12\)"):
        ap.load_pretrained(tmp_path)


def test_pytorch_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "admin_py.interop.torch_model")
    with pytest.raises(
        ModuleNotFoundError, match=r"torch is not installed: pip install admin-py.pretrained."
    ):
        ap.interop.torch.module(small())


def test_the_package_is_imported_without_pytorch() -> None:
    code = "import sys; sys.modules['torch'] = None; import admin_py as ap; print(ap.interop.torch.write)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("device", ["-3", "nowhere", -3, 10**30, 3.5, [1]])
def test_a_device_that_is_none_is_named(device: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="device must be one of PyTorch's, got ") as error:
        ap.interop.torch.padded(ap.Batch([[1, 2, 3]]), device=device)
    assert "\n" not in str(error.value)
